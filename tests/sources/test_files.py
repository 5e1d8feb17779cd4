from __future__ import annotations

from pathlib import Path

import pytest

from recurra.errors import InputError
from recurra.sources.files import atomic_write, existing_file


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
