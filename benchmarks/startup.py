"""How long recurra takes to start: the wall time of a new process, beside Python's own. The bar is 0.3 s each.

Modules come from byte code, as they do where recurra is installed, whatever PYTHONDONTWRITEBYTECODE says here.
`import numpy` is what all that computes pays. The processor's time of the fastest run is printed, too:
where other programs run beside, it says what the wall time would be without them.
With torch there, the first token of a packed network (10,000 words, 2 × LSTM(512), int8) is timed too, from the start
of the process, beside `import torch` alone.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

RUNS = 7
BAR = 0.3  # seconds
HELP = "import sys; sys.argv = ['recurra', '--help']; from recurra.cli import main; main()"
SUGGEST = "import sys; sys.argv = ['recurra', 'suggest', 'see you to']; from recurra.cli import main; main()"
COMMANDS = {
    "python -c pass": "pass",
    "python -c 'import numpy'": "import numpy",
    "python -c 'import recurra'": "import recurra",
    "recurra --help": HELP,
    "recurra suggest": SUGGEST,
}
PACK = """
from recurra.cells import LSTM
from recurra.networks import Embedding, Recurrent, SoftmaxHead, TokenNetwork
from recurra.streaming.pack import pack

layers = [LSTM(512, 512), LSTM(512, 512)]
network = TokenNetwork(Embedding(10_000, 512), Recurrent(layers), SoftmaxHead(512, 10_000))
pack(network, "int8", bound=1.0).save({path!r})
"""
TOKEN = """
import numpy as np
from recurra.streaming.packed import Packed
from recurra.streaming.run import Engine

session = Engine(Packed.load({path!r})).session()
session.read(np.array([1]))
session.generate(1)
"""


def seconds(program: str, bytecode: str) -> tuple[float, float]:
    """The wall and the processor's time of one process that keeps byte code in a folder; an error if it fails."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = kept | {"PYTHONPYCACHEPREFIX": bytecode}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL, env=environment)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        commands = dict(COMMANDS)
        if find_spec("torch") is not None:
            path = str(Path(folder) / "net.packed")
            seconds(PACK.format(path=path), folder)
            commands |= {"first token, packed": TOKEN.format(path=path), "import torch": "import torch"}
        measure(commands, folder)


def measure(commands: dict[str, str], bytecode: str) -> None:
    """Print the wall times of processes that run these programs."""
    # Once for nothing, so that the files are in the disk's cache and byte code is compiled; then in turns.
    for program in commands.values():
        seconds(program, bytecode)
    rounds = [{name: seconds(program, bytecode) for name, program in commands.items()} for _ in range(RUNS)]
    print(
        f"{'process':<28}{'median':>9}{'fastest':>9}{'slowest':>9}{'processor':>11}   of {RUNS}, bar {BAR} s"
    )
    for name in commands:
        wall, busy = zip(*(each[name] for each in rounds), strict=True)
        median = statistics.median(wall)
        verdict = "within" if median <= BAR else "OVER"
        figures = f"{median:>7.3f} s{min(wall):>7.3f} s{max(wall):>7.3f} s{min(busy):>9.3f} s"
        print(f"{name:<28}{figures}   {verdict}")


if __name__ == "__main__":
    main()
