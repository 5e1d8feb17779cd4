"""What is not loaded, and what is not needed: a new process each, with torch and the table libraries kept away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from recurra import LanguageModel

HEAVY = {"torch", "polars", "pandas", "pyarrow", "matplotlib", "narwhals", "sklearn", "duckdb", "fastexcel"}
HEAVY |= {"adbc_driver_postgresql", "sqlite3"}

LOADED = """
import sys
{program}
print(*sorted({{name.partition(".")[0] for name in sys.modules}}), file=sys.stderr)
"""
RUN = """
sys.argv = {arguments!r}
from recurra.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
WITHOUT = """
import sys

class Away:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Away())
{program}
"""
ASKED_FOR = """
import recurra
try:
    recurra.{name}
except recurra.errors.MissingExtraError as error:
    print(error)
"""


def python(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


def loaded(program: str) -> tuple[set[str], str]:
    """Every package that is loaded after the program, and what it printed."""
    done = python(LOADED.format(program=program))
    return set(done.stderr.splitlines()[-1].split()), done.stdout


@pytest.mark.parametrize(
    "program",
    [
        "import recurra",
        "import recurra; dir(recurra)",
        "import recurra.cli.app",
        "import recurra.estimator",
        "import recurra.decoding",
    ],
)
def test_importing_loads_nothing_heavy(program: str) -> None:
    packages, _ = loaded(program)
    assert "recurra" in packages
    assert packages & HEAVY == set()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], "forecast"),
        (["--version"], "0."),
        (["forecast", "--help"], "--lead-time"),
        (["backtest", "--help"], "--origins"),
        (["pack", "--help"], "--weights"),
        (["bench", "--help"], "--full"),
        (["doctor", "--help"], "--no-measure"),
        (["train", "forecaster", "--help"], "--checkpoint"),
        (["train", "language", "--help"], "--checkpoint"),
        (["write", "--help"], "--temperature"),
    ],
)
def test_asking_for_help_loads_nothing_heavy(arguments: list[str], expected: str) -> None:
    packages, printed = loaded(RUN.format(arguments=["recurra", *arguments]))
    assert expected in printed
    assert packages & HEAVY == set()


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"]])
def test_the_lists_of_verbs_come_without_rich(arguments: list[str]) -> None:
    packages, _ = loaded(RUN.format(arguments=["recurra", *arguments]))
    assert "typer" in packages
    assert "rich" not in packages


def test_a_plain_question_to_the_keyboard_loads_the_least() -> None:
    packages, printed = loaded(RUN.format(arguments=["recurra", "suggest", "--no-personal", "see you to"]))
    assert "tonight" in printed
    needless = {"typer", "rich", "pydantic", "tokenizers", "rapidfuzz", "hashlib", "shutil", "difflib"}
    assert packages & (HEAVY | needless) == set()


def test_the_check_itself_sees_what_is_loaded() -> None:
    packages, _ = loaded("import recurra; recurra.Forecaster().check_arguments()")
    assert {"torch", "polars"} <= packages


@pytest.mark.parametrize(
    "name",
    ["recurra.Forecaster", "recurra.LanguageModel", "recurra.training.Outcome", "recurra.training.Recipe"],
)
def test_forecasting_loads_torch_only_to_train(name: str) -> None:
    packages, _ = loaded(f"import recurra.training; {name}")
    assert "torch" not in packages


def test_a_language_model_is_used_without_what_trains_it(tmp_path: Path) -> None:
    learner = LanguageModel("gru", "tiny", vocabulary=300, steps=2, batch_size=2, window=16)
    learner.fit(["The sea was calm that day. " * 20] * 3).save(tmp_path / "m")
    program = f"""
from recurra import LanguageModel
model = LanguageModel.load({str(tmp_path / "m")!r})
print(len(model.generate("The sea", n=2, topics=["lamp"], max_tokens=8)), model.score("The sea").bytes)
print(len(model.generate("The sea", recent=0.1, max_tokens=8)), model.suggest("The"), model.copies("The sea"))
"""
    away = {"torch", "tokenizers", "polars", "narwhals", "llguidance"}
    assert python(WITHOUT.format(packages=away, program=program)).stdout.startswith("2 7")


@pytest.mark.parametrize("name", ["Forecaster", "StockPlan"])
@pytest.mark.parametrize(("package", "extra"), [("polars", "tables"), ("narwhals", "tables")])
def test_a_missing_package_is_named_with_the_way_to_install_it(name: str, package: str, extra: str) -> None:
    program = "import recurra.errors\n" + ASKED_FOR.format(name=name)
    said = python(WITHOUT.format(packages={package}, program=program)).stdout
    assert package in said
    assert f"pip install 'recurra[{extra}]'" in said


@pytest.mark.parametrize("asked", ["fit('no file is opened')", "check_arguments()"])
def test_training_names_a_missing_torch(asked: str) -> None:
    program = f"""
import recurra.errors
try:
    recurra.Forecaster().{asked}
except recurra.errors.MissingExtraError as error:
    print(error)
"""
    assert (
        "pip install 'recurra[train]'" in python(WITHOUT.format(packages={"torch"}, program=program)).stdout
    )


def test_the_command_line_names_a_missing_package_too() -> None:
    program = """
sys.argv = ["recurra", "forecast", "sales.csv"]
from recurra.cli import main
try:
    main()
except SystemExit as end:
    print("code", end.code)
"""
    done = python(WITHOUT.format(packages={"torch"}, program=program))
    assert "pip install 'recurra[train]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == "code 2\n"


def test_bench_names_a_missing_torch() -> None:
    program = RUN.format(arguments=["recurra", "bench"]).replace(
        "assert not end.code", "assert end.code == 2"
    )
    assert (
        "pip install 'recurra[train]'" in python(WITHOUT.format(packages={"torch"}, program=program)).stderr
    )


def test_doctor_works_without_torch_and_says_so() -> None:
    done = python(WITHOUT.format(packages={"torch"}, program=RUN.format(arguments=["recurra", "doctor"])))
    assert "not installed" in done.stdout
    assert "matrix products" in done.stdout
    assert "pip install 'recurra[train]'" in done.stderr


def test_model_folders_are_read_and_written_without_torch(tmp_path: Path) -> None:
    program = f"""
import numpy as np
from recurra.artifact import load_model, save_model
folder = {str(tmp_path)!r} + "/model"
save_model(folder, kind="K", arguments={{}}, fitted={{}}, weights={{"w": np.arange(3.0)}}, card="")
print(load_model(folder).weights["w"].tolist())
"""
    done = python(WITHOUT.format(packages=HEAVY, program=program))
    assert done.stdout == "[0.0, 1.0, 2.0]\n"
