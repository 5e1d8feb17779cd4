from __future__ import annotations

import csv
import gzip
import json
import lzma
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import InputError, UsageError
from recurra.text import reading
from recurra.text.documents import Document, Files, Texts


def read(*paths: str | Path, **settings: object) -> list[Document]:
    return list(Files(paths, **settings))  # type: ignore[arg-type]


def texts(*paths: str | Path, **settings: object) -> list[str]:
    return [document.text for document in read(*paths, **settings)]


def test_a_folder_gives_its_files_in_order_with_kinds_and_says_what_it_left_out(tmp_path: Path) -> None:
    for name in ("blog/2.md", "blog/deep/1.txt", "social/x.txt", "top.txt", "blog/.hidden.txt", ".git/a.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\x00")
    (tmp_path / "LICENSE").write_text("none")
    (tmp_path / "blog" / "blank.txt").write_text(" \n")
    said: list[str] = []
    files = Files([tmp_path], say=said.append)
    assert [(document.text, document.kind) for document in files] == [
        ("top.txt", None), ("blog/2.md", "blog"), ("blog/deep/1.txt", "blog"), ("social/x.txt", "social"),
    ]  # fmt: skip
    assert said == ["Left out: 1 other files, 1 .png files, 1 blank."]
    assert len(list(files)) == 4
    assert len(said) == 1


def test_rows_of_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    rows = [
        {"text": "one", "kind": "blog"},
        "two",
        {"content": "thr\u2028ee", "kind": 3},
        {"turns": [{"text": "a"}, "b"]},
    ]
    file.write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    got = read(file, kind="kind")
    assert [(document.text, document.kind) for document in got] == [
        ("one", "blog"), ("two", None), ("thr\u2028ee", "3"), ("a\nb", None),
    ]  # fmt: skip
    assert got[2].where == f"{file}, row 5"


