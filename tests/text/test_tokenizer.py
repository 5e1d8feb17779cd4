from __future__ import annotations

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import InputError
from recurra.text import Tokenizer
from recurra.text.splitting import PATTERNS

TEXT = [
    "The sea was calm that day; the sailors weren't.\n\nIt's 12:30 — “let's go”, said the captain’s mate.\n",
    "the sea   the  sea\tthe sea\r\n  the sea ", "Ça va? हिन्दी में लिखो। 海は静かだ。👩‍🚀 e\u0301 <|end|> 1234567",
]  # fmt: skip
KINDS = tuple(PATTERNS)


def trained(kind: str, size: int | None = 300) -> Tokenizer:
    return Tokenizer.train(TEXT * 3, kind, size, specials=["<|blog|>"])


TOKENIZERS = {kind: trained(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text())
def test_every_text_comes_back(kind: str, text: str) -> None:
    tokenizer = TOKENIZERS[kind]
    tokens = tokenizer.encode(text)
    assert tokens.dtype == np.int32
    assert (tokens >= len(tokenizer.specials)).all()
    assert tokenizer.decode(tokens) == text
    assert b"".join(tokenizer.pieces[token] for token in tokens) == text.encode()


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text() | st.text(st.sampled_from("the sea's’ \n\r\t\u2009.,!1é海\x85\x1c"), max_size=200))
def test_hugging_face_reads_the_file_and_gives_the_same_tokens(kind: str, text: str) -> None:
    theirs = tokenizers.Tokenizer.from_str(TOKENIZERS[kind].to_json())
    text = text.replace("<|", "")
    ids = theirs.encode(text).ids
    assert ids == TOKENIZERS[kind].encode(text).tolist()
    assert theirs.decode(ids) == text


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_gives_the_same_tokenizer(kind: str) -> None:
    again = Tokenizer.from_json(TOKENIZERS[kind].to_json())
    assert again == TOKENIZERS[kind]
    assert again.pieces == TOKENIZERS[kind].pieces
    assert again.kind == kind


def test_tokens_stand_by_falling_frequency() -> None:
    tokenizer = Tokenizer.train(["b a a a c c"], "characters")
    assert tokenizer.pieces[:5] == [b"", b" ", b"a", b"c", b"b"]
    assert Tokenizer.train(["to be or not to be\n" * 3], "spaced").pieces[1:3] == [b" be", b"\n"]


def test_half_a_surrogate_pair_is_refused_and_its_place_said() -> None:
    with pytest.raises(InputError, match="at character 2"):
        TOKENIZERS["bpe"].encode("ab\ud83d")
