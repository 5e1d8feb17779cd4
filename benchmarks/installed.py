"""How large recurra is without torch, and how long it takes to install: `pip install .` in a fresh environment.

    python benchmarks/installed.py

Prints what every package adds to Python and pip themselves, in MB of file contents. Bars: 130 MB, 2 minutes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BAR = 130  # MB


def sizes(site: Path) -> dict[str, float]:
    """MB of each entry of a folder of packages."""
    found = {}
    for entry in site.iterdir():
        files = entry.rglob("*") if entry.is_dir() else [entry]
        found[entry.name] = sum(file.stat().st_size for file in files if file.is_file()) / 1e6
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        site = next((Path(folder) / "lib").glob("python*/site-packages"))
        before = sizes(site)
        start = time.perf_counter()
        quiet = ["--quiet", "--disable-pip-version-check", "-c", str(ROOT / "constraints.txt")]
        subprocess.run([python, "-m", "pip", "install", *quiet, str(ROOT)], check=True)
        seconds = time.perf_counter() - start
        subprocess.run([python, "-c", "import recurra, sys; assert 'torch' not in sys.modules"], check=True)
        added = {name: size - before.get(name, 0.0) for name, size in sizes(site).items()}
    print(f"python {sys.version.split()[0]}, pip install . in {seconds:.0f} s")
    for name, size in sorted(added.items(), key=lambda item: -item[1]):
        if size >= 0.5:
            print(f"{size:8.1f} MB  {name}")
    total = sum(added.values())
    print(f"{total:8.1f} MB  altogether beyond Python and pip; the bar is {BAR} MB")


if __name__ == "__main__":
    main()
