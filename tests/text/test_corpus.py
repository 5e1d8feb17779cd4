from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from recurra.errors import InputError, UsageError
from recurra.text.corpus import Corpus
from recurra.text.documents import Files, Texts
from recurra.text.tokenizer import Tokenizer

TEXTS = [f"Text number {number}: " + "the sea " * number for number in range(40)]
KINDS = ["odd" if number % 2 else "even" for number in range(40)]
TOKENIZER = Tokenizer.train(TEXTS, size=300)


@pytest.mark.parametrize("cached", [False, True])
def test_documents_stand_between_end_tokens(cached: bool, tmp_path: Path) -> None:
    texts = ["a b", " ", "the sea", "ü"]
    corpus = Corpus.make(Texts(texts, ["x", "y", None, "b"]), TOKENIZER, tmp_path if cached else None)
    assert corpus.documents == 3
    assert corpus.kinds == ("b", "x")
    assert corpus.kind_of.tolist() == [1, -1, 0]
    assert corpus.tokens.dtype == np.uint16
    assert corpus.tokens[corpus.starts].tolist() == [0, 0, 0, 0]
    parts = np.split(corpus.tokens, corpus.starts[1:])
    assert [TOKENIZER.decode(part[1:]) for part in parts] == ["a b", "the sea", "ü", ""]


def test_the_cache_is_used_again_for_the_same_documents_and_tokenizer_only(tmp_path: Path) -> None:
    def made(texts: list[str], tokenizer: Tokenizer) -> int:
        Corpus.make(Texts(texts), tokenizer, tmp_path)
        return len(list(tmp_path.iterdir()))

    assert made(TEXTS, TOKENIZER) == 1
    assert made(TEXTS, TOKENIZER) == 1
    assert made(TEXTS[1:], TOKENIZER) == 2
    assert made(TEXTS, Tokenizer.train([], "bytes")) == 3


@pytest.mark.parametrize("name", ["tokens.bin", "starts.bin", "kinds.bin", "corpus.json"])
def test_a_damaged_cache_is_told(name: str, tmp_path: Path) -> None:
    Corpus.make(Texts(TEXTS), TOKENIZER, tmp_path)
    (folder,) = tmp_path.iterdir()
    (folder / name).write_bytes((folder / name).read_bytes()[:-8])
    with pytest.raises(InputError, match=r"damaged.*Remove this folder"):
        Corpus.make(Texts(TEXTS), TOKENIZER, tmp_path)


def test_documents_that_cannot_be_read_leave_no_cache(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("good")
    (tmp_path / "b.txt").write_bytes(b"bad\x81")
    with pytest.raises(InputError, match=r"b.txt, row 1"):
        Corpus.make(Files([tmp_path / "a.txt", tmp_path / "b.txt"]), TOKENIZER, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_another_is_writing_is_not(tmp_path: Path) -> None:
    Corpus.make(Texts(TEXTS), TOKENIZER, tmp_path / "one")
    (made,) = (tmp_path / "one").iterdir()
    for process, age in ((1, 7200), (2, 60)):
        folder = tmp_path / "two" / f".{made.name}.new-{process}"
        folder.mkdir(parents=True)
        (folder / "tokens.bin").write_bytes(b"half")
        os.utime(folder / "tokens.bin", (time.time() - age,) * 2)
    Corpus.make(Texts(TEXTS), TOKENIZER, tmp_path / "two")
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == [f".{made.name}.new-2", made.name]


def test_whole_documents_are_held_out() -> None:
    corpus = Corpus.make(Texts(TEXTS, KINDS), TOKENIZER)
    kept, out = corpus.split(0.2, seed=1)
    assert kept.size + out.size == len(corpus.tokens) - 1
    assert 0.2 <= out.size / len(corpus.tokens) < 0.4
    spans = np.concatenate([kept.spans, out.spans])
    assert sorted(spans[:, 0]) == corpus.starts[:-1].tolist()
    assert [corpus.kinds[kind] for kind in out.kinds] == [
        KINDS[np.searchsorted(corpus.starts, start)] for start in out.spans[:, 0]
    ]
    assert corpus.split(0.2, seed=1)[1].spans.tolist() == out.spans.tolist()
    assert corpus.split(0.2, seed=2)[1].spans.tolist() != out.spans.tolist()


def test_the_ends_of_few_documents_are_held_out() -> None:
    corpus = Corpus.make(Texts(["the sea " * 50, "a", "the sky " * 30]), TOKENIZER)
    kept, out = corpus.split(0.1)
    assert kept.spans[:, 0].tolist() == corpus.starts[:-1].tolist()
    assert out.spans[:, 1].tolist() == corpus.starts[[1, 3]].tolist()
    assert kept.size + out.size == len(corpus.tokens) - 1


@pytest.mark.parametrize("share", [0, 1, -0.5, float("nan")])
def test_a_share_that_cannot_be_held_out_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="share"):
        Corpus.make(Texts(TEXTS), TOKENIZER).split(share)


def test_too_few_tokens_to_hold_out_are_told() -> None:
    with pytest.raises(UsageError, match="too few tokens"):
        Corpus.make(Texts(["a"]), TOKENIZER).split()


def test_a_document_in_parts_has_one_end_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recurra.sources.packed.CHUNK", 8)
    (tmp_path / "a.txt").write_text("the sea\n" * 9)
    (tmp_path / "b.txt").write_text("end")
    files = Files([tmp_path])
    assert sum(document.more for document in files) == 8
    corpus = Corpus.make(files, TOKENIZER)
    assert corpus.documents == 2
    assert np.flatnonzero(corpus.tokens == 0).tolist() == corpus.starts.tolist()
    assert TOKENIZER.decode(corpus.tokens) == "the sea\n" * 9 + "end"


def test_something_is_always_kept() -> None:
    kept, out = Corpus.make(Texts(TEXTS), TOKENIZER).split(0.9999)
    assert len(kept.spans) == 1
    assert len(out.spans) == len(TEXTS) - 1
