"""How long `recurra forecast --model` takes, from process start to end, packed and by torch, and how near they are.

    python benchmarks/forecasting/packed.py [--steps 300] [--rounds 5]

A model is trained on the shipped sales, 200 items over 739 days, and packed in each format. Then each folder forecasts
28 days in a process of its own, in turns. Beside the seconds: the memory of that process at its peak, the size of the
packed files, and how far the quantiles are from torch's, as `recurra pack` found it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SALES = Path(__file__).resolve().parents[2] / "examples" / "online_retail_200.csv.gz"
FORMATS = ("float32", "float16", "int8", "int4")
RECURRA = [sys.executable, "-c", "from recurra.cli import main; main()"]


def run(folder: Path) -> tuple[float, float]:
    """Seconds and megabytes of one process that forecasts."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [*RECURRA, "forecast", SALES, "--model", folder, "--json"], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"recurra forecast failed with code {process.returncode}")
    return seconds, usage.ru_maxrss / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=300, help="of the training")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folders = {"torch": Path(place) / "torch"}
        train = ["train", "forecaster", SALES, "--steps", str(options.steps), "--out", folders["torch"]]
        subprocess.run([*RECURRA, *train], check=True, stderr=subprocess.DEVNULL)
        errors = {"torch": 0.0}
        for name in FORMATS:
            folders[name] = Path(place) / name
            shutil.copytree(folders["torch"], folders[name])
            pack = [*RECURRA, "pack", folders[name], "--weights", name, "--json"]
            errors[name] = json.loads(subprocess.run(pack, check=True, capture_output=True).stdout)["error"]
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in folders}
        for number in range(options.rounds + 1):
            for name, folder in folders.items():
                told = run(folder)
                if number:  # the first round only fills the disk's cache
                    found[name].append(told)
        kilobytes = {
            name: sum(path.stat().st_size for path in folder.glob("*.packed")) / 1e3
            for name, folder in folders.items()
        }
    print("| network | seconds, median | fastest | × torch | MB at the peak | packed, kB | differs by |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    slow = statistics.median(seconds for seconds, _ in found["torch"])
    for name, told in found.items():
        median, fastest = statistics.median(s for s, _ in told), min(s for s, _ in told)
        row = [f"{median:.2f}", f"{fastest:.2f}", f"{slow / median:.2f}", f"{max(m for _, m in told):.0f}"]
        print(f"| {' | '.join([name, *row, f'{kilobytes[name]:.0f}', f'{errors[name]:.1e}'])} |")


if __name__ == "__main__":
    main()
