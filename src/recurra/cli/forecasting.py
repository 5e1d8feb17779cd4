"""`recurra forecast`, `recurra backtest`, `recurra train forecaster`.

What the verbs share, such as the columns, is declared for each and read from the context (`_untrained`, `_trained`).
"""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recurra.cli import options as o
from recurra.cli import stock
from recurra.console import INTERRUPTED, Console
from recurra.errors import UsageError
from recurra.sources import Source

if TYPE_CHECKING:
    from recurra.forecasting.backtest import Backtest
    from recurra.forecasting.forecaster import Forecaster

__all__ = ["backtest", "forecast", "train_forecaster"]

ROWS = 10  # of a table in the terminal; the files hold all
HORIZON = 28
READING = ("frequency", "date_format", "decimal", "unit", "negative", "cancellations", "gaps", "stock_out")
BESIDE = ("static", "past", "future")


def forecast(
    context: typer.Context,
    file: o.SalesFile = None,
    horizon: Annotated[
        int | None, typer.Option(min=1, help="Periods to forecast.", show_default="28, or the model's")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for forecast.csv, forecast.parquet, plan.csv, plan_production.csv and report.html.",
            show_default="none, only print",
        ),
    ] = None,
    paths: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Write so many joint paths of each item, too: what may come, into paths.parquet.",
            show_default="none",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="A model folder to use instead of training.", show_default="none, train"),
    ] = None,
    lead_time: stock.LeadTime = None,
    lead_time_sd: stock.LeadTimeDeviation = 0.0,
    review: stock.Review = None,
    service_level: stock.ServiceLevel = 0.95,
    target: stock.Target = "cycle",
    policy: stock.Policy = "periodic",
    on_hand: stock.OnHand = None,
    pack_size: stock.PackSize = None,
    minimum: stock.Minimum = 0.0,
    price: stock.Price = None,
    holding_cost: stock.HoldingCost = None,
    shortage_cost: stock.ShortageCost = None,
    ordering_cost: stock.OrderingCost = 0.0,
    shelf_life: stock.ShelfLife = None,
    budget: stock.Budget = None,
    calibrate: stock.Calibrate = False,
    capacity: stock.Capacity = None,
    capacity_use: stock.CapacityUse = 1.0,
    production_cost: stock.ProductionCost = 0.0,
    overtime: stock.Overtime = 0.0,
    overtime_cost: stock.OvertimeCost = 0.0,
    change: stock.Change = None,
    check: Annotated[
        bool, typer.Option("--backtest/--no-backtest", help="Train once more to test it on the last horizon.")
    ] = True,
    database: o.Database = None,
    query: o.Query = None,
    sheet: o.Sheet = None,
    encoding: o.Encoding = None,
    item: o.ItemColumn = None,
    date: o.DateColumn = None,
    quantity: o.QuantityColumn = None,
    frequency: o.Frequency = None,
    date_format: o.DateFormat = None,
    decimal: o.Decimal = None,
    unit: o.Unit = None,
    negative: o.Negative = "returns",
    cancellations: o.Cancellations = "pair",
    gaps: o.Gaps = "zero",
    static: o.Static = None,
    past: o.Past = None,
    future: o.Future = None,
    stock_out: o.StockOut = None,
    holidays: o.Holidays = None,
    future_file: o.FutureFile = None,
    items_file: o.ItemsFile = None,
    cell: o.Cell = "lstm",
    view: o.View = "auto",
    steps: o.Steps = None,
    max_seconds: o.MaxSeconds = None,
    checkpoint: o.Checkpoint = None,
    seed: o.Seed = 0,
    as_json: o.Json = False,
) -> None:
    """Forecast sales with uncertainty, and from that what to order now."""
    with o.verb(as_json) as console:
        from recurra.forecasting.delivery import check_production, check_terms, deliver, prepare_folder
        from recurra.forecasting.sales.future import check_ahead

        if paths is not None and out is None:
            raise UsageError("--paths are written to a file", hint="Name the folder with --out.")
        source = _source(context)
        plan, making = stock.asked(context), stock.asked_production(context)
        forecaster = _untrained(context) if model is None else _trained(context, model)
        panel = forecaster.read(source, future=future_file, items=items_file)
        _notes(console, panel.notes)
        if model is None:  # before the training, not after it
            check_ahead(panel, list(panel.covariates.future), forecaster.horizon)
        terms = production = None
        if plan is not None:
            terms = check_terms(forecaster, panel, on_hand, calibrate=calibrate, say=console.note, **plan)
        if making is not None:
            production = check_production(forecaster, panel, on_hand, say=console.note, **making)
        if out is not None:
            prepare_folder(out)
        interrupted = False
        if model is None:
            forecaster.fit(panel, max_seconds=max_seconds, checkpoint=checkpoint)
            interrupted = _interrupted(forecaster, console)
        delivery = deliver(
            forecaster,
            panel,
            out,
            terms=terms,
            production=production,
            calibrate=calibrate,
            trained=model is None,
            check=check and model is None and not interrupted,
            max_seconds=max_seconds,
            command=_command(source),
            say=console.note,
            paths=paths,
        )
        items = "1 item" if len(panel.ids) == 1 else f"{len(panel.ids):,} items"
        order = ["order now"] if delivery.plan else []
        console.table(
            f"Forecast of {panel.frequency.name} sales, {items}, {forecaster.horizon} periods",
            ["item", f"last {forecaster.horizon}", "expected", "10%", "90%", *order],
            delivery.summary(ROWS),
        )
        if delivery.backtest is not None:
            _scores(console, delivery.backtest)
            _costs(console, delivery.backtest)
            _replay(console, delivery.backtest)
        for path in delivery.files:
            console.say(f"Wrote {path}")
        interrupted = interrupted or delivery.interrupted
        console.result(delivery.as_dict() | {"interrupted": interrupted})
        if interrupted:
            raise typer.Exit(INTERRUPTED)


