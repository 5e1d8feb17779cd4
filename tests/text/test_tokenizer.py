from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.errors import InputError, ModelError, UsageError
from recurra.text.splitting import PATTERNS, SIGHT, split
from recurra.text.tokenizer import Tokenizer

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


PAGES = [
    page.read_text(encoding="utf-8") for page in sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
]
READER = Tokenizer.train(PAGES, size=1500)
THEIRS = tokenizers.Tokenizer.from_str(READER.to_json())


@given(text=st.text(st.sampled_from("ethsainrocdlu"), min_size=1, max_size=32))
def test_words_that_are_not_known_are_joined_in_the_order_of_learning(text: str) -> None:
    assert READER.encode(text).tolist() == THEIRS.encode(text).ids


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


@pytest.mark.parametrize("size", [260, 290, 100_000])
def test_the_pairs_are_those_that_hugging_face_learns_from_the_same_words(size: int) -> None:
    ours = Tokenizer.train(TEXT, "bpe", size)
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.Tokenizer.from_str(ours.to_json()).pre_tokenizer
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size - 1, initial_alphabet=alphabet, show_progress=False
    )
    theirs.train_from_iterator(TEXT, trainer)
    assert json.loads(ours.to_json())["model"]["merges"] == json.loads(theirs.to_str())["model"]["merges"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if PATTERNS[kind]])
def test_long_texts_are_cut_where_no_word_is(kind: str) -> None:
    pattern = re.compile(PATTERNS[kind])
    text = "".join(TEXT) * 5 + " " * 200 + "x" * 333 + "…" * 100 + "9" * 99
    for window in (2 * SIGHT, 200, 257):
        assert sum(split(pattern, text, window), []) == pattern.findall(text)  # noqa: RUF017


def test_a_name_of_a_special_token_is_never_learnt_as_a_piece_of_text() -> None:
    tokenizer = Tokenizer.train(["seal sealing seals sea"] * 9, size=300, specials=["sea", "Ġsea"])
    assert not {b"sea", b" sea"} & set(tokenizer.pieces)
    assert len(set(tokenizer.pieces)) == tokenizer.size - 2
    assert Tokenizer.from_json(tokenizer.to_json()) == tokenizer
    assert tokenizer.decode(tokenizer.encode("seals sea")) == "seals sea"


