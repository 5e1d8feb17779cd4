from __future__ import annotations

from typing import Any

import pytest

import recurra


def test_version(run: Any) -> None:
    answer = run("--version")
    assert (answer.code, answer.out) == (0, f"{recurra.__version__}\n")


def test_no_verb_shows_the_verbs(run: Any) -> None:
    answer = run()
    assert answer.code == 2
    for verb in ("forecast", "backtest", "train", "write"):
        assert verb in answer.out + answer.err


DEFAULTS = {
    ("forecast",): ["28, or the model's", "0.95", "7 if daily", "backtest]", "none, only print"],
    ("backtest",): ["28", "3"],
    ("train", "forecaster"): ["28"],
}


@pytest.mark.parametrize("verb", DEFAULTS)
def test_every_verb_says_its_defaults(
    run: Any, verb: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    answer = run(*verb, "--help")
    assert answer.code == 0
    common = ["guessed", "inferred", "found", "returns", "pair", "lstm", "by the size of the data", "0"]
    for default in [*DEFAULTS[verb], *common]:
        assert f"default: {default}" in answer.out.replace("default: (", "default: "), default
