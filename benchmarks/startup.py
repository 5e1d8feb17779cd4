"""How long recurra takes to start: the wall time of a new process, beside Python's own. The bar is 0.3 s each."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 7
BAR = 0.3  # seconds
HELP = "import sys; sys.argv = ['recurra', '--help']; from recurra.cli import main; main()"
COMMANDS = {
    "python -c pass": "pass",
    "python -c 'import recurra'": "import recurra",
    "recurra --help": HELP,
}


def seconds(program: str) -> float:
    """The wall time of one process; an error if it fails."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    # Once for nothing, so that the files are in the disk's cache and byte code is compiled; then in turns.
    for program in COMMANDS.values():
        seconds(program)
    rounds = [{name: seconds(program) for name, program in COMMANDS.items()} for _ in range(RUNS)]
    print(f"{'process':<28}{'median':>9}{'fastest':>9}{'slowest':>9}   median of {RUNS}, bar {BAR} s")
    for name in COMMANDS:
        times = [times[name] for times in rounds]
        median = statistics.median(times)
        verdict = "within" if median <= BAR else "OVER"
        print(f"{name:<28}{median:>7.3f} s{min(times):>7.3f} s{max(times):>7.3f} s   {verdict}")


if __name__ == "__main__":
    main()
