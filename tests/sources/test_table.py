from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recurra.errors import InputError, RecurraError, UsageError
from recurra.sources import Source
from recurra.sources.table import header_rows, read_source, read_table, write_frames, write_table

ROWS = [("a;b", "1,5", "2011-01-02"), ("c", '5" pipe', "2011-01-03"), ("d\ne", "x\ty", "2011|01")]
FRAME = pl.DataFrame(ROWS, schema=["item", "qty", "date"], orient="row")


LOOK = "If letters look wrong, give --encoding."


def zipped(content: bytes, name: str = "s.csv") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
        archive.writestr("__MACOSX/._s.csv", b"\0")
    return file.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["s.csv", "s.tsv", "s.txt"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str, name: str) -> None:
    path = tmp_path / name
    FRAME.write_csv(path, separator=delimiter)
    assert read_table(path).equals(FRAME)


def test_every_column_of_a_text_file_is_text(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text(" item ,qty\n007,\n8,1e3\n")
    frame = read_table(path)
    assert frame.schema == {"item": pl.String, "qty": pl.String}
    assert frame.rows() == [("007", None), ("8", "1e3")]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("item,qty\ncafé,1\n".encode(), []),
        (b"\xef\xbb\xbf" + "item,qty\ncafé,1\n".encode(), []),
        ("item,qty\ncafé,1\n".encode("utf-16"), [f"s.csv is not UTF-8; it was read as utf-16. {LOOK}"]),
        ("item,qty\ncafé,1\n".encode("cp1252"), [f"s.csv is not UTF-8; it was read as cp1252. {LOOK}"]),
        ("item,qty\ncafé,1\n".encode("utf-16-le"), [f"s.csv is not UTF-8; it was read as utf-16-le. {LOOK}"]),
        ("item,qty\ncafé,1\n".encode("utf-16-be"), [f"s.csv is not UTF-8; it was read as utf-16-be. {LOOK}"]),
        ("item,qty\ncafé,1\n".encode("utf-32"), [f"s.csv is not UTF-8; it was read as utf-32. {LOOK}"]),
        ("item,qty\r\ncafé,1\r\n".encode(), []),
    ],
)
def test_encodings(tmp_path: Path, data: bytes, said: list[str]) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(data)
    notes: list[str] = []
    frame = read_table(path, say=notes.append)
    assert frame.columns == ["item", "qty"]
    assert frame.rows() == [("café", "1")]
    assert notes == said


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [(".gz", gzip.compress), (".xz", lzma.compress), (".bz2", bz2.compress), (".zip", zipped)],
)
def test_packed_files(tmp_path: Path, suffix: str, pack) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / f"s.csv{suffix}"
    path.write_bytes(pack(b"item,qty\na,1\n"))
    assert read_table(path).rows() == [("a", "1")]
    path.write_bytes(pack(b"item,qty\na,1\n")[:-9])
    with pytest.raises(InputError, match="damaged"):
        read_table(path)
    path.write_bytes(b"item,qty\na,1\n")
    with pytest.raises(InputError, match=f"not a {suffix} file"):
        read_table(path)


def test_an_encoding_that_is_told(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes("товар,qty\nчай,1\n".encode("cp1251"))
    notes: list[str] = []
    table = read_source(Source(path, encoding="cp1251"), say=notes.append)
    assert table.frame.rows(named=True) == [{"товар": "чай", "qty": "1"}]
    assert (table.header_rows, notes) == (1, [])
    path.write_bytes(b"item,qty\n\xff\xff,1\n")
    with pytest.raises(InputError, match="not a text file in shift_jis"):
        read_source(Source(path, encoding="shift_jis"))
    for encoding in ("klingon", "zlib", "rot13"):
        with pytest.raises(UsageError, match="no such encoding"):
            read_source(Source(path, encoding=encoding))
    FRAME.write_parquet(tmp_path / "s.parquet")
    for argument, what in (
        ("encoding", "a CSV or TSV file"),
        ("sheet", "a workbook"),
        ("query", "a database"),
    ):
        with pytest.raises(UsageError, match=f"--{argument} is for {what}"):
            read_source(Source(tmp_path / "s.parquet", **{argument: "x"}))


def test_archives_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "sales.zip"
    path.write_bytes(zipped(b'{"item": "a", "qty": 1}\n', "in/sales.jsonl"))
    assert read_table(path).rows() == [("a", 1)]
    assert header_rows(path) == 0
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "item,qty\na,1\n")
        archive.writestr("b.csv", "item,qty\na,1\n")
    with pytest.raises(InputError, match="several files") as caught:
        read_table(path)
    assert (caught.value.file, caught.value.value) == (str(path), "a.csv, b.csv")
    for bad, what in (
        (zipped(b"x", "s.exe"), "kind cannot be read"),
        (zipped(b"x", ".s.csv"), "holds no file"),
    ):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=what):
            read_table(path)
    locked = bytearray(zipped(b"item,qty\na,1\n"))
    for header, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        locked[locked.find(header) + flags] |= 1
    path.write_bytes(locked)
    with pytest.raises(InputError, match="encrypted"):
        read_table(path)


