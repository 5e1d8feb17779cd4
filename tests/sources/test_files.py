from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from recurra.errors import InputError
from recurra.sources.files import atomic_write, existing_file, write_bytes


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_new_file_takes_the_place_of_the_old(tmp_path: Path) -> None:
    target = tmp_path / "plan.csv"
    target.write_text("old")
    with atomic_write(target) as temporary:
        temporary.write_text("new")
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".csv"
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "plan.csv"
    target.write_text("old")

    def fail() -> None:
        with atomic_write(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_missing_or_in_the_way_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"), atomic_write(tmp_path / "no" / "plan.csv"):
        pass
    with pytest.raises(InputError, match="folder"), atomic_write(tmp_path):
        pass


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_bytes_replace_a_file_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    write_bytes(tmp_path / "f", b"old")

    def full(*_: object) -> None:
        raise OSError(28, "full")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(OSError, match="full"):
            write_bytes(tmp_path / "f", b"new")
    assert content(tmp_path) == {"f": b"old"}
    write_bytes(tmp_path / "f", b"new")
    assert content(tmp_path) == {"f": b"new"}


def test_the_new_content_is_on_the_disk_before_it_takes_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    write_bytes(path, b"old")
    seen = []
    for name, real in (("fsync", os.fsync), ("replace", os.replace)):

        def watched(*args: Any, name: str = name, real: Any = real) -> Any:
            seen.append((name, path.read_bytes()))
            return real(*args)

        monkeypatch.setattr(os, name, watched)
    write_bytes(path, b"new")
    assert seen[:2] == [("fsync", b"old"), ("replace", b"old")]
    # Where the system can, the folder's new list of names follows.
    assert seen[2:] == ([("fsync", b"new")] if os.name == "posix" else [])


def test_what_a_killed_process_left_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: pytest.fail("killed"))
        patched.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(pytest.fail.Exception):
            write_bytes(tmp_path / "f", b"half")
    assert len(content(tmp_path)) == 1
    write_bytes(tmp_path / "f", b"new")
    assert content(tmp_path) == {"f": b"new"}


def test_bytes_for_a_folder_that_is_missing_are_the_callers_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_bytes(tmp_path / "no" / "f", b"new")


def test_no_such_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "sales_2011.csv").write_text("a")
    (tmp_path / "holidays.txt").write_text("a")
    with pytest.raises(InputError) as caught:
        existing_file(tmp_path / "sales_2012.csv")
    assert caught.value.file == str(tmp_path / "sales_2012.csv")
    assert caught.value.hint == "Did you mean sales_2011.csv?"
    with pytest.raises(InputError, match="there is no folder"):
        existing_file(tmp_path / "no" / "sales.csv")
    with pytest.raises(InputError, match="this is a folder"):
        existing_file(tmp_path)
