from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recurra.forecasting import metrics
from recurra.forecasting.backtest import Backtest, Score, Window
from recurra.forecasting.baselines import same_season_quantiles
from recurra.forecasting.error_costs import ErrorCost
from recurra.forecasting.report import ReportContent, render_report, write_report
from recurra.forecasting.report_backtest import headline
from recurra.forecasting.sales.calendar import FREQUENCIES
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.stock.plan import plan_stock
from recurra.forecasting.stock.replay import Played
from recurra.forecasting.stock.terms import StockTerms, item_terms
from recurra.forecasting.stock_backtest import Replay
from recurra.reporting import plots
from recurra.reporting.page import Html

LEVELS = tuple(np.round(np.arange(1, 10) / 10, 1))
HOSTILE = ("<script>alert(1)</script>", "$x_1$", "日本 🍵", "long name " * 30, "quote \" and ' & <b>")


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of the words: drawing takes a second or two and has tests of its own."""
    for name in ("fan", "bars", "demand", "calibration"):
        monkeypatch.setattr(plots, name, lambda *_, **__: Html("<svg></svg>"))


class Words(HTMLParser):
    """The text of a page outside its style, and its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def content(
    items: int = 5,
    length: int = 60,
    horizon: int = 14,
    frequency: str = "daily",
    names: tuple[str, ...] = HOSTILE,
) -> ReportContent:
    generator = np.random.default_rng(0)
    calendar = FREQUENCIES[frequency]
    dates = calendar.dates(np.datetime64("2025-01-06"), length + horizon)
    ids = tuple(names[i] if i < len(names) else f"item {i}" for i in range(items))
    values = generator.poisson(5, (items, length)).astype(np.float32)
    panel = Panel(
        ids=ids,
        frequency=calendar,
        dates=dates[:length],
        values=values,
        first=np.zeros(items, dtype=np.int64),
        whole=True,
        notes=("A note on <the data>.",),
    )
    paths = generator.poisson(5, (items, 200, horizon)).astype(np.float32)
    quantiles = np.quantile(paths, LEVELS, axis=1).transpose(1, 2, 0)
    return ReportContent(panel, dates[length:], LEVELS, quantiles, paths.mean(axis=1), paths)


def backtest(report: ReportContent, *, own: float | None = None) -> Backtest:
    panel, horizon = report.panel, len(report.future)
    past, actual = panel.values[:, :-horizon], panel.values[:, -horizon:]
    quantiles, mean = same_season_quantiles(past, panel.first, horizon, panel.frequency.season, LEVELS)
    loss = metrics.weighted_quantile_loss(actual, quantiles, LEVELS)
    ours = metrics.weighted_quantile_loss(actual, report.quantiles, LEVELS) if own is None else own
    scores = [
        Score("recurra", ours, 0.7, 0.8, 0.004, 12.5),
        Score("last 8 same weekdays", loss, 0.8, 0.75, -0.1, 0.01),
        Score("nothing known", float("nan"), float("nan"), float("nan"), float("nan")),
    ]
    window = Window(panel.ids, panel.dates[-horizon:], actual, quantiles, mean)
    return Backtest(scores, horizon, 2, metrics.calibration(actual, report.quantiles, LEVELS), window)


def planned(report: ReportContent, **arguments: Any) -> ReportContent:
    settings = {"lead_time": 5, "review": 7, "service_level": 0.95} | arguments
    return replace(report, plan=plan_stock(report.paths, report.panel.ids, **settings))


def test_the_whole_report_says_what_was_forecast_and_names_stay_text(tmp_path: Path) -> None:
    report = planned(content(), on_hand=20)
    facts = {"Seed": 7, "Network": "<LSTM>"}
    report = replace(report, backtest=backtest(report), facts=facts, command="recurra forecast a.csv")
    path = tmp_path / "report.html"
    write_report(path, report)
    page = Words(path.read_text(encoding="utf-8"))
    total = report.mean.sum()
    assert f"expect to sell about {round(total)} units; in 8 of 10" in page.text
    units = report.plan.frame["order_quantity"].sum()  # type: ignore[union-attr]
    assert f"Order {units} units now, of 5 of the 5 items." in page.text
    for words in (
        "All items together",
        "Item by item",
        "What to order",
        "How far to trust it",
        "recurra forecast a.csv",
    ):
        assert words in page.text
    assert "A note on <the data>." in page.text
    assert "<LSTM>" in page.text
    assert page.tags.count("svg") == 1 + 2 * 5 + 2 + 4
    for name in HOSTILE:
        assert " ".join(name.split()) in page.text
    assert not {"script", "b"} & set(page.tags)
    assert "http:" not in path.read_text(encoding="utf-8")
    assert "https:" not in path.read_text(encoding="utf-8")


def test_two_hundred_items_stay_under_two_megabytes() -> None:
    report = planned(content(items=200, length=120))
    text = render_report(replace(report, backtest=backtest(report)))
    assert len(text.encode()) < 2_000_000
    page = Words(text)
    assert page.tags.count("svg") == 1 + 2 * 8 + 2 + 4
    assert "All 200 items" in page.text
    assert page.text.count("item 199") >= 2


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("frequency", ["hourly", "weekly", "monthly", "quarterly", "yearly"])
def test_every_frequency_is_put_in_words(frequency: str) -> None:
    report = planned(content(items=2, frequency=frequency), lead_time=0, review=1)
    page = Words(render_report(report))
    noun = {"hourly": "hour", "weekly": "week", "monthly": "month", "quarterly": "quarter", "yearly": "year"}[
        frequency
    ]
    assert f"Over the next 14 {noun}s" in page.text
    assert f"Orders are placed every 1 {noun} and an order arrives at once" in page.text