def backtest(
    context: typer.Context,
    file: o.SalesFile = None,
    horizon: o.Horizon = HORIZON,
    origins: Annotated[int, typer.Option(min=1, help="How many horizons to go back.")] = 3,
    lead_time: stock.ReplayLeadTime = None,
    lead_time_sd: stock.LeadTimeDeviation = 0.0,
    review: stock.Review = None,
    service_level: stock.ServiceLevel = 0.95,
    target: stock.Target = "cycle",
    pack_size: stock.PackSize = None,
    minimum: stock.Minimum = 0.0,
    on_hand: stock.ReplayOnHand = None,
    calibrate: stock.Calibrate = False,
    lost_sales: stock.LostSales = False,
    holding_cost: stock.HoldingCost = None,
    shortage_cost: stock.ShortageCost = None,
    database: o.Database = None,
    query: o.Query = None,
    sheet: o.Sheet = None,
    encoding: o.Encoding = None,
    item: o.ItemColumn = None,
    date: o.DateColumn = None,
    quantity: o.QuantityColumn = None,
    frequency: o.Frequency = None,
    date_format: o.DateFormat = None,
    decimal: o.Decimal = None,
    unit: o.Unit = None,
    negative: o.Negative = "returns",
    cancellations: o.Cancellations = "pair",
    gaps: o.Gaps = "zero",
    static: o.Static = None,
    past: o.Past = None,
    future: o.Future = None,
    stock_out: o.StockOut = None,
    holidays: o.Holidays = None,
    future_file: o.FutureFile = None,
    items_file: o.ItemsFile = None,
    cell: o.Cell = "lstm",
    view: o.View = "auto",
    steps: o.Steps = None,
    max_seconds: o.MaxSeconds = None,
    seed: o.Seed = 0,
    as_json: o.Json = False,
) -> None:
    """Say how good forecasts of the past would have been, beside the baselines."""
    with o.verb(as_json) as console:
        from recurra.forecasting.backtest import backtest as run
        from recurra.forecasting.stock.files import read_stock

        replay = stock.asked_replay(context)
        forecaster = _untrained(context)
        panel = forecaster.read(_source(context), future=future_file, items=items_file)
        _notes(console, panel.notes)
        if on_hand is not None:
            table = read_stock(on_hand, panel.ids, say=console.note, whole=panel.whole)
            if lead_time is None and not {"holding_cost", "shortage_cost"} & set(table.columns):
                raise UsageError(
                    "--on-hand is for a replay of order plans, or for costs", hint="Add --lead-time."
                )
            replay["on_hand"] = table
        result = run(
            forecaster,
            panel,
            origins=origins,
            holding_cost=holding_cost,
            shortage_cost=shortage_cost,
            max_seconds=max_seconds,
            **replay,
        )
        _scores(console, result)
        _costs(console, result)
        _replay(console, result)
        console.result(result.as_dict())


