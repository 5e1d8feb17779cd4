"""The report's part on the backtest: how good the forecast would have been, beside the baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.forecasting.backtest import INTERVAL, Backtest, Score, Window
from recurra.forecasting.error_costs import ErrorCost
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.sales.wording import day, period_name, periods, plural
from recurra.forecasting.stock_backtest import FILL_RATES, Replay
from recurra.reporting import page, plots
from recurra.reporting.page import Fact, Html, element, number, paragraph, percent

__all__ = ["body", "headline", "tile"]

Array = NDArray[Any]

PICTURES = 4
LEAST_FILL = 0.7  # of the exchange curves
KNOWING = "who had known"


def headline(backtest: Backtest) -> str:
    """Say in a sentence whether the model beat the best baseline."""
    gain, name = _gain(backtest)
    if not math.isfinite(gain):
        return ""
    if abs(gain) < 0.01:
        return f"In the backtest the model did as well as the best baseline ({name})."
    if gain < 0:
        return (
            f"In the backtest the model's loss was {percent(-gain)} higher than that of the best baseline "
            f"({name}): train longer or on more history before you rely on it."
        )
    return (
        f"In the backtest the model's loss was {percent(gain)} lower than that of the best baseline ({name})."
    )


def tile(backtest: Backtest) -> Fact:
    """Return the headline number: the model's loss against the best baseline's."""
    gain, name = _gain(backtest)
    return Fact("Loss in the backtest", percent(-gain, signed=True), f"against {name}; lower is better")


def body(backtest: Backtest, panel: Panel, levels: Sequence[float]) -> Html:
    """Return the section: the outcome in words, scores beside one another, calibration, an example."""
    span = periods(panel.frequency, backtest.horizon)
    model = backtest.scores[0]
    how = f"The model was asked to forecast {span} that had already happened and that it had not seen" + (
        f", from {backtest.origins} different dates." if backtest.origins > 1 else "."
    )
    blocks = [
        paragraph(how, headline(backtest), _bias(model), _coverage(model), _left_out(backtest)),
        _pictures(backtest),
    ]
    explained = (
        "Loss is the weighted quantile loss: how far the forecast quantiles were off, as a share of what "
        "was sold; 0 is perfect. RMSSE compares the mean forecast's error with the usual change from one "
        "period to the next, MASE with that from one season to the next; below 1 is better than repeating the last "
        "value, or the last season. Inside the 80% range should lie 80% of the sales (counts that fall on its end are "
        "shared between inside and outside: the randomised probability integral transform). Bias is what was forecast "
        "too much (+) or too little (−) in all."
    )
    blocks.append(element("p", explained, class_="quiet"))
    if backtest.costs is not None:
        blocks.append(_costs(backtest.costs))
    if backtest.replay is not None:
        blocks.append(_replay(backtest.replay, panel))
    if backtest.window is not None:
        blocks.append(_example(backtest.window, panel, levels))
    return page.join(blocks)


def _gain(backtest: Backtest) -> tuple[float, str]:
    """How much lower the model's loss is than the best baseline's, as a share, and that baseline's name."""
    model, *baselines = backtest.scores
    known = [score for score in baselines if score.weighted_quantile_loss > 0]
    if not known:
        return math.nan, "no baseline"
    best = min(known, key=lambda score: score.weighted_quantile_loss)
    return 1 - model.weighted_quantile_loss / best.weighted_quantile_loss, best.name


def _bias(model: Score) -> str:
    if not math.isfinite(model.bias):
        return ""
    if abs(model.bias) < 0.01:
        return "Over all items it forecast neither too much nor too little."
    return (
        f"Over all items it forecast {percent(abs(model.bias))} too {'much' if model.bias > 0 else 'little'}."
    )


def _coverage(model: Score) -> str:
    held = model.coverage
    if not math.isfinite(held):
        return ""
    verdict = (
        "too narrow" if held < INTERVAL - 0.05 else "too wide" if held > INTERVAL + 0.05 else "about right"
    )
    return f"Its {percent(INTERVAL)} range held {percent(held)} of the sales: {verdict}."


