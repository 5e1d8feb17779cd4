"""`recurra update`: a trained forecaster reads what was sold since, and forecasts from there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recurra.cli import options as o
from recurra.errors import UsageError
from recurra.sources import Source

__all__ = ["update"]

ROWS = 10  # of the table in the terminal; the files hold all


def update(
    model: Annotated[Path, typer.Option(help="The model's folder; it is written anew.", show_default=False)],
    file: o.SalesFile = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for forecast.csv and forecast.parquet.", show_default="none, only print"),
    ] = None,
    database: o.Database = None,
    query: o.Query = None,
    sheet: o.Sheet = None,
    encoding: o.Encoding = None,
    future_file: o.FutureFile = None,
    items_file: o.ItemsFile = None,
    as_json: o.Json = False,
) -> None:
    """Read new sales, and only these, into a trained forecaster's folder, and forecast from there.

    The file has what was sold after the last period that the model has read, in the columns that it was trained
    with. Nothing is trained, and the history is not read again.
    """
    with o.verb(as_json) as console:
        from recurra.forecasting import Forecaster
        from recurra.forecasting.delivery import expected, write_forecast
        from recurra.sources.files import prepare_folder

        places = [place for place in (file, database) if place is not None]
        if len(places) != 1:
            raise UsageError(
                "give either a file or a database", hint="Name a FILE, or an address with --from."
            )
        forecaster = Forecaster.load(model)
        if out is not None:
            prepare_folder(out)
        source = Source(places[0], query=query, sheet=sheet, encoding=encoding)
        forecaster.update(source, future=future_file, items=items_file)
        forecast = forecaster.forecast()
        forecaster.save(model)
        table = forecast.table()
        files = [] if out is None else write_forecast(out, table)
        console.table(
            f"Forecast of {len(forecast.ids):,} items, {len(forecast.dates)} periods from {forecast.dates[0]}",
            ["item", "expected", "10%", "90%"],
            expected(forecast, ROWS),
        )
        for path in (model, *files):
            console.say(f"Wrote {path}")
        rows = [row | {"ds": row["ds"].isoformat()} for row in table.iter_rows(named=True)]
        console.result({"model": str(model), "forecast": rows, "files": [str(path) for path in files]})
