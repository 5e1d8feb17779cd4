"""`recurra suggest TEXT` without the command line's library, whose loading takes longer than all the rest."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recurra.console import Console
from recurra.errors import RecurraError, UsageError

if TYPE_CHECKING:
    from recurra.language.suggestion import Keyboard, Personal

__all__ = ["answer", "keyboard", "personal_layer", "show"]

SHIPPED = Path(__file__).parents[1] / "pretrained" / "keyboard"


def answer(arguments: Sequence[str]) -> bool:
    """Answer a plain `suggest`; False, and nothing is done, for all else and for what goes wrong."""
    if len(arguments) < 2 or arguments[0] != "suggest":
        return False
    texts: list[str] = []
    model, k, personal, as_json = None, 3, True, False
    rest = iter(arguments[1:])
    for each in rest:
        if each == "--json":
            as_json = True
        elif each == "--no-personal":
            personal = False
        elif each == "--model":
            model = Path(next(rest, ""))
        elif each == "-k":
            number = next(rest, "")
            if not number.isascii() or not number.isdigit():
                return False
            k = int(number)
        elif each.startswith("-"):
            return False
        else:
            texts.append(each)
    if len(texts) != 1 or not 1 <= k <= 1000 or model == Path():
        return False
    # NumPy's BLAS would start a thread for each core, which takes longer than the answer, and nothing here uses it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        console = Console(as_json=as_json)
        show(console, keyboard(console, model, personal), texts[0], k)
    except RecurraError:
        return False  # what goes wrong is told in the usual way
    return True


def show(console: Console, model: Keyboard, text: str, k: int) -> None:
    """Print what a keyboard suggests."""
    found = model.suggest(text, k=k)
    if not console.as_json:
        print(" · ".join(each.text for each in found))
    console.result({"text": text, "suggestions": [each._asdict() for each in found]})


def keyboard(console: Console, folder: Path | None, personal: bool) -> Keyboard:
    """The keyboard of a folder, or the one that comes with recurra, with the personal layer."""
    from recurra.language.suggestion import Keyboard

    if folder is None and not SHIPPED.is_dir():
        hint = (
            "Train one on your texts: recurra train keyboard TEXTS… --out FOLDER; then give --model FOLDER."
        )
        raise UsageError("this recurra comes without a keyboard", hint=hint)
    made = Keyboard.load(folder or SHIPPED)
    if personal:
        made.personal = personal_layer(console)
    return made


def personal_layer(console: Console) -> Personal:
    """What was learnt from whoever uses this computer's account."""
    from recurra.language.suggestion.personal import Personal

    layer = Personal.open()
    if layer.torn:
        console.note(f"The last line of {layer.file} was not written to its end, and is left out.")
    return layer
