from __future__ import annotations

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.console import Console, progress
from recurra.errors import InputError, UsageError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def narrow(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    return terminal


def test_a_person_gets_tables_on_stdout_and_the_rest_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.note("Frequency daily.")
    console.say("Wrote a.csv")
    console.table("Sales", ["item", "sum"], [["tea", 1234], ["…", ""]])
    console.result({"a": 1})
    out, err = capsys.readouterr()
    assert err == "· Frequency daily.\nWrote a.csv\n"
    assert out.startswith("Sales\n")
    assert "│ tea  │ 1,234 │" in out
    assert '"a"' not in out


def test_a_program_gets_one_document_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(as_json=True)
    console.note("Frequency daily.")
    console.say("Wrote a.csv")
    console.table("Sales", ["item", "sum"], [["tea", 1234]])
    console.result({"a": "Ω"})
    out, err = capsys.readouterr()
    assert err == ""
    assert out.isascii()
    assert json.loads(out) == {"notes": ["Frequency daily."], "a": "Ω"}


def test_an_error_as_document_keeps_the_notes(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(as_json=True)
    console.note("Frequency daily.")
    error = InputError("this is wrong", row=3)
    assert console.error(error) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {"notes": ["Frequency daily."], "error": error.as_dict()}


def test_an_error_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    assert Console().error(UsageError("this does not fit", hint="Leave it out.")) == 2
    assert capsys.readouterr() == ("", "recurra: this does not fit. Leave it out.\n")


def test_a_document_never_holds_what_json_does_not_know() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        Console(as_json=True).result({"a": float("nan")})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (float("inf"), "–"),
        (1234567, "1,234,567"),
        (1234.56, "1,234.6"),
        (0.123456, "0.123"),
        (0.0, "0"),
        ("[red]a[/] :smile: [/b]", "[red]a[/] :smile: [/b]"),
        ("a\x1b[31mb\nc", "a�[31mb�c"),
        ("=cmd()", "=cmd()"),
        ("x" * 500, "x" * 47 + "…"),
    ],
)
def test_cells(value: object, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Console().table("T", ["name", "value"], [["a", value]])
    row = capsys.readouterr().out.splitlines()[-2]
    assert row.split("│")[2].strip() == text


@given(st.lists(st.tuples(st.text(), st.integers()), min_size=1, max_size=5))
def test_any_name_can_be_shown(rows: list[tuple[str, int]]) -> None:
    stdout, sys.stdout = sys.stdout, io.StringIO()
    try:
        Console().table("T", ["name", "value"], rows)
        lines = sys.stdout.getvalue().splitlines()
    finally:
        sys.stdout = stdout
    assert len(lines) == 5 + len(rows)
    for line, (_, value) in zip(lines[4:], rows, strict=False):
        assert f"{value:,}" in line


def test_a_pipe_has_no_width(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    columns = ["name", *(f"a rather long header {n}" for n in range(8))]
    Console().table("T", columns, [["a", *range(8)]])
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_a_narrow_terminal_gets_paragraphs(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = narrow(monkeypatch)
    columns = ["method", "weighted quantile loss", "in 80% range", "bias", "seconds"]
    Console().table("Backtest", columns, [["LSTM", 0.5, "80%", None, 1.5], ["… 3 more", "", "", "", ""]])
    lines = terminal.getvalue().splitlines()
    assert lines[:2] == ["Backtest", "LSTM"]
    assert " ".join(line.strip() for line in lines[2:-1]) == (
        "weighted quantile loss 0.5, in 80% range 80%, bias –, seconds 1.5"
    )
    assert lines[-1] == "… 3 more"
    assert all(len(line) <= 40 for line in lines)


def test_a_table_that_fits_stays_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = narrow(monkeypatch)
    Console().table("T", ["item", "sum"], [["tea", 5]])
    assert "┃" in terminal.getvalue()


@pytest.mark.parametrize(
    ("columns", "bar", "description"), [(60, False, False), (80, True, False), (120, True, True)]
)
def test_progress_in_a_terminal_shows_rate_and_time(
    columns: int, bar: bool, description: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    with progress("training on 1,000 series", 500) as work:
        for done in range(1, 501):
            work.update(done, "loss 0.1234")
    shown = terminal.getvalue()
    assert "500/500" in shown
    assert "steps/s" in shown
    assert "0:00:0" in shown
    assert "left" in shown
    assert "loss 0.1234" in shown
    assert ("━" in shown) is bar
    assert ("training on 1,000 series" in shown) is description
    assert "…" not in shown


def test_progress_is_silent_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("training", 3) as work:
        work.update(3, "loss 1")
    assert capsys.readouterr() == ("", "")


def test_progress_goes_away_when_the_work_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    def work() -> None:
        with progress("training", 3) as bar:
            bar.update(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert "\x1b[?25h" in terminal.getvalue()  # the cursor is back