def test_rows_of_a_table(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text('stars;body\n5;"very\n""good"""\n1;bad\n\n', encoding="utf-8")
    got = read(f"{file}:body", kind="stars")
    assert [(document.text, document.kind) for document in got] == [('very\n"good"', "5"), ("bad", "1")]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.jsonl", '{"text": "a"}\n{"text": ', "a.jsonl, row 2: the line is no JSON"),
        ("a.jsonl", '{"text": "a"}\n[1]\n', "row 2: the line is no JSON object (found '[1]')"),
        ("a.jsonl", "[" * 100_000, "row 1: the line is no JSON"),
        ("a.jsonl", '{"title": "a"}', "the row has no text. It has: title. Name the text's after the path"),
        ("a.jsonl", '{"text": 3}', "row 1, column 'text': this is no text (found '3')"),
        ("a.csv", "text,text\na,b\n", "two columns have the same name"),
        ("a.csv", "text,stars\na,1\nb\n", "row 3: the row has 1 fields, the header 2 (found 'b')"),
        ("a.csv", "title,stars\na,1\n", "It has: title, stars."),
        ("a.txt", "", "there is no text"),
        ("a.txt", " \n\n", "there is no text"),
        ("a.txt", b"good\nbad \x00", "a.txt, row 2: this is not a text file (it holds zero bytes)"),
        ("a.txt", b"good\n\x81\x8d", "a.txt, row 2: this is neither UTF-8 nor cp1252 (found 'byte 81')"),
        ("a.txt.gz", b"no gzip", "damaged or not a .gz file"),
        ("a.zip", b"no zip", "damaged or not a .zip file"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_its_place(
    name: str, content: str | bytes, told: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as error:
        read(tmp_path / name)
    assert told in str(error.value)


def test_paths_that_are_not_there_are_told_before_reading(tmp_path: Path) -> None:
    (tmp_path / "posts.txt").write_text("a")
    with pytest.raises(InputError, match=r"Did you mean posts.txt\?"):
        Files([tmp_path / "post.txt"])
    with pytest.raises(UsageError, match="a text file has no columns"):
        Files([f"{tmp_path / 'posts.txt'}:body"])
    (tmp_path / "a.jsonl").write_text('{"text": "a"}')
    with pytest.raises(InputError, match=r"row has no such column.*It has: text"):
        read(f"{tmp_path / 'a.jsonl'}:body")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no file with text.*Give .txt, .md, .jsonl, .csv"):
        read(tmp_path / "empty")


def test_packed_files_are_read_like_the_file_in_them(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"gz"))
    (tmp_path / "b.jsonl.xz").write_bytes(lzma.compress(b'{"text": "xz"}'))
    with zipfile.ZipFile(tmp_path / "c.csv.zip", "w") as archive:
        archive.writestr("inner.csv", "text\nzip\n")
    assert texts(*(tmp_path / name for name in ("a.txt.gz", "b.jsonl.xz", "c.csv.zip"))) == [
        "gz",
        "xz",
        "zip",
    ]
    assert texts(tmp_path) == ["gz", "xz", "zip"]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_encodings_are_found(encoding: str, tmp_path: Path) -> None:
    text = "Ein schöner Tag, naïve Leute.\nNoch einer.\n"
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    said: list[str] = []
    assert texts(tmp_path / "a.txt", say=said.append) == [text]
    assert len(said) == (encoding == "cp1252")


def test_an_encoding_that_is_told_is_used(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("море".encode("cp1251"))
    assert texts(tmp_path / "a.txt", encoding="cp1251") == ["море"]
    with pytest.raises(InputError, match="not a text file in utf-8"):
        texts(tmp_path / "a.txt", encoding="utf-8")
    with pytest.raises(UsageError, match="no such encoding"):
        texts(tmp_path / "a.txt", encoding="nope")


def test_lines_in_another_encoding_than_the_rest_are_read_and_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("naïve\n".encode() + "naïve\r\nend é\r".encode("cp1252"))
    said: list[str] = []
    assert texts(tmp_path / "a.txt", say=said.append) == ["naïve\nnaïve\nend é\n"]
    assert "2 of its lines are not UTF-8, line 2 the first" in said[0]


@given(
    text=st.text(st.characters(exclude_characters="\x00\ufeff", codec="utf-8"), min_size=1),
    size=st.integers(1, 9),
)
def test_a_file_in_parts_is_whole(text: str, size: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "parts.txt"
    file.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "LONGEST", 12)
        patch.setattr("recurra.sources.packed.CHUNK", size)
        got = list(reading.blocks(file, "utf-8"))
    assert "".join(got) == text.replace("\r\n", "\n").replace("\r", "\n")
    assert all(len(block.encode()) <= 16 + 2 * size for block in got)


def test_one_giant_line_becomes_parts_of_one_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LONGEST", 1000)
    monkeypatch.setattr("recurra.sources.packed.CHUNK", 300)
    text = "the sea is wide and ü " * 500
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    parts = read(tmp_path / "a.txt")
    assert len(parts) > 5
    assert [part.more for part in parts] == [True] * (len(parts) - 1) + [False]
    assert "".join(part.text for part in parts) == text
    assert all(part.text.startswith(" ") for part in parts[1:])


def test_a_blank_part_still_ends_its_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recurra.sources.packed.CHUNK", 4)
    (tmp_path / "a.txt").write_text("abc\n   \n")
    (tmp_path / "b.txt").write_text("new")
    assert [(part.text, part.more) for part in read(tmp_path)] == [
        ("abc\n", True), ("   \n", False), ("new", False),
    ]  # fmt: skip


def test_what_json_can_hold_and_text_cannot_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"text": "half \\ud83d\\r\\nwhole \\ud83d\\ude00", "kind": "\\ud83d"}\n"\\udc00"'
    )
    (first, second) = read(tmp_path / "a.jsonl", kind="kind")
    assert (first.text, first.kind) == ("half \ufffd\nwhole 😀", "\ufffd")
    assert second.text == "\ufffd"


def test_the_fingerprint_changes_with_the_files(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("a")
    os.utime(file, ns=(0, 0))
    before = Files([file]).fingerprint
    assert Files([file]).fingerprint == before
    assert Files([file], encoding="cp1252").fingerprint != before
    file.write_text("b")
    assert Files([file]).fingerprint != before


def test_how_much_is_read_is_known_while_reading(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(json.dumps("a" * 98) for _ in range(10)))
    (tmp_path / "b.txt").write_text("b" * 1000)
    files = Files([tmp_path])
    done = [files.done for _ in files]
    assert done == [*range(0, 980, 98), file.stat().st_size]
    assert files.done == files.size


def test_texts_in_memory() -> None:
    documents = Texts(["a", "", "b"], ["x", "y", None])
    assert list(documents) == [Document("a", "x", "text 0"), Document("b", None, "text 2")]
    assert documents.done == documents.size == 2
    assert documents.fingerprint != Texts(["a", "", "b"]).fingerprint
    for wrong, told in ((["", " "], "no text"), ([], "no text"), (["a", 3], "text 1 is no string")):
        with pytest.raises(InputError, match=told):
            Texts(wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="list of strings"):
        Texts("a")
    with pytest.raises(UsageError, match="a kind is a string"):
        Texts(["a"], [3])  # type: ignore[list-item]
    with pytest.raises(UsageError, match="a kind for each"):
        Texts(["a"], [])


@given(
    rows=st.lists(
        st.tuples(st.text(st.characters(exclude_characters="\x00", codec="utf-8")), st.text("ab,;\"'\n"))
    )
)
def test_rows_come_back_from_tables_and_json(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    table, lines = folder / "rows.csv", folder / "rows.jsonl"
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "kind"), *rows])
    lines.write_text("\n".join(json.dumps({"text": text, "kind": kind}) for text, kind in rows))
    expected = [(_lines(text), _lines(kind) or None) for text, kind in rows if text and not text.isspace()]
    if not expected:
        return
    for path in (table, lines):
        assert [(document.text, document.kind) for document in read(path, kind="kind")] == expected


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
