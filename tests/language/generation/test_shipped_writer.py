"""The English writer that comes with recurra: it is whole, small, as good as it was, and needs no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import recurra
from recurra import native
from recurra.language.generation import LanguageModel

FOLDER = Path(recurra.__file__).parent / "pretrained" / "writer"
# Of none of the texts that it learned from: Lewis Carroll, A Tangled Tale; Shakespeare's Sonnets; a talk of our own.
HELD_OUT = {
    "prose": (
        "The goblin leads them straight to bed, said the old gentleman, and looked about him as if he expected to be "
        "answered. The two travellers said nothing. They had walked all day over the hills, and the light was nearly "
        "gone when they came down to the inn. There was a fire in the great room, and a woman sat beside it with a "
        "child upon her knee, who looked up at them and laughed."
    ),
    "drama": (
        "First Citizen:\nWhat news, my lord? The king is at the gate,\nAnd all his men are come to hear thy voice.\n\n"
        "DUKE:\nThen let them come, and let the doors be shut;\nI will not speak with any man tonight.\n"
    ),
    "chat": (
        "– Hi, how are you doing today?\n– I'm good, thanks! Just got back from class. How about you?\n"
        "– Pretty good. I have a lot of homework to do this weekend.\n– Oh no, what are you studying?\n"
    ),
}


@pytest.fixture(scope="module")
def writer() -> LanguageModel:
    return LanguageModel.load(FOLDER)


def test_it_is_small_and_says_what_it_knows(writer: LanguageModel) -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 10 * 10**6
    assert writer.kinds_ == ("chat", "drama", "prose")
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for said in ("Shakespeare", "chitchat (MIT)", "public domain", "train_writer.py"):
        assert said in card


@pytest.mark.skipif(not native.available(), reason="the extension was not built")
@pytest.mark.parametrize("kind", HELD_OUT)
def test_it_knows_each_kind(writer: LanguageModel, kind: str) -> None:
    """Bits a byte of text that it has not seen; and it reads each kind best as what it is."""
    text = HELD_OUT[kind]
    bits = {each: writer.score(text, kind=each).bits_per_byte for each in writer.kinds_}
    assert bits[kind] < 2.2
    assert bits[kind] == min(bits.values())


@pytest.mark.skipif(not native.available(), reason="the extension was not built")
def test_it_writes_the_same_under_a_seed_and_without_torch(writer: LanguageModel) -> None:
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "from recurra.cli import main\n"
        "sys.argv = ['recurra', 'write', 'The sea was', '--seed', '3', '--max-tokens', '20']\n"
        "main()\n"
    )
    first, second = (
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
        ).stdout
        for _ in range(2)
    )
    assert first == second
    assert first.startswith("The sea was")
    assert len(first) > 30