def test_special_tokens_are_never_in_a_text_and_have_no_bytes() -> None:
    tokenizer = Tokenizer.train(["<|blog|> <|end|> blog"] * 9, "spaced", specials=["<|blog|>", "Ġblog"])
    assert tokenizer.specials == ("<|end|>", "<|blog|>", "Ġblog")
    assert [tokenizer.special(name) for name in tokenizer.specials] == [0, 1, 2]
    assert tokenizer.pieces[:3] == [b"", b"", b""]
    assert tokenizer.encode("<|blog|><|end|> blog").min() > 2
    assert tokenizer.decode([1, *tokenizer.encode("a"), 0]) == "a"
    assert Tokenizer.from_json(tokenizer.to_json()) == tokenizer
    with pytest.raises(UsageError, match=r"no such special token.*<\|blog\|>"):
        tokenizer.special("<|social|>")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"kind": "letters"}, "There are: bpe, words"),
        ({"size": 256}, "has 257"),
        ({"size": 1 << 21}, "to 1048576 tokens"),
        ({"specials": ["a", "a"]}, "same name"),
        ({"specials": ["<|end|>"]}, "same name"),
        ({"specials": [""]}, "1 to 256 characters"),
        ({"specials": ["a\nb"]}, "1 to 256 characters"),
        ({"specials": "blog"}, "list of names"),
    ],
)
def test_arguments_that_cannot_be_are_told(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Tokenizer.train(["a"], **arguments)


@pytest.mark.parametrize("token", [-1, 257, 10**20])
def test_a_number_that_is_no_token_is_told(token: int) -> None:
    with pytest.raises(UsageError, match=rf"from 0 to 256 .found '{token}'"):
        Tokenizer.train([], "bytes").decode([3, token])


def test_nothing_to_learn_from_leaves_the_bytes() -> None:
    for kind in KINDS:
        assert Tokenizer.train([], kind).size == 257
        assert Tokenizer.train([""], kind).size == 257


GOOD = TOKENIZERS["bpe"].to_json()


def spoilt(**changes: Any) -> str:
    """The file with parts replaced; `model.` parts are in the model."""
    content = json.loads(GOOD)
    for key, value in changes.items():
        if key in content["model"]:
            content["model"][key] = value
        else:
            content[key] = value
    return json.dumps(content)


VOCABULARY: dict[str, Any] = json.loads(GOOD)["model"]["vocab"]
HOSTILE_SPLIT = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "[" * 100_000,
        '{"model": {}}',
        GOOD[: len(GOOD) // 2],
        spoilt(model=3),
        spoilt(pre_tokenizer=HOSTILE_SPLIT),
        spoilt(added_tokens=[]),
        spoilt(added_tokens=[3]),
        spoilt(added_tokens=json.loads(GOOD)["added_tokens"] * 2),
        spoilt(vocab={}),
        spoilt(vocab=VOCABULARY | {"a": True}),
        spoilt(vocab=VOCABULARY | {"a": -1}),
        spoilt(vocab=VOCABULARY | {"a": 2**70}),
        spoilt(vocab=VOCABULARY | {"a": VOCABULARY["b"]}),
        spoilt(vocab=VOCABULARY | {"": len(VOCABULARY)}),
        spoilt(vocab=VOCABULARY | {"a b": len(VOCABULARY)}),
        spoilt(vocab=VOCABULARY | {"a" * 5000: len(VOCABULARY)}),
        spoilt(vocab={name: token for name, token in VOCABULARY.items() if name != "<|blog|>"}),
        spoilt(vocab=dict(list(VOCABULARY.items())[:-1])),
        spoilt(merges=[["a", "\x00"]]),
        spoilt(merges=[["Q", "Q"]]),
        spoilt(merges=[["a"]]),
        spoilt(merges=[3]),
        spoilt(merges=json.loads(GOOD)["model"]["merges"][:1] * 2),
        spoilt(merges=[["<|end|>", "a"]]),
    ],
    ids=lambda text: f"{len(text)}",
)
def test_a_file_that_is_no_tokenizer_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="no recurra tokenizer"):
        Tokenizer.from_json(text)


@given(data=st.data())
@settings(max_examples=30)
def test_a_file_with_any_value_changed_is_a_tokenizer_or_refused(data: st.DataObject) -> None:
    content = json.loads(GOOD)
    key = data.draw(st.sampled_from(["added_tokens", "pre_tokenizer", "vocab", "merges", "model"]))
    plain = st.none() | st.booleans() | st.integers() | st.text()
    values = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
    changed = data.draw(values)
    (content["model"] if key in content["model"] else content)[key] = changed
    if key == "merges" and changed in ([], {}, ""):
        return
    with pytest.raises(ModelError):
        Tokenizer.from_json(json.dumps(content))


def test_a_text_in_any_language_is_short() -> None:
    """Vowel signs and accents stay in their words, so that pairs can be learnt across them."""
    for text in ("हिन्दी ", "e\u0301te\u0301 ", "слово ", "ภาษาไทย "):
        tokenizer = Tokenizer.train([text * 100], size=300)
        assert len(tokenizer.encode(text * 10)) <= 12


@pytest.mark.parametrize("kind", ["bpe", "words", "characters", "bytes"])
def test_more_special_tokens_change_nothing_else(kind: str) -> None:
    before = Tokenizer.train(["the cat and the dog and the cat"] * 3, kind, None if kind == "bytes" else 300)
    after = before.with_specials(["<|kind:blog|>", "<|kind:story|>"])
    assert (after.encode("the cats, the dögs") - 2).tolist() == before.encode("the cats, the dögs").tolist()
    assert after.special("<|kind:story|>") == 2
    assert Tokenizer.from_json(after.to_json()) == after
    with pytest.raises(UsageError):
        after.with_specials(["<|kind:blog|>"])
