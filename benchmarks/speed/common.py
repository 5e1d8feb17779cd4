"""What the files of this folder share: options, one measurement, a table, the JSON file."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recurra.bench.limits import cpu
from recurra.bench.timing import TOLERANCE, Times, check_alike, geometric_mean, take_turns

__all__ = ["Row", "Way", "measured", "parse", "parser", "path", "report", "row"]

Way = Callable[[], Sequence[Tensor]]
Row = dict[str, Any]


def parser(words: str | None) -> argparse.ArgumentParser:
    """The options that every file has; `words` are its docstring."""
    made = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--threads", type=int, default=2, help="of torch and recurra (default: 2)")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    made.add_argument("--quick", action="store_true", help="tiny sizes, to see that all works")
    return made


def parse(made: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the command line, and set the threads."""
    options = made.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    return options


def measured(
    ways: Mapping[str, Way],
    *,
    quick: bool = False,
    budget: float = 6.0,
    tolerance: float = TOLERANCE,
    seen: Callable[[Sequence[Tensor]], Sequence[Tensor]] = lambda result: result,
) -> dict[str, Times]:
    """Hold what the ways give to the first way's, as far as it is `seen`; time them in turns for some `budget` s."""
    check_alike({name: seen(way()) for name, way in ways.items()}, tolerance)
    return take_turns(ways, budget=0.2 if quick else budget, rounds=(2, 3) if quick else (3, 31))


def row(what: Mapping[str, Any], times: Mapping[str, Times], ours: str) -> Row:
    """A line of the table: milliseconds of each way, and how many times as fast as each other way is `ours`."""
    milliseconds = {f"{name}, ms": 1e3 * each.median for name, each in times.items()}
    others = [name for name in times if name != ours]
    ratios = {f"× {name}": times[name].median / times[ours].median for name in others}
    return {**what, **milliseconds, **ratios, "rounds": len(times[ours].seconds)}


@contextmanager
def path(forced: str | None) -> Iterator[None]:
    """Set RECURRA_OPS while the block runs; None takes it away."""
    before = os.environ.pop("RECURRA_OPS", None)
    if forced is not None:
        os.environ["RECURRA_OPS"] = forced
    try:
        yield
    finally:
        os.environ.pop("RECURRA_OPS", None)
        if before is not None:
            os.environ["RECURRA_OPS"] = before


def report(options: argparse.Namespace, rows: Sequence[Row], notes: Sequence[str] = ()) -> None:
    """Print the rows as a Markdown table, the geometric mean of each ratio below; write `--json`."""
    forced = os.environ.get("RECURRA_OPS")
    title = f"torch {torch.__version__}, {torch.get_num_threads()} threads, {cpu()}; medians, taken in turns"
    print(title + (f"; RECURRA_OPS={forced}" if forced else ""))
    columns = list(dict.fromkeys(name for each in rows for name in each))
    lines = [columns, *[[_cell(each.get(name)) for name in columns] for each in rows]]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for number, line in enumerate(lines):
        print(f"| {' | '.join(text.rjust(width) for text, width in zip(line, widths, strict=True))} |")
        if number == 0:
            print(f"| {' | '.join('-' * (width - 1) + ':' for width in widths)} |")
    means = {}
    for name in columns:
        if name.startswith("× "):
            means[name] = geometric_mean(each[name] for each in rows if name in each)
            print(f"geometric mean {name}: {means[name]:.2f}")
    for note in notes:
        print(note)
    sys.stdout.flush()
    if options.json:
        document = {
            "torch": str(torch.__version__),
            "threads": torch.get_num_threads(),
            "cpu": cpu(),
            "RECURRA_OPS": forced,
            "rows": list(rows),
            "means": means,
            "notes": list(notes),
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.1f}" if value >= 10 else f"{value:.2f}"
    return str(value)
