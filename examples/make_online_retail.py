"""Make online_retail_200.csv.gz from the raw Online Retail II: `python examples/make_online_retail.py`."""

from __future__ import annotations

import gzip
from pathlib import Path

from online_retail import daily_sales, most_sold

from recurra.sources.files import atomic_write

ITEMS = 200
TARGET = Path(__file__).with_name("online_retail_200.csv.gz")


def main() -> None:
    """Write the file, the same rows every time, and say what became of the raw lines."""
    everything, notes = daily_sales()
    print(*notes, most_sold(everything, 1000)[1], sep="\n")
    frame, note = most_sold(everything, ITEMS)
    print(note)
    packed = gzip.compress(frame.write_csv().encode(), compresslevel=9, mtime=0)
    with atomic_write(TARGET) as temporary:
        temporary.write_bytes(packed)
    dates = frame["InvoiceDate"].to_list()
    print(f"{TARGET.name}: {frame.height:,} rows, {dates[0]} to {dates[-1]}, {len(packed):,} bytes.")


if __name__ == "__main__":
    main()
