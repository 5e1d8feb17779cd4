"""Texts and labels as people hand them over: lists, arrays, columns of a table; and what is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.errors import InputError, UsageError
from recurra.sources import Source

__all__ = ["Column", "Label", "Labels", "label_weights", "labels_of", "read_columns", "texts_of"]

Label = str | int | bool
SHOWN = 10  # names that an error lists

TEXT_NAMES = ("text", "body", "sentence", "review", "comment", "message", "content", "question", "utterance")
LABEL_NAMES = ("label", "class", "category", "intent", "sentiment", "stars", "rating", "target")


class Labels(NamedTuple):
    """Which classes there are, in order, and the number of each text's (N,)."""

    classes: tuple[Label, ...]
    numbers: NDArray[np.int64]


class Column(NamedTuple):
    """What a table's column holds, and the row in the file of each."""

    name: str
    values: list[Any]
    rows: list[int]


def texts_of(texts: Any) -> list[str]:
    """The texts of a list, an array or a column; InputError, naming the place, for what is no text."""
    if isinstance(texts, (str, bytes)) or not isinstance(texts, Iterable):
        raise UsageError(
            "a list of texts is expected", value=_short(texts), hint="Put a single text into a list."
        )
    found = list(texts)
    for number, text in enumerate(found, start=1):
        if not isinstance(text, str):
            kind = "missing" if _is_missing(text) else type(text).__name__
            raise InputError(
                "this is no text", row=number, value=kind, hint="Leave it out, or give '' for none."
            )
    return found


def labels_of(labels: Any, count: int) -> Labels:
    """The labels of `count` texts; UsageError for another number of them, InputError for what cannot be a label."""
    if isinstance(labels, (str, bytes)) or not isinstance(labels, Iterable):
        raise UsageError("a list of labels is expected", value=_short(labels))
    plain = [_label(label, number) for number, label in enumerate(labels, start=1)]
    if len(plain) != count:
        raise UsageError(f"{count:,} texts need as many labels", value=f"{len(plain):,} labels")
    kinds = {type(label) for label in plain}
    if len(kinds) > 1:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise InputError("labels are all texts, or all whole numbers", value=names)
    classes = tuple(sorted(set(plain)))
    numbers = {label: number for number, label in enumerate(classes)}
    return Labels(classes, np.array([numbers[label] for label in plain], np.int64))


def label_weights(
    wanted: str | Mapping[Any, float] | None, classes: Sequence[Label], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """How much a text of each class counts in training, 1 on average over the texts.

    None: all the same; "balanced": each class as much as any other; a mapping: of a class, 1 where it names none.
    Raises UsageError for a class that there is none of, and for weights that are not above 0.
    """
    if wanted is None:
        weights = np.ones(len(classes))
    elif isinstance(wanted, str):
        if wanted != "balanced":
            raise UsageError("class_weight is 'balanced', a mapping or None", value=wanted)
        weights = 1 / counts
    else:
        # In a model folder every key is a text.
        given = {str(name): weight for name, weight in wanted.items()}
        if unknown := sorted(given.keys() - {str(each) for each in classes}):
            hint = f"There are: {_names(classes)}."
            raise UsageError("class_weight names a label that no text has", value=unknown[0], hint=hint)
        weights = np.array([float(given.get(str(each), 1.0)) for each in classes])
        if not (np.isfinite(weights) & (weights > 0)).all():
            raise UsageError("a class weight is a number above 0", value=weights.min())
    found: NDArray[np.float64] = weights * counts.sum() / (weights * counts).sum()
    return found


def read_columns(
    source: Source,
    text: str | None,
    label: str | None,
    *,
    labelled: bool,
    say: Callable[[str], object],
) -> tuple[Column, Column | None]:
    """The columns of texts and labels in a table (`recurra.sources`); without a name the usual names are looked for.

    Rows without a text, or without a label where one is wanted, are left out, and `say` is told how many. Raises
    InputError for columns that are not there, naming those that are.
    """
    from recurra.sources.table import read_source

    table = read_source(source, say=say)
    columns = table.frame.columns
    text_name = _column(source, columns, text, TEXT_NAMES, "text")
    label_name = _column(source, columns, label, LABEL_NAMES, "label") if labelled or label else None
    if text_name == label_name:
        raise UsageError("texts and labels stand in different columns", value=text_name)
    texts = table.frame[text_name].to_list()
    labels = None if label_name is None else table.frame[label_name].to_list()
    rows = range(1 + table.header_rows, len(texts) + 1 + table.header_rows)
    kept = [n for n, value in enumerate(texts) if isinstance(value, str) and value.strip()]
    for n, value in enumerate(texts):
        if value is not None and not isinstance(value, str):
            raise InputError(
                "this is no text", file=source, row=rows[n], column=text_name, value=_short(value)
            )
    if len(kept) < len(texts):
        say(f"{_rows(len(texts) - len(kept))} without a text left out.")
    if labels is not None:
        with_label = [n for n in kept if not _is_missing(labels[n]) and str(labels[n]).strip()]
        if len(with_label) < len(kept):
            say(f"{_rows(len(kept) - len(with_label))} without a label left out.")
        kept = with_label
    if not kept:
        raise InputError("no row has a text and a label", file=source)
    numbers = [rows[n] for n in kept]
    found = None
    if label_name is not None and labels is not None:
        found = Column(label_name, [labels[n] for n in kept], numbers)
    return Column(text_name, [texts[n] for n in kept], numbers), found


def _column(
    source: Source, columns: Sequence[str], named: str | None, usual: Sequence[str], what: str
) -> str:
    option = f"Name it with --{what}."
    if named is not None:
        if named in columns:
            return named
        raise InputError(
            "there is no such column", file=source, value=named, hint=f"There are: {_names(columns)}."
        )
    by_name = {column.strip().lower(): column for column in columns}
    if found := [by_name[name] for name in usual if name in by_name]:
        return found[0]
    raise InputError(
        f"no column is called as one of {what}s is", file=source, value=_names(columns), hint=option
    )


def _label(label: Any, number: int) -> Label:
    if isinstance(label, np.generic):
        label = label.item()
    if _is_missing(label) or label == "":
        raise InputError("this text has no label", row=number, hint="Leave the text out, or give it a label.")
    if isinstance(label, float) and label.is_integer():
        return int(label)  # whole numbers in a column that once had gaps
    if isinstance(label, (str, int)):
        return label
    raise InputError("a label is a text or a whole number", row=number, value=_short(label))


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _names(names: Sequence[object]) -> str:
    shown = ", ".join(map(str, names[:SHOWN]))
    return shown if len(names) <= SHOWN else f"{shown}, … ({len(names)} in all)"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
