"""The documentation and the program agree: options, verbs and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from recurra.cli.app import app

ROOT = Path(__file__).parents[1]
FOLDERS = ("docs", "docs/decisions", "examples", "benchmarks", "tests/golden", ".")
PAGES = sorted(page for folder in FOLDERS for page in (ROOT / folder).glob("*.md"))


def verbs(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every verb of the program by name, such as `train forecaster`."""
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from verbs(inner, (*path, name))
    else:
        yield " ".join(path), command


def options(command: Any) -> set[str]:
    names = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return {name for name in names if name.startswith("--")}


VERBS = {name: options(command) for name, command in verbs(typer.main.get_command(app))}


def test_the_program_has_its_verbs() -> None:
    assert {"forecast", "backtest", "train forecaster"} <= VERBS.keys()
    assert "--lead-time" in VERBS["forecast"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_option_is_documented(verb: str) -> None:
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    assert f"`recurra {verb} " in page
    assert {option for option in VERBS[verb] if f"`{option}`" not in page} == set()


def test_no_option_is_documented_that_is_not_there() -> None:
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    known = set().union(*VERBS.values()) | {"--help", "--version"}
    assert set(re.findall(r"--[a-z][a-z-]+", page)) - known == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_documentation_would_run(page: Path) -> None:
    for line in page.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        for verb, known in VERBS.items():
            for command in re.findall(rf"recurra {verb} ([^`|#]*)", line):
                assert set(re.findall(r"--[a-z][a-z-]+", command)) <= known | {"--help"}, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_files_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8")):
        if "://" not in link:
            assert (page.parent / link).exists(), link