def train_forecaster(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    file: o.SalesFile = None,
    horizon: o.Horizon = HORIZON,
    database: o.Database = None,
    query: o.Query = None,
    sheet: o.Sheet = None,
    encoding: o.Encoding = None,
    item: o.ItemColumn = None,
    date: o.DateColumn = None,
    quantity: o.QuantityColumn = None,
    frequency: o.Frequency = None,
    date_format: o.DateFormat = None,
    decimal: o.Decimal = None,
    unit: o.Unit = None,
    negative: o.Negative = "returns",
    cancellations: o.Cancellations = "pair",
    gaps: o.Gaps = "zero",
    static: o.Static = None,
    past: o.Past = None,
    future: o.Future = None,
    stock_out: o.StockOut = None,
    holidays: o.Holidays = None,
    future_file: o.FutureFile = None,
    items_file: o.ItemsFile = None,
    cell: o.Cell = "lstm",
    view: o.View = "auto",
    steps: o.Steps = None,
    max_seconds: o.MaxSeconds = None,
    checkpoint: o.Checkpoint = None,
    seed: o.Seed = 0,
    as_json: o.Json = False,
) -> None:
    """Train a forecaster on a sales file and write it to a folder, for `recurra forecast --model`."""
    with o.verb(as_json) as console:
        from recurra.forecasting.delivery import plain_facts, prepare_model_folder

        forecaster = _untrained(context)
        panel = forecaster.read(_source(context), future=future_file, items=items_file)
        _notes(console, panel.notes)
        prepare_model_folder(out)
        forecaster.fit(panel, max_seconds=max_seconds, checkpoint=checkpoint)
        interrupted = _interrupted(forecaster, console)
        forecaster.save(out)
        console.say(f"Wrote {out}")
        document = {"model": str(out), "training": plain_facts(forecaster), "interrupted": interrupted}
        console.result(document)
        if interrupted:
            raise typer.Exit(INTERRUPTED)


def _source(context: typer.Context) -> Source:
    given = context.params
    places = [place for place in (given["file"], given["database"]) if place is not None]
    if len(places) != 1:
        raise UsageError("give either a file or a database", hint="Name a FILE, or an address with --from.")
    return Source(places[0], **{name: given[name] for name in ("query", "sheet", "encoding")})


def _command(source: Source) -> str:
    """The command line, for the report: a database's password is none of its readers' business."""
    return shlex.join(["recurra", *(word.replace(str(source.at), str(source)) for word in sys.argv[1:])])


def _untrained(context: typer.Context) -> Forecaster:
    from recurra.forecasting import Forecaster

    given = context.params
    settings = {name: given[name] for name in (*READING, "holidays", "cell", "view", "steps", "seed")}
    settings |= {name: given[name] or () for name in BESIDE}
    columns = o.role_columns(given["item"], given["date"], given["quantity"])
    forecaster = Forecaster(given["horizon"] or HORIZON, columns=columns, **settings)
    forecaster.check_arguments()  # before a large file is read
    return forecaster


