"""`recurra forecast`, `recurra backtest`, `recurra train forecaster`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recurra.cli import options as o
from recurra.console import INTERRUPTED, Console
from recurra.errors import UsageError

if TYPE_CHECKING:
    from recurra.forecasting.backtest import Backtest
    from recurra.forecasting.forecaster import Forecaster

__all__ = ["backtest", "forecast", "train_forecaster"]

STOCK = "The order plan"
ROWS = 10  # of a table in the terminal; the files hold all


def forecast(
    file: o.SalesFile,
    horizon: Annotated[
        int | None, typer.Option(min=1, help="Periods to forecast.", show_default="28, or the model's")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for forecast.csv, plan.csv, report.html, ….")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="A model folder to use instead of training.")] = None,
    lead_time: Annotated[
        int | None,
        typer.Option(
            min=0, help="Periods from an order to its arrival; makes a plan.", rich_help_panel=STOCK
        ),
    ] = None,
    review: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Periods between two orders.",
            rich_help_panel=STOCK,
            show_default="a day's or week's worth",
        ),
    ] = None,
    service_level: Annotated[
        float, typer.Option(help="Probability that stock lasts until the next order.", rich_help_panel=STOCK)
    ] = 0.95,
    on_hand: Annotated[
        Path | None,
        typer.Option(help="File with item, on_hand and, if any, on_order.", rich_help_panel=STOCK),
    ] = None,
    check: Annotated[
        bool, typer.Option("--backtest/--no-backtest", help="Train once more to test it on the last horizon.")
    ] = True,
    item: o.ItemColumn = None,
    date: o.DateColumn = None,
    quantity: o.QuantityColumn = None,
    frequency: o.Frequency = None,
    date_format: o.DateFormat = None,
    negative: o.Negative = "returns",
    cancellations: o.Cancellations = "pair",
    cell: o.Cell = "lstm",
    steps: o.Steps = None,
    max_seconds: o.MaxSeconds = None,
    checkpoint: o.Checkpoint = None,
    seed: o.Seed = 0,
    as_json: o.Json = False,
) -> None:
    """Forecast sales with uncertainty, and from that what to order now."""
    with o.verb(as_json) as console:
        from recurra.forecasting import Forecaster
        from recurra.forecasting.delivery import deliver, stock_terms
        from recurra.sources.table import read_table

        data: dict[str, Any] = {
            "columns": o.role_columns(item, date, quantity),
            "frequency": frequency,
            "date_format": date_format,
            "negative": negative,
            "cancellations": cancellations,
        }
        if model is not None:
            forecaster = Forecaster.load(model).set_params(**data)
            _same_horizon(forecaster, horizon)
        else:
            forecaster = Forecaster(horizon or 28, cell=cell, steps=steps, seed=seed, **data)
        panel = forecaster.read(file)
        _notes(console, panel.notes)
        terms = stock_terms(
            forecaster,
            panel,
            lead_time=lead_time,
            review=review,
            service_level=service_level,
            on_hand=None if on_hand is None else read_table(on_hand, say=console.note),
        )
        trained = model is None
        if trained:
            forecaster.fit(panel, max_seconds=max_seconds, checkpoint=checkpoint)
        delivery = deliver(
            forecaster,
            panel,
            out,
            terms=terms,
            trained=trained,
            check=check and trained and not _interrupted(forecaster),
            max_seconds=max_seconds,
            command=shlex.join(["recurra", *sys.argv[1:]]),
        )
        _notes(console, delivery.notes)
        console.table(
            f"Forecast of {panel.frequency.name} sales, {len(panel.ids):,} items, {forecaster.horizon} periods",
            [
                "item",
                f"last {forecaster.horizon}",
                "expected",
                "10%",
                "90%",
                *(["order now"] if delivery.plan else []),
            ],
            delivery.summary(ROWS),
        )
        if delivery.backtest is not None:
            _scores(console, delivery.backtest)
        for path in delivery.files:
            console.note(f"Wrote {path}")
        console.result(delivery.as_dict())
        if trained and _interrupted(forecaster):
            console.note("Training was interrupted; this is the best so far.")
            raise typer.Exit(INTERRUPTED)


def backtest(
    file: o.SalesFile,
    horizon: o.Horizon = 28,
    origins: Annotated[int, typer.Option(min=1, help="How many horizons to go back.")] = 3,
    item: o.ItemColumn = None,
    date: o.DateColumn = None,
    quantity: o.QuantityColumn = None,
    frequency: o.Frequency = None,
    date_format: o.DateFormat = None,
    negative: o.Negative = "returns",
    cancellations: o.Cancellations = "pair",
    cell: o.Cell = "lstm",
    steps: o.Steps = None,
    max_seconds: o.MaxSeconds = None,
    seed: o.Seed = 0,
    as_json: o.Json = False,
) -> None:
    """Say how good forecasts of the past would have been, beside the baselines."""
    with o.verb(as_json) as console:
        from recurra.forecasting import Forecaster
        from recurra.forecasting.backtest import backtest as run

        forecaster = Forecaster(
            horizon,
            cell=cell,
            steps=steps,
            seed=seed,
            columns=o.role_columns(item, date, quantity),
            frequency=frequency,
            date_format=date_format,
            negative=negative,  # type: ignore[arg-type]
            cancellations=cancellations,  # type: ignore[arg-type]
        )
        panel = forecaster.read(file)
        _notes(console, panel.notes)
        result = run(forecaster, panel, origins=origins, max_seconds=max_seconds)
        _scores(console, result)
        console.result(result.as_dict())


def train_forecaster(
    file: o.SalesFile,
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    horizon: o.Horizon = 28,
    item: o.ItemColumn = None,
    date: o.DateColumn = None,
    quantity: o.QuantityColumn = None,
    frequency: o.Frequency = None,
    date_format: o.DateFormat = None,
    negative: o.Negative = "returns",
    cancellations: o.Cancellations = "pair",
    cell: o.Cell = "lstm",
    steps: o.Steps = None,
    max_seconds: o.MaxSeconds = None,
    checkpoint: o.Checkpoint = None,
    seed: o.Seed = 0,
    as_json: o.Json = False,
) -> None:
    """Train a forecaster on a sales file and write it to a folder, for `recurra forecast --model`."""
    with o.verb(as_json) as console:
        from recurra.forecasting import Forecaster

        forecaster = Forecaster(
            horizon,
            cell=cell,
            steps=steps,
            seed=seed,
            columns=o.role_columns(item, date, quantity),
            frequency=frequency,
            date_format=date_format,
            negative=negative,  # type: ignore[arg-type]
            cancellations=cancellations,  # type: ignore[arg-type]
        )
        panel = forecaster.read(file)
        _notes(console, panel.notes)
        forecaster.fit(panel, max_seconds=max_seconds, checkpoint=checkpoint)
        forecaster.save(out)
        console.note(f"Wrote {out}")
        console.result(
            {"model": str(out), "notes": list(panel.notes), "training": forecaster.training_facts()}
        )
        if _interrupted(forecaster):
            console.note("Training was interrupted; this is the best so far.")
            raise typer.Exit(INTERRUPTED)


def _interrupted(forecaster: Forecaster) -> bool:
    return forecaster.outcome_.stopped == "interrupted"


def _same_horizon(forecaster: Forecaster, horizon: int | None) -> None:
    if horizon is not None and horizon != forecaster.horizon:
        raise UsageError(
            f"the model forecasts {forecaster.horizon} periods",
            value=f"--horizon {horizon}",
            hint="Leave it out.",
        )


def _notes(console: Console, notes: Any) -> None:
    for note in notes:
        console.note(f"· {note}")


def _scores(console: Console, result: Backtest) -> None:
    console.table(
        f"Backtest: {result.origins} × {result.horizon} periods that the model had not seen",
        ["method", "weighted quantile loss", "RMSSE", "MASE", "in 80% range", "bias", "seconds"],
        [
            [
                s.name,
                s.weighted_quantile_loss,
                s.rmsse,
                s.mase,
                f"{s.coverage:.0%}",
                f"{s.bias:+.1%}",
                s.seconds,
            ]
            for s in result.scores
        ],
    )
