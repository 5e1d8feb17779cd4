from __future__ import annotations

import pytest

from recurra.errors import (
    InputError,
    MissingExtraError,
    ModelError,
    NotFittedError,
    RecurraError,
    UsageError,
)


def test_the_message_says_where_what_and_the_way_out() -> None:
    error = InputError("this is no date", file="a.csv", row=7, column="day", value="x", hint="Correct it.")
    assert str(error) == "a.csv, row 7, column 'day': this is no date (found 'x'). Correct it."
    assert error.as_dict() == {
        "kind": "InputError",
        "message": str(error),
        "what": "this is no date",
        "file": "a.csv",
        "row": 7,
        "column": "day",
        "value": "x",
        "hint": "Correct it.",
    }


def test_what_is_not_known_is_left_out() -> None:
    assert str(RecurraError("it broke")) == "it broke."
    assert RecurraError("it broke").as_dict().keys() == {"kind", "message", "what"}
    assert str(RecurraError("Is it there?", row=0)) == "row 0: Is it there?"
    assert RecurraError("none of it", row=0, value="").as_dict()["row"] == 0
    assert str(RecurraError("none of it", value="")) == "none of it (found '')."


@pytest.mark.parametrize(
    ("kind", "code", "also"),
    [
        (RecurraError, 1, Exception),
        (InputError, 1, ValueError),
        (ModelError, 1, InputError),
        (UsageError, 2, ValueError),
        (NotFittedError, 2, AttributeError),
        (MissingExtraError, 2, ImportError),
    ],
)
def test_each_kind_has_its_exit_code_and_its_place(
    kind: type[RecurraError], code: int, also: type[Exception]
) -> None:
    assert kind.exit_code == code
    assert issubclass(kind, (RecurraError, also))
    assert issubclass(kind, also)


def test_a_missing_package_names_the_command_that_brings_it() -> None:
    assert str(MissingExtraError.of("torch", "train")) == (
        "torch is not installed. Install it with: pip install 'recurra[train]'."
    )