def _trained(context: typer.Context, folder: Path) -> Forecaster:
    """The model of a folder; it reads data as it was trained to, but for what the command line says."""
    from recurra.forecasting import Forecaster

    given = context.params
    unused = o.given(context, "holidays", "cell", "view", "steps", "max_seconds", "checkpoint")
    if given["check"]:
        unused += o.given(context, "check")
    if unused:
        what = f"{_option(unused[0])} is for training, and --model brings a trained model"
        raise UsageError(what, hint="Leave one of the two out.")
    forecaster = Forecaster.load(folder)
    if given["horizon"] not in (None, forecaster.horizon):
        raise UsageError(
            f"the model forecasts {forecaster.horizon} periods",
            value=f"--horizon {given['horizon']}",
            hint="Leave --horizon out, or train a model for it.",
        )
    named = o.role_columns(given["item"], given["date"], given["quantity"])
    columns = {**(forecaster.columns or {}), **(named or {})}
    changed = {name: given[name] for name in o.given(context, *READING, *BESIDE, "seed")}
    return forecaster.set_params(columns=columns or None, **changed)


def _option(parameter: str) -> str:
    return "--backtest" if parameter == "check" else f"--{parameter.replace('_', '-')}"


def _interrupted(forecaster: Forecaster, console: Console) -> bool:
    """Whether Ctrl-C ended the training; if so, say it."""
    outcome = forecaster.outcome_
    if outcome.stopped != "interrupted":
        return False
    console.note(f"Training was interrupted after {outcome.steps} steps; this is the best so far.")
    return True


def _notes(console: Console, notes: Iterable[str]) -> None:
    for note in notes:
        console.note(note)


def _scores(console: Console, result: Backtest) -> None:
    if result.left_out:
        console.note(
            f"Periods of an item that are in no score: {result.left_out:,} of {result.counted:,}, where it had run out "
            "or nobody knows what was wanted."
        )
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
                f"{s.bias:+.1%}" if math.isfinite(s.bias) else None,
                None if s.seconds is None else f"{s.seconds:.1f}",
            ]
            for s in result.scores
        ],
    )


def _costs(console: Console, result: Backtest) -> None:
    if result.costs is None:
        return
    console.table(
        "What the errors of the forecasts would have cost",
        ["method", "cost", "for each unit sold", "of it left over", "missing"],
        [
            *(
                [
                    cost.name,
                    round(cost.total, 2),
                    round(cost.per_unit, 4) if math.isfinite(cost.per_unit) else None,
                    round(cost.holding, 2),
                    round(cost.shortage, 2),
                ]
                for cost in result.costs
            ),
            ["who had known", 0, 0, 0, 0],
        ],
    )


def _replay(console: Console, result: Backtest) -> None:
    if result.replay is None:
        return
    replay = result.replay
    asked = {
        "cycle": "asked for {:.4g} of the cycles",
        "fill": "asked for {:.4g} of the demand",
        "costs": "at least cost",
    }[replay.terms.target].format(replay.terms.service_level)
    if replay.unknown:
        console.note(f"Periods whose demand is not known: {replay.unknown:,}; what was sold was played.")

    def amount(value: float) -> float | None:
        return round(value, 1) if math.isfinite(value) else None

    console.table(
        f"Stock in a replay of {replay.periods} periods, {asked}",
        [
            *("rule", "fill rate", "cycles without a gap", "average stock"),
            *(["cost"] if replay.costed else []),
            *("stock at 95%", "at 98%"),
        ],
        [
            [
                row["name"],
                f"{row['fill_rate']:.1%}",
                f"{row['cycle_service']:.1%}" if math.isfinite(row["cycle_service"]) else None,
                amount(row["stock"]),
                *([amount(row["cost"])] if replay.costed else []),
                *(amount(row[f"stock_at_fill_{rate}"]) for rate in ("0.95", "0.98")),
            ]
            for row in replay.rows()
        ],
    )
