from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.reporting import plots

DATES = np.datetime64("2026-01-01") + np.arange(40)
LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)


def fan(**changes: object) -> str:
    generator = np.random.default_rng(0)
    arguments = {
        "dates": DATES[:30],
        "history": generator.poisson(4, 30),
        "future": DATES[30:],
        "levels": LEVELS,
        "quantiles": np.sort(generator.gamma(2, 2, (10, 5)), axis=1),
        "mean": np.full(10, 4.0),
    }
    return plots.fan(**(arguments | changes))  # type: ignore[arg-type]


def pictures() -> list[str]:
    samples = np.random.default_rng(1).poisson(30, 500)
    return [
        fan(legend=True),
        fan(actual=np.arange(10)),
        plots.bars(["recurra", "naive"], [0.6, 0.7], mark=0),
        plots.demand(samples, 40, expected=30, available=12),
        plots.calibration(LEVELS, np.array(LEVELS) - 0.05, np.array(LEVELS) + 0.05),
        plots.curves(
            {"GRU": {"B 1": ([64, 128], [4.0, 2.0])}, "LSTM": {"B 1": ([64], [0.5])}}, across="H", up="×"
        ),
    ]


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter("text")]


def test_a_picture_is_an_svg_that_fits_any_page() -> None:
    for svg in pictures():
        root = ElementTree.fromstring(svg)
        assert root.tag == "svg"
        assert "viewBox" in root.attrib
        assert "width" not in root.attrib
        assert "http" not in svg
        assert texts(svg)
        assert not re.search(r"#(?:0[1-8]){3}", svg)
        assert "var(--accent" in svg or "var(--warm" in svg


def test_every_reference_in_a_picture_is_defined_in_it() -> None:
    for svg in pictures():
        wanted = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg))
        assert {first or second for first, second in wanted} <= set(re.findall(r'id="([^"]+)"', svg))


def test_the_same_picture_gives_the_same_bytes() -> None:
    assert pictures() == pictures()


def test_drawing_leaves_the_settings_of_matplotlib_alone() -> None:
    before = dict(mpl.rcParams)
    pictures()
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "$x_1$",
        "$\\frac{",
        "日本の茶碗 🍵",
        "naïve & co",
        "long" * 40,
        "a_b^c",
        "\\%",
    ],
)
def test_names_are_text_and_nothing_else(name: str) -> None:
    svg = plots.bars([name, "naive"], [0.5, 0.7])
    assert "<script" not in svg
    shown = name if len(name) <= 32 else name[:31] + "…"
    assert shown in [text.strip() for text in texts(svg)]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rate=st.sampled_from([0.0, 0.3, 8.0, 4000.0]),
    share=st.floats(0.5, 0.99),
    whole=st.booleans(),
    available=st.floats(-1e4, 1e5),
)
def test_any_demand_can_be_drawn(seed: int, rate: float, share: float, whole: bool, available: float) -> None:
    samples = np.random.default_rng(seed).poisson(rate, 200) * (1.0 if whole else 0.37)
    level = float(np.quantile(samples, share, method="inverted_cdf"))
    svg = plots.demand(samples, level, expected=samples.mean(), available=available, whole=whole)
    assert any(text.startswith("order up to") for text in texts(svg))


def test_orange_bars_are_exactly_the_demand_beyond_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {}

    def record(axes: object, places: np.ndarray, heights: np.ndarray, width: float, **style: object) -> None:
        drawn[style["color"]] = float(np.sum(heights))

    monkeypatch.setattr("matplotlib.axes.Axes.bar", record)
    for rate, unit, whole in ((0.4, 1, True), (25, 1, True), (900, 1, True), (25, 0.37, False)):
        samples = np.random.default_rng(2).poisson(rate, 500) * unit
        level = float(np.quantile(samples, 0.9, method="inverted_cdf"))
        plots.demand(samples, level, expected=rate, available=0, whole=whole)
        assert drawn[plots.WARM] == pytest.approx((samples > level + 1e-9).mean())
        assert sum(drawn.values()) == pytest.approx(1)


def test_a_level_without_its_mirror_draws_no_band() -> None:
    svg = fan(levels=(0.1, 0.5), quantiles=np.ones((10, 2)), legend=True)
    assert not any("range" in text for text in texts(svg))


def test_curves_share_one_legend_and_show_ratios_as_they_are() -> None:
    panels = {"GRU": {"B 1": ([64, 512], [1.0, 8.0])}, "LSTM": {"B 1": ([64], [1.0]), "B 16": ([64], [2.0])}}
    shown = [text.strip() for text in texts(plots.curves(panels, across="units", up="×"))]
    assert {"GRU", "LSTM", "units", "64", "512", "8"} <= set(shown)
    assert (shown.count("B 1"), shown.count("B 16")) == (1, 1)
    assert ElementTree.fromstring(plots.curves({}, across="units", up="×")).tag == "svg"


def test_an_empty_history_and_one_step_can_be_drawn() -> None:
    short = fan(
        dates=DATES[:0], history=np.zeros(0), future=DATES[:1], quantiles=np.ones((1, 5)), mean=np.ones(1)
    )
    assert ElementTree.fromstring(short).tag == "svg"


def test_a_score_that_is_not_known_has_no_bar() -> None:
    assert "–" in texts(plots.bars(["recurra", "naive"], [0.5, float("nan")]))


def test_a_histogram_of_the_integral_transform_and_an_exchange_curve() -> None:
    picture = plots.pit(np.full(10, 0.1))
    assert "where in the forecast sales came out" in texts(picture)
    assert plots.pit(np.full(10, np.nan))
    lines = {
        name: (np.arange(1.0, 5), np.linspace(0.8, 0.99, 4)) for name in ("ours", "theirs", "third", "4")
    }
    picture = plots.exchange(lines, [(2.0, 0.9)] * 4)
    assert {"ours", "theirs", "third", "4", "stock on average"} <= set(texts(picture))
    assert plots.exchange({"never": (np.zeros(0), np.zeros(0))}, [(1.0, 0.5)])
