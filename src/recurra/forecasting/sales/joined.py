"""The panel of all that is known: sales, a table of items, a table of the future."""

from __future__ import annotations

from typing import Any

from recurra.forecasting.sales.calendar import Frequency
from recurra.forecasting.sales.data import Panel, read_panel
from recurra.forecasting.sales.future import with_future
from recurra.forecasting.sales.items import with_items
from recurra.forecasting.sales.reading import Reading
from recurra.forecasting.sales.second_table import SecondTable

__all__ = ["read_all"]


def read_all(
    sales: Any,
    reading: Reading,
    *,
    future: Any = None,
    items: Any = None,
    rhythm: Frequency | None = None,
) -> Panel:
    """Read sales (a frame, a file's path, a Source or a Panel), and join what other tables say.

    Parameters
    ----------
    future: a table for `with_future`; a column of `reading.future` may stand there alone.
    items: a table for `with_items`; a column of `reading.static` may stand there alone.
    rhythm: the frequency of a panel that the sales go on from; None: they are a history of their own.

    Raises InputError for data that cannot be used, UsageError for arguments that do not fit.
    """
    ahead = None if future is None else SecondTable.of(future)
    lasting = None if items is None else SecondTable.of(items)
    if isinstance(sales, Panel):
        panel = sales
    else:
        tables = {"future": ahead, "static": lasting}
        elsewhere = {role: table.names for role, table in tables.items() if table is not None}
        panel = read_panel(sales, reading, elsewhere, rhythm)
    if lasting is not None:
        panel = with_items(panel, lasting, reading)
    return panel if ahead is None else with_future(panel, ahead, reading)