def _left_out(backtest: Backtest) -> str:
    if not backtest.left_out:
        return ""
    return (
        f"Of {plural(backtest.counted, 'period')} of items {backtest.left_out:,} are in no score: the item had run "
        "out, or nobody knows what was wanted."
    )


def _pictures(backtest: Backtest) -> Html:
    names = [score.name for score in backtest.scores]
    losses = [score.weighted_quantile_loss for score in backtest.scores]
    alt = "Weighted quantile loss: " + ", ".join(
        f"{name} {loss:.3f}" for name, loss in zip(names, losses, strict=True)
    )
    picture = page.figure(
        plots.bars(names, losses, mark=0), alt, "Weighted quantile loss; shorter is better."
    )
    columns = [page.join([picture, _scores(backtest)])]
    honesty = []
    if backtest.calibration is not None:
        levels, below, at_or_below = backtest.calibration
        caption = (
            "How often sales stayed below each forecast quantile. On the dashed line the probabilities can "
            "be taken at their word; above it forecasts were too high, below it too low."
        )
        curve = plots.calibration(list(levels), below, at_or_below)
        honesty.append(page.figure(curve, "Forecast probability against observed frequency", caption))
    if backtest.pit is not None:
        caption = (
            "Where in its forecast each sale came out, from the lowest tenth to the highest. Bars on the dashed "
            "line: honest. High at both ends: too narrow; high in the middle: too wide; to the left: forecasts "
            "too high; to the right: too low."
        )
        histogram = plots.pit(backtest.pit)
        honesty.append(page.figure(histogram, "Histogram of the probability integral transform", caption))
    columns += [page.join(honesty)] if honesty else []
    return page.grid((element("div", column) for column in columns), "side")


def _scores(backtest: Backtest) -> Html:
    columns = ("Method", "Loss", "RMSSE", "MASE", "Inside the 80% range", "Bias", "Seconds")
    rows = (
        [
            score.name,
            _decimals(score.weighted_quantile_loss),
            _decimals(score.rmsse),
            _decimals(score.mase),
            percent(score.coverage),
            percent(score.bias, signed=True),
            "–" if score.seconds is None else number(score.seconds),
        ]
        for score in backtest.scores
    )
    return page.table(columns, rows, mark=0)


def _costs(costs: Sequence[ErrorCost]) -> Html:
    """What each method's errors would have cost, beside one who knew."""
    text = (
        "What the errors would have cost, with each item's own costs. For every item and period each method has what "
        "its forecast says is cheapest, the quantile at shortage cost / (shortage cost + holding cost); what is left "
        "over costs the holding cost, what is missing the shortage cost. Who had known would have paid nothing."
    )
    names = [cost.name for cost in costs]
    alt = "Cost of the errors: " + ", ".join(f"{cost.name} {number(cost.total)}" for cost in costs)
    bars = plots.bars(names, [cost.per_unit for cost in costs], mark=0)
    columns = ("Method", "Cost", "For each unit sold", "Left over", "Missing", "Units left", "Units missing")
    rows = [
        [
            cost.name,
            number(cost.total),
            _decimals(cost.per_unit),
            *(number(amount) for amount in (cost.holding, cost.shortage, cost.left, cost.missing)),
        ]
        for cost in costs
    ]
    rows.append([KNOWING, "0", "0", "0", "0", "0", "0"])
    picture = page.figure(bars, alt, "What errors cost for each unit sold; shorter is better.")
    table = page.table(columns, rows, mark=0)
    return page.join([element("h3", "What the errors would have cost"), paragraph(text), picture, table])


