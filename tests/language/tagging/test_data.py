"""Readers of tagged sentences: what they understand, and how they say what is wrong."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import InputError, RecurraError, UsageError
from recurra.language.tagging.data import Corpus, read_corpus

CONLLU = """# text = Don't go.
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVB\t_\t0\troot\t_\t_
2\tn't\tnot\tPART\tRB\t_\t1\tadvmod\t_\t_
2.1\tyou\tyou\tPRON\tPRP\t_\t_\t_\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t1\txcomp\t_\tSpaceAfter=No

1\t#hash\t_\tX\tXX\t_\t_\t_\t_\t_
"""
WORD = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)


def reading(tmp_path: Path, name: str, content: str | bytes, **options: object) -> Corpus:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_corpus(file, **options)  # type: ignore[arg-type]


def test_conllu_leaves_out_ranges_and_empty_nodes(tmp_path: Path) -> None:
    found = reading(tmp_path, "a.conllu", CONLLU)
    assert found.tokens == [["Do", "n't", "go"], ["#hash"]]
    assert found.tags == [["AUX", "PART", "VERB"], ["X"]]
    assert found.rows == [2, 8]
    assert reading(tmp_path, "a.conllu", CONLLU, column="XPOS").tags[0] == ["VB", "RB", "VB"]
    assert reading(tmp_path, "a.conllu", CONLLU, tagged=False).tags == [[], []]
    windows = b"\xef\xbb\xbf" + CONLLU.replace("\n", "\r\n").encode()
    assert reading(tmp_path, "a.conllu", windows).tokens == found.tokens


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_packed_files_are_read(tmp_path: Path, suffix: str, pack: object) -> None:
    found = reading(tmp_path, f"a.conllu{suffix}", pack(CONLLU.encode()))  # type: ignore[operator]
    assert found.tokens == [["Do", "n't", "go"], ["#hash"]]


def test_columns_are_apart_by_tabs_or_blanks(tmp_path: Path) -> None:
    blanks = "-DOCSTART- -X- O\n\nEU NNP B-ORG\nrejects VBZ O\n\n\nPeter NNP B-PER"
    found = reading(tmp_path, "a.conll", blanks)
    assert (found.tokens, found.tags) == ([["EU", "rejects"], ["Peter"]], [["B-ORG", "O"], ["B-PER"]])
    assert reading(tmp_path, "a.conll", blanks, column="2").tags == [["NNP", "VBZ"], ["NNP"]]
    assert reading(tmp_path, "a.tsv", "New York\tB-LOC\n").tokens == [["New York"]]
    assert reading(tmp_path, "a.txt", "la\n\ndomo\n", tagged=False).tokens == [["la"], ["domo"]]


def test_json_lines_name_their_lists(tmp_path: Path) -> None:
    lines = '{"tokens": ["a", "b"], "tags": ["X", "Y"], "ner": ["O", "O"]}\n\n'
    lines += '{"words": ["c"], "labels": ["X"], "ner": ["O"]}'
    assert reading(tmp_path, "a.jsonl", lines).tags == [["X", "Y"], ["X"]]
    assert reading(tmp_path, "a.jsonl", lines, column="ner").tags == [["O", "O"], ["O"]]


@given(st.lists(st.lists(st.tuples(WORD, WORD), min_size=1, max_size=4), min_size=1, max_size=4))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[list[tuple[str, str]]]
) -> None:
    folder = tmp_path_factory.mktemp("round")
    pairs = [[(w, t) for w, t in each if w != "-DOCSTART-"] or [("a", "b")] for each in pairs]
    tokens, tags = [[w for w, _ in each] for each in pairs], [[t for _, t in each] for each in pairs]
    columns = "\n\n".join("\n".join("\t".join(pair) for pair in each) for each in pairs)
    found = reading(folder, "a.tsv", columns)
    assert (found.tokens, found.tags) == (tokens, tags)
    lines = "\n".join(json.dumps({"tokens": w, "tags": t}) for w, t in zip(tokens, tags, strict=True))
    found = reading(folder, "a.jsonl", lines)
    assert (found.tokens, found.tags) == (tokens, tags)


@given(
    st.binary(max_size=200),
    st.sampled_from([".conllu", ".conll", ".jsonl", ".tsv", ".conllu.gz", ".jsonl.zip"]),
)
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    try:
        found = reading(tmp_path_factory.getbasetemp(), f"any{name}", content)
    except RecurraError:
        return  # that it names its place is tested below
    assert [len(each) for each in found.tokens] == [len(each) for each in found.tags]
    assert all(found.tokens)


@pytest.mark.parametrize(
    ("name", "content", "row", "what"),
    [
        ("a.conllu", "1\tDo\tdo\tAUX\n", 1, "10 columns, this line 4"),
        ("a.conllu", CONLLU.replace("2\tn't", "two\tn't"), 4, "a word's number"),
        ("a.conllu", CONLLU.replace("\tPART\t", "\t_\t"), 4, "a word has no tag"),
        ("a.conllu", CONLLU.replace("\tDo\t", "\t \t"), 3, "there is no word"),
        ("a.conll", "a X\nb\n", 2, "1 columns, those before it 2"),
        ("a.conll", "a\nb\n", 1, "no column 2 with tags"),
        ("a.jsonl", '{"tokens": ["a"], "tags": ["X"]}\n{"tokens": ["a"]}', 2, "there is no tags"),
        ("a.jsonl", '{"tokens": ["a"], "tags": []}', 1, "1 words and 0 tags"),
        ("a.jsonl", '{"tokens": "a", "tags": []}', 1, "a list of texts"),
        ("a.jsonl", '{"tokens": [1], "tags": ["X"]}', 1, "a list of texts"),
        ("a.jsonl", "[1]", 1, "one object"),
        ("a.jsonl", "{", 1, "no JSON"),
        ("a.tsv", b"a\tX\nb\x81\tX\n", 2, "neither UTF-8 nor cp1252"),
        ("a.tsv", b"a\tX\nb\0\tX\n", 2, "zero bytes"),
    ],
)
def test_errors_name_file_and_line(
    tmp_path: Path, name: str, content: str | bytes, row: int, what: str
) -> None:
    with pytest.raises(InputError, match=what) as raised:
        reading(tmp_path, name, content)
    assert raised.value.row == row
    assert raised.value.file == str(tmp_path / name)


def test_what_is_no_such_file_is_told(tmp_path: Path) -> None:
    for name in ("a.conllu", "a.conll", "a.jsonl"):
        with pytest.raises(InputError, match="holds no sentence"):
            reading(tmp_path, name, "\n\n")
    with pytest.raises(UsageError, match="what kind of file"):
        reading(tmp_path, "a.pdf", "x")
    with pytest.raises(UsageError, match="no such column"):
        reading(tmp_path, "a.conllu", CONLLU, column="tag")
    with pytest.raises(UsageError, match="a number, 2 or more"):
        reading(tmp_path, "a.conll", "a X", column="1")
    with pytest.raises(UsageError, match="no such encoding"):
        reading(tmp_path, "a.conll", "a X", encoding="utf-9")
    assert reading(tmp_path, "a.conll", "\xe9 X".encode("cp1252"), encoding="cp1252").tokens == [["é"]]


def test_other_encodings_are_read_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    found = reading(tmp_path, "a.tsv", b"caf\xe9\tX\nb\tY\n", say=said.append)
    assert found.tokens == [["café", "b"]]
    assert "line 1 the first" in said[0]
    assert reading(tmp_path, "a.tsv", "é\tX\n".encode("utf-16")).tokens == [["é"]]


def test_a_giant_line_is_refused_without_reading_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recurra.language.tagging.data.LONGEST_LINE", 1000)
    with pytest.raises(InputError, match="longer than") as raised:
        reading(tmp_path, "a.conll", "a X\n" + "x" * 5000)
    assert raised.value.row == 2