@pytest.mark.parametrize(
    ("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress), (".zip", zipped)]
)
def test_bombs_are_refused_before_they_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, pack
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("recurra.sources.packed.MODEST", 1 << 20)
    monkeypatch.setattr("recurra.sources.packed.CHUNK", 1 << 16)
    path = tmp_path / f"s.csv{suffix}"
    path.write_bytes(pack(b"item,qty\n" + b"a,1\n" * 2_000_000))
    with pytest.raises(InputError, match="more than 250 times its size"):
        read_table(path)
    monkeypatch.setattr("recurra.sources.packed.LARGEST", 1 << 18)
    with pytest.raises(InputError, match="GiB of text"):
        read_table(path)


def test_parquet_and_json_lines_keep_types(tmp_path: Path) -> None:
    frame = pl.DataFrame({"item": ["a", "b"], "qty": [1, 2]})
    write_table(frame, tmp_path / "s.parquet")
    assert read_table(tmp_path / "s.parquet").equals(frame)
    frame.write_ndjson(tmp_path / "s.jsonl")
    assert read_table(tmp_path / "s.jsonl").equals(frame)
    assert [header_rows(tmp_path / name) for name in ("s.parquet", "s.jsonl", "s.csv", "s.csv.gz")] == [
        *(0, 0, 1, 1)
    ]


@pytest.mark.parametrize(
    ("name", "data", "what", "row"),
    [
        ("s.csv", b"", "the file is empty", None),
        ("s.csv", b"\n\n\n", "the file is empty", None),
        ("s.csv", b"item,qty\n", "no rows of data", None),
        ("s.csv", b"item,qty\n\x00\x01\n", "not a text file", None),
        ("s.csv", b"item,qty\n\x81\x8d\n", "not a text file", None),
        ("s.csv", b"item,qty,item\na,1,2\n", "two columns have the same name", 1),
        ("s.csv", b"item,qty\na,1\nb,1,2\n", "the row has 3 fields, the header 2", 3),
        ("s.csv", b"item,qty,date\na,1,2\n\n\"b\nc\",1\n", "the row has 2 fields, the header 3", 4),
        ("s.csv", b'item,qty\na,"1\nb,2\n', "cannot be read", None),
        ("s.parquet", b"item,qty\na,1\n", "damaged or of another kind", None),
        ("s.jsonl", b"item,qty\na,1\n", "damaged or of another kind", None),
        ("s.xlsx", b"item", "cannot be read", None),
        ("s.csv.zip", b"item", "damaged or not a .zip", None),
        ("s.pdf", b"item", "cannot be read", None),
        ("s", b"item", "cannot be read", None),
    ],
)  # fmt: skip
def test_bad_files_are_refused(tmp_path: Path, name: str, data: bytes, what: str, row: int | None) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError, match=what) as caught:
        read_table(path)
    assert caught.value.file == str(path)
    if row is not None:
        assert caught.value.row == row


def test_a_blank_line_is_a_row_of_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(b"item,qty\na,1\n\nb,2\n")
    assert read_table(path).rows() == [("a", "1"), (None, None), ("b", "2")]


def test_a_missing_last_value_is_no_ragged_row(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(b'item,qty,note\n"a,b",1,\nc,2,x\n')
    assert read_table(path).rows() == [("a,b", "1", None), ("c", "2", "x")]


def test_tables_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_table(FRAME, tmp_path / "s.csv")
    assert read_table(tmp_path / "s.csv").equals(FRAME)
    with pytest.raises(InputError, match=r"\.csv or \.parquet"):
        write_table(FRAME, tmp_path / "s.xlsx")
    with pytest.raises(InputError, match="does not exist"):
        write_table(FRAME, tmp_path / "no" / "s.csv")
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.csv"]


def test_frames_are_written_one_after_another(tmp_path: Path) -> None:
    parts = [FRAME, FRAME.head(0), FRAME.tail(1)]
    write_frames(iter(parts), tmp_path / "s.parquet")
    assert read_table(tmp_path / "s.parquet").equals(pl.concat(parts))


def test_frames_that_break_off_leave_the_old_file(tmp_path: Path) -> None:
    write_table(FRAME, tmp_path / "s.parquet")

    def breaking() -> Iterator[pl.DataFrame]:
        yield FRAME.tail(1)
        raise InputError("no more")

    with pytest.raises(InputError, match="no more"):
        write_frames(breaking(), tmp_path / "s.parquet")
    with pytest.raises(InputError, match=r"\.parquet"):
        write_frames(iter([FRAME]), tmp_path / "s.csv")
    assert read_table(tmp_path / "s.parquet").equals(FRAME)
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.parquet"]


def _mostly_table(draw_bytes: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.one_of(draw_bytes, draw_bytes.map(lambda tail: b"item,qty\na,1\n" + tail))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=_mostly_table(
        st.one_of(st.binary(max_size=60), st.text('a1,;|\t"\n\r é', max_size=40).map(str.encode))
    ),
    name=st.sampled_from(
        [
            "s.csv",
            "s.tsv",
            "s.jsonl",
            "s.parquet",
            "s.csv.gz",
            "s.csv.xz",
            "s.csv.bz2",
            "s.csv.zip",
            "s.xlsx",
            "s.xls",
            "s.ods",
        ]
    ),
)
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with suppress(RecurraError):
        assert read_table(path).height > 0


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2000), flip=st.integers(1, 255), data=st.data())
def test_a_damaged_parquet_file_is_read_or_refused(
    tmp_path: Path, place: int, flip: int, data: st.DataObject
) -> None:
    path = tmp_path / "s.parquet"
    pl.DataFrame({"item": ["a", "b", "c"] * 5, "qty": range(15)}).write_parquet(path)
    whole = bytearray(path.read_bytes())
    whole[place % len(whole)] ^= flip
    path.write_bytes(whole[: data.draw(st.integers(len(whole) // 2, len(whole)))])
    with suppress(RecurraError):
        read_table(path)
