"""`recurra` as a process: exit codes, streams, Ctrl-C, closed pipes and terminals."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
RECURRA = (sys.executable, "-m", "recurra.cli")
QUICK = ("--horizon", "4", "--steps", "3")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    days = [f"tea,2025-{month:02}-{day:02},{day % 7}\n" for month in (1, 2) for day in range(1, 29)]
    (tmp_path / "sales.csv").write_text("item,date,quantity\n" + "".join(days))
    return tmp_path


def recurra(shop: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RECURRA, *arguments], cwd=shop, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Return when `path` has content; fail if the process ends before."""
    while not (path.exists() and path.stat().st_size):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_a_forecast_as_a_program_sees_it(shop: Path) -> None:
    first = recurra(shop, "forecast", "sales.csv", *QUICK, "--no-backtest", "--out", "a", "--json")
    assert (first.returncode, first.stderr) == (0, "")
    assert json.loads(first.stdout)["files"][0] == "a/forecast.csv"
    assert (shop / "a/report.html").exists()


def test_exit_codes_and_streams_of_errors(shop: Path) -> None:
    document = recurra(shop, "forecast", "sale.csv", "--json")
    assert (document.returncode, document.stderr) == (1, "")
    assert json.loads(document.stdout)["error"]["file"] == "sale.csv"
    usage = recurra(shop, "forecast", "sales.csv", "--bogus", "--json")
    assert (usage.returncode, usage.stdout) == (2, "")
    assert "--bogus" in usage.stderr


@pytest.mark.slow
def test_ctrl_c_keeps_the_best_so_far(shop: Path) -> None:
    command = [*RECURRA, "forecast", "sales.csv", "--horizon", "4", "--steps", "1000000", "--out", "out"]
    process = subprocess.Popen(
        [*command, "--checkpoint", "run"],
        cwd=shop,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(shop / "run/metrics.jsonl", process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 3, err
    assert "this is the best so far" in err
    for part in ("Traceback", "steps/s", "\x1b"):  # no progress in a pipe
        assert part not in out + err
    assert "Forecast of daily sales" in out
    assert "Backtest" not in out
    assert {path.name for path in (shop / "out").iterdir()} == {
        "forecast.csv",
        "forecast.parquet",
        "report.html",
    }


@pytest.mark.slow
def test_ctrl_c_as_a_program_sees_it(shop: Path) -> None:
    command = [*RECURRA, "train", "forecaster", "sales.csv", "--horizon", "4", "--steps", "1000000"]
    process = subprocess.Popen(
        [*command, "--out", "model", "--checkpoint", "run", "--json"],
        cwd=shop,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(shop / "run/metrics.jsonl", process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (3, "")
    document = json.loads(out)
    assert document["interrupted"] is True
    assert document["training"]["ended_by"] == "interrupted"
    assert "interrupted" in document["notes"][-1]
    assert (shop / "model/weights.safetensors").exists()


@pytest.mark.slow
def test_a_reader_that_goes_early_makes_no_noise(shop: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [*RECURRA, "forecast", "sales.csv", *QUICK, "--no-backtest", "--out", "out"],
        cwd=shop,
        env=ENVIRONMENT,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    assert "Exception" not in process.stderr
    assert (shop / "out/report.html").exists()


@pytest.mark.slow
def test_a_terminal_shows_progress_with_rate_and_time(shop: Path) -> None:
    import fcntl
    import pty
    import termios

    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    steps = ("--horizon", "4", "--steps", "40", "--no-backtest")
    process = subprocess.Popen(
        [*RECURRA, "forecast", "sales.csv", *steps],
        cwd=shop,
        env={**ENVIRONMENT, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
    )
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(controller, 65536):
            shown += piece
    except OSError:  # Linux says so when the last writer has closed the terminal
        pass
    os.close(controller)
    out, _ = process.communicate()
    assert process.returncode == 0
    text = shown.decode()
    for part in ("/40", "steps/s", "0:00:0", "left", "loss ", "━"):
        assert part in text
    assert "\x1b" not in out
    assert "steps/s" not in out


def test_a_killed_write_leaves_the_old_file_or_the_whole_new_one(shop: Path) -> None:
    """The process is gone in the middle of writing and, another time, right before the renaming."""
    code = """
import os, sys, pathlib, polars
from recurra.sources.table import write_table
def die(*arguments, **named):
    if sys.argv[1] == "writing":
        with open(arguments[1], "w") as file:
            file.write("unique_id,ds,me")
    os._exit(9)
if sys.argv[1] == "writing":
    polars.DataFrame.write_csv = die
else:
    pathlib.Path.replace = die
write_table(polars.DataFrame({"a": [1, 2, 3]}), "forecast.csv")
"""
    for moment in ("writing", "renaming"):
        for old in (None, "a\n0\n"):
            target = shop / "forecast.csv"
            target.unlink(missing_ok=True)
            if old is not None:
                target.write_text(old)
            process = subprocess.run(
                [sys.executable, "-c", code, moment], cwd=shop, env=ENVIRONMENT, check=False
            )
            assert process.returncode == 9
            assert (target.read_text() if target.exists() else None) == old


KILLED = """
import os, pathlib, signal, sys
from recurra.cli import main
left = int(sys.argv.pop(1))
replace = pathlib.Path.replace
def dying(path, target):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(path, target)
pathlib.Path.replace = dying
main()
"""


@pytest.mark.slow
def test_a_forecast_that_is_killed_leaves_old_files_and_new_ones_and_no_halves(shop: Path) -> None:
    """The process gets kill -9 right before each file of `--out` takes its name: those before are new, the rest old."""
    assert recurra(shop, "train", "forecaster", "sales.csv", *QUICK, "--out", "model").returncode == 0
    arguments = ("forecast", "sales.csv", "--model", "model", "--lead-time", "1", "--review", "1")
    assert recurra(shop, *arguments, "--seed", "1", "--out", "new").returncode == 0
    with (shop / "sales.csv").open("a") as file:
        file.write("milk,2025-02-27,5\nmilk,2025-02-28,5\n")
    assert recurra(shop, *arguments, "--out", "old").returncode == 0
    (shop / "sales.csv").write_text((shop / "sales.csv").read_text().partition("milk")[0])
    old, new = ({path.name: path.read_bytes() for path in (shop / name).iterdir()} for name in ("old", "new"))
    tables = [name for name in old if not name.endswith(".html")]
    assert len(tables) == 3
    assert all(old[name] != new[name] for name in tables)
    for moment in (2, 4):
        program = [sys.executable, "-c", KILLED, str(moment), *arguments, "--seed", "1", "--out", "old"]
        killed = subprocess.run(program, cwd=shop, env=ENVIRONMENT, capture_output=True, check=False)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        now = {path.name: path.read_bytes() for path in (shop / "old").iterdir() if path.name[0] != "."}
        assert now.keys() == old.keys()
        assert sum(now[name] == new[name] for name in tables) == min(moment - 1, 3)
        assert all(now[name] in (old[name], new[name]) for name in tables)
        assert now["report.html"] == old["report.html"]
    assert recurra(shop, *arguments, "--seed", "1", "--out", "old").returncode == 0
    assert all((shop / "old" / name).read_bytes() == new[name] for name in tables)
