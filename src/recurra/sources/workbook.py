"""Sheets of Excel and OpenDocument workbooks, read by fastexcel (calamine)."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from recurra.errors import InputError, MissingExtraError
from recurra.sources.packed import check_unpacked_size

if TYPE_CHECKING:
    import fastexcel

__all__ = ["WORKBOOKS", "read_sheet"]

WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
TOP = 50  # rows in which the header is looked for


def read_sheet(
    file: Path, sheet: str | None, say: Callable[[str], object] | None = None
) -> tuple[pl.DataFrame, int]:
    """Read one sheet of a workbook, cells as they are typed there; returns it, and the row of its header.

    The header is the first row with two filled cells or more (one, where the sheet has only one column): titles may
    stand above it. Columns without a name and cells of errors (#N/A) are left out.

    Parameters
    ----------
    sheet: its name; None for the only visible sheet that has data.

    Raises
    ------
    InputError: a damaged or encrypted file, no such sheet, several with data, none with data, a column's name
        used twice.
    MissingExtraError: fastexcel is not installed.
    """
    try:
        import fastexcel
    except ImportError as error:
        raise MissingExtraError.of("fastexcel", "excel") from error
    _refuse_bombs(file)
    try:
        book = fastexcel.read_excel(file)
        names = book.sheet_names if sheet is None else [_named(file, book.sheet_names, sheet)]
        tops = {name: _top(book, name) for name in names if sheet or _visible(book, name)}
        full = [name for name, top in tops.items() if top is not None]
        if len(full) > 1:
            raise InputError(
                f"several sheets have data: {', '.join(full)}",
                file=file,
                hint=f"Say which with --sheet {full[0]!r} (Source(…, sheet={full[0]!r}) in Python).",
            )
        if not full:
            what = "the sheet has no rows of data" if sheet else "no sheet has rows of data"
            raise InputError(what, file=file, value=sheet)
        name, top = full[0], tops[full[0]]
        assert top is not None
        header, titles = top
        frame = book.load_sheet(name, header_row=None, skip_rows=header, schema_sample_rows=None).to_polars()
    except fastexcel.FastExcelError as error:
        what = f"the workbook cannot be read: {str(error).splitlines()[0]}"
        raise InputError(what, file=file, hint="It is damaged, encrypted or of another kind.") from error
    if say is not None and len(book.sheet_names) > 1:
        say(f"Reading the sheet {name}, of {', '.join(book.sheet_names[:10])}.")
    if say is not None and header > 1:
        say(f"The header of the sheet {name} is its row {header}.")
    repeated = [title for title, count in Counter(titles.values()).items() if count > 1]
    if repeated:
        raise InputError("two columns have the same name", file=file, row=header, column=repeated[0])
    columns = {place: title for place, title in titles.items() if place < frame.width}
    return frame.select(frame[:, place].alias(title) for place, title in columns.items()), header


def _top(book: fastexcel.ExcelReader, name: str) -> tuple[int, dict[int, str]] | None:
    """The row of a sheet's header, from 1, and the names in it by their places; None without data beneath."""
    sheet = book.load_sheet(name, header_row=None, skip_rows=0, n_rows=TOP, dtypes="string")
    if sheet.width == 0:
        return None
    top = sheet.to_polars()
    rows = [
        {place: str(cell).strip() for place, cell in enumerate(row) if cell is not None} for row in top.rows()
    ]
    rows = [{place: cell for place, cell in row.items() if cell} for row in rows]
    least = min(2, max((len(row) for row in rows), default=0))
    header = next((number for number, row in enumerate(rows) if least and len(row) >= least), None)
    if header is None or (sheet.height < TOP and not any(rows[header + 1 :])):
        return None
    return header + 1, rows[header]


def _visible(book: fastexcel.ExcelReader, name: str) -> bool:
    return book.load_sheet(name, header_row=None, n_rows=1).visible == "visible"


def _named(file: Path, names: list[str], wanted: str) -> str:
    alike = [name for name in names if name == wanted] or [
        name for name in names if name.strip().casefold() == wanted.strip().casefold()
    ]
    if not alike:
        raise InputError(
            "no such sheet", file=file, value=wanted, hint=f"The sheets are {', '.join(names[:20])}."
        )
    return alike[0]


def _refuse_bombs(file: Path) -> None:
    """Look at what a workbook says of the sizes in it; those that are no archives (.xls) cannot be bombs."""
    try:
        with zipfile.ZipFile(file) as archive:
            sizes = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return  # fastexcel says what is wrong with it
    except PermissionError as error:
        raise InputError("the file may not be read", file=file, hint="Check its permissions.") from error
    check_unpacked_size(file, sizes, file.stat().st_size)