@pytest.mark.usefixtures("no_pictures")
def test_a_forecast_alone_is_a_report() -> None:
    page = Words(render_report(content(items=1)))
    assert "What to order" not in page.text
    assert "How far to trust it" not in page.text


@pytest.mark.usefixtures("no_pictures")
def test_a_history_shorter_than_the_horizon_has_no_change_to_tell() -> None:
    page = Words(render_report(content(items=2, length=3)))
    assert "Change against" not in page.text


def test_nothing_sold_and_nothing_forecast_is_a_report_too() -> None:
    report = content(items=2)
    panel = replace(report.panel, values=np.zeros_like(report.panel.values))
    nothing = replace(
        report,
        panel=panel,
        quantiles=np.zeros_like(report.quantiles),
        mean=np.zeros_like(report.mean),
        paths=np.zeros_like(report.paths),
    )
    nothing = planned(replace(nothing, backtest=backtest(nothing)))
    page = Words(render_report(nothing))
    assert "about 0 units" in page.text
    assert "order nothing now" in page.text


@pytest.mark.usefixtures("no_pictures")
def test_a_plan_in_pandas_reads_the_same() -> None:
    polars = planned(content())
    pandas = planned(content(), backend="pandas")
    assert isinstance(pandas.plan.frame, pd.DataFrame)  # type: ignore[union-attr]
    assert render_report(pandas) == render_report(polars)


@pytest.mark.usefixtures("no_pictures")
def test_empty_shelves_are_said_to_be_assumed() -> None:
    assert "No stock was given" in Words(render_report(planned(content()))).text
    assert "No stock was given" not in Words(render_report(planned(content(), on_hand=3))).text


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (0.5, "the model's loss was 50% lower than that of the best baseline (weekday)"),
        (1.0, "the model did as well as the best baseline (weekday)"),
        (1.2, "the model's loss was 20% higher than that of the best baseline (weekday): train longer"),
        (float("nan"), ""),
    ],
)
def test_the_backtest_says_who_won_and_does_not_flatter(own: float, words: str) -> None:
    scores = [Score("recurra", own, 1, 0.8, 0), Score("naive", 2.0, 1, 1, 0), Score("weekday", 1.0, 1, 1, 0)]
    sentence = headline(Backtest(scores, horizon=7))
    assert words in sentence
    assert bool(words) == bool(sentence)


@pytest.mark.usefixtures("no_pictures")
def test_the_verdict_on_the_range() -> None:
    report = content(items=2)
    base = backtest(report)
    for coverage, verdict in ((0.6, "too narrow"), (0.78, "about right"), (0.95, "too wide")):
        shown = replace(base, scores=[replace(base.scores[0], coverage=coverage), *base.scores[1:]])
        text = Words(render_report(replace(report, backtest=shown))).text
        assert f"held {coverage:.0%} of the sales: {verdict}" in text


@pytest.mark.usefixtures("no_pictures")
def test_what_errors_cost_and_what_no_score_counts_is_said() -> None:
    report = content(items=2)
    costs = [ErrorCost("recurra", 10, 30, 20, 3, 80), ErrorCost("naive", 50, 70, 100, 7, 80)]
    shown = replace(backtest(report), costs=costs, pit=np.full(10, 0.1), counted=1000, left_out=12)
    text = Words(render_report(replace(report, backtest=shown))).text
    assert "recurra 40 0.500 10 30 20 3" in text
    assert "naive 120 1.500 50 70 100 7" in text
    assert "who had known 0 0" in text
    assert "Of 1,000 periods of items 12 are in no score" in text
    plain = Words(render_report(replace(report, backtest=backtest(report)))).text
    assert "would have cost" not in plain
    assert "in no score" not in plain


def replayed(**asked: Any) -> Replay:
    ids = ("a", "b")
    terms = StockTerms(**({"lead_time": 2, "review": 3} | asked))
    items = item_terms(terms, ids, review=3, whole=True)
    rates, stocks = np.array([0.93, 0.9, 0.99]), np.array([150.0, 100.0, 460.0])
    methods = [
        Played(name, rates, np.full(3, 0.8), stocks * factor, np.full(3, 4.0), stocks * 2)
        for name, factor in (("recurra", 1), ("average", 2))
    ]
    return Replay(methods, terms, items, periods=56, lost=False, unknown=7)


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            {},
            "filled up every 3 days, 2 days to arrive, for a service level of 95%. What was not there was",
        ),
        (
            {"target": "fill", "lead_time": {1: 0.5, 2: 0.5}},
            "1.5 days on average to arrive, drawn for each order, for 95% of",
        ),
        ({"target": "costs", "holding_cost": 1, "shortage_cost": 9}, "to arrive, at least cost."),
        (
            {"on_hand": pd.DataFrame({"unique_id": ["a"], "review": [1], "lead_time": [1]})},
            "filled up at its own review, their own lead time to arrive",
        ),
    ],
)
def test_the_replay_says_what_was_played(asked: dict[str, Any], words: str) -> None:
    report = content(items=2)
    shown = replace(backtest(report), replay=replayed(**asked))
    text = Words(render_report(replace(report, backtest=shown))).text
    assert words in text
    assert "In 7 periods of items nobody knows the demand; what was sold was played." in text
    costs = "holding_cost" in asked
    assert ("Stock on average Cost Stock at 95%" in text) is costs
    assert f"recurra 93% 80% 150 {'300 ' if costs else ''}300 420" in text


def test_shapes_that_do_not_fit_are_refused_before_anything_is_drawn() -> None:
    report = content()
    with pytest.raises(ValueError, match="mean of the report"):
        render_report(replace(report, mean=report.mean[:, :-1]))