def _replay(replay: Replay, panel: Panel) -> Html:
    """What the order plan would have led to, beside the usual rules."""
    reviews, leads = {item.review for item in replay.items}, {item.lead_time for item in replay.items}
    often = f"every {periods(panel.frequency, reviews.pop())}" if len(reviews) == 1 else "at its own review"
    lead = leads.pop()
    wait = "their own lead time to arrive"
    if not leads:
        wait = f"{periods(panel.frequency, lead.longest)} to arrive"
    if not leads and len(lead.periods) > 1:
        wait = f"{lead.mean:.4g} {period_name(panel.frequency)}s on average to arrive, drawn for each order"
    goal = {
        "cycle": "for a service level of {}",
        "fill": "for {} of the demand from the shelf",
        "costs": "at least cost",
    }[replay.terms.target].format(percent(replay.terms.service_level))
    text = (
        f"The orders of {periods(panel.frequency, replay.periods)} played again with what was really sold: filled up "
        f"{often}, {wait}, {goal}. What was not there was {'lost' if replay.lost else 'delivered late'}. The last two "
        "columns compare like with like: the stock that each rule needs, asked for more or less, to deliver that share "
        "from the shelf."
    )
    if replay.unknown:
        text += f" In {plural(replay.unknown, 'period')} of items nobody knows the demand; what was sold was played."
    rates = [percent(rate) for rate in FILL_RATES]
    columns = ["Rule", "From the shelf", "Cycles without a gap", "Stock on average"]
    columns += ["Cost"] if replay.costed else []
    rows = (
        [
            row["name"],
            percent(row["fill_rate"]),
            percent(row["cycle_service"]),
            number(row["stock"]),
            *([number(row["cost"])] if replay.costed else []),
            *(_amount(row[f"stock_at_fill_{rate:g}"]) for rate in FILL_RATES),
        ]
        for row in replay.rows()
    )
    table = page.table([*columns, *(f"Stock at {rate}" for rate in rates)], rows, mark=0)
    note = f"Cost is of holding and shortage in a {period_name(panel.frequency)}, with each item's own costs."
    explained = element("p", note, class_="quiet") if replay.costed else ""
    return page.join(
        [
            element("h3", "What the orders would have led to"),
            paragraph(text),
            _exchange(replay),
            table,
            explained,
        ]
    )


def _exchange(replay: Replay) -> Html:
    """The exchange curves: what stock buys what fill rate."""
    lines = {}
    for method in replay.methods:
        shown = (method.fill_rate[1:] >= LEAST_FILL) & (method.fill_rate[1:] < 1)
        order = np.argsort(method.fill_rate[1:][shown], kind="stable")
        lines[method.name] = method.stock[1:][shown][order], method.fill_rate[1:][shown][order]
    planned = [(float(method.stock[0]), float(method.fill_rate[0])) for method in replay.methods]
    alt = "Fill rate by average stock, a line for each rule"
    caption = (
        "What stock buys: each rule asked for more and less. A line further left needs less for the same service; "
        "dots are the plans as they were asked for."
    )
    return page.figure(plots.exchange(lines, planned), alt, caption, wide=True)


def _amount(value: float) -> str:
    return number(value) if math.isfinite(value) else "–"


def _decimals(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"


def _example(window: Window, panel: Panel, levels: Sequence[float]) -> Html:
    start = int(np.searchsorted(panel.dates, window.dates[0]))
    shown = slice(max(start - 2 * len(window.dates), 0), start)
    places = {name: place for place, name in enumerate(panel.ids)}
    largest = np.argsort(-np.nansum(window.actual, axis=1), kind="stable")[:PICTURES]
    cards = []
    for item in largest:
        name = window.ids[item]
        picture = plots.fan(
            panel.dates[shown],
            panel.values[places[name], shown],
            window.dates,
            levels,
            window.quantiles[item],
            window.mean[item],
            actual=window.actual[item],
            nonnegative=panel.nonnegative,
        )
        figure = page.figure(picture, f"Backtest of {name}: forecast beside what was sold")
        cards.append(element("div", page.join([element("h3", name), figure]), class_="card"))
    text = (
        f"What it would have said on {day(window.dates[0])} about the {plural(len(cards), 'item')} that "
        "sold most then: the forecast in blue, what was sold afterwards in orange."
    )
    return page.join([paragraph(text), page.grid(cards)])
