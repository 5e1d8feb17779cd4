"""Pictures as SVG to put into a page: fans, bars, distributions, calibration, confusion, curves.

Text stays text and colors are the page's CSS variables, so that one picture serves light, dark and print.
Names that users chose belong into the page around a picture; text inside one is never read as mathematics.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import MissingExtraError
from recurra.reporting.page import Html, number, percent

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
except ImportError as error:
    raise MissingExtraError.of("matplotlib", "plot") from error

__all__ = [
    "bars",
    "calibration",
    "confusion",
    "curves",
    "demand",
    "exchange",
    "fan",
    "load",
    "pit",
    "reliability",
]

Array = NDArray[Any]

# Stand-ins that matplotlib can draw with; `_svg` puts the page's variables in their place (with the light
# value as the fallback outside a page). Blue and orange are told apart by people of any color vision.
INK, MUTED, GRID, HISTORY, ACCENT, WARM, GOOD, PAPER = (f"#0{i}0{i}0{i}" for i in range(1, 9))
_VARIABLES = {
    INK: "var(--ink,#1c2733)",
    MUTED: "var(--muted,#5b6875)",
    GRID: "var(--grid,#e3e8ec)",
    HISTORY: "var(--history,#46525e)",
    ACCENT: "var(--accent,#0b6aa8)",
    WARM: "var(--warm,#c4500a)",
    GOOD: "var(--good,#0a7f5f)",
    PAPER: "var(--paper,#ffffff)",
}
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "recurra",  # the same picture gives the same bytes
    "text.parse_math": False,
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.color": GRID,
    "ytick.labelcolor": MUTED,
    "ytick.major.size": 0,
    "xtick.major.size": 3,
    "legend.frameon": False,
    "legend.labelcolor": MUTED,
}


@mpl.rc_context(_SETTINGS)
def fan(
    dates: Array,
    history: Array,
    future: Array,
    levels: Sequence[float],
    quantiles: Array,
    mean: Array,
    *,
    actual: Array | None = None,
    size: tuple[float, float] = (6.2, 2.5),
    legend: bool = False,
    nonnegative: bool = True,
) -> Html:
    """Draw a history (dates and values (T,)) and its forecast: mean (H,) and bands between quantiles (H, Q).

    Each pair of levels that mirror each other (0.1 and 0.9, 0.2 and 0.8, …) is one band. `actual` (H,) is
    what came.
    """
    figure, axes = _start(size)
    quantiles = np.asarray(quantiles, dtype=np.float64)
    lower = [i for i, level in enumerate(levels) if level < 0.5 and _mirror(levels, level) is not None]
    for place, i in enumerate(lower):
        upper = _mirror(levels, levels[i])
        assert upper is not None
        label = f"{percent(levels[upper] - levels[i])} range" if place == 0 else None
        axes.fill_between(
            future,
            quantiles[:, i],
            quantiles[:, upper],
            color=ACCENT,
            alpha=0.5 / len(lower),
            lw=0,
            label=label,
        )
    axes.plot(dates, history, color=HISTORY, lw=1.1, label="sold")
    axes.plot(future, mean, color=ACCENT, lw=1.8, label="forecast")
    if actual is not None:
        axes.plot(future, actual, color=WARM, lw=1.2, label="sold afterwards")
    if len(dates):
        axes.axvline(dates[-1], color=MUTED, lw=0.8, ls=(0, (2, 3)))
    locator = AutoDateLocator(minticks=3, maxticks=max(4, int(size[0] * 1.2)))  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    _count_axis(axes.yaxis)
    if nonnegative:
        axes.set_ylim(bottom=0)
    axes.margins(x=0.01)
    if legend:
        axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=4, borderaxespad=0)
    return _svg(figure)


@mpl.rc_context(_SETTINGS)
def bars(
    names: Sequence[str],
    values: Sequence[float],
    *,
    mark: int | None = None,
    size: tuple[float, float] | None = None,
) -> Html:
    """Draw one horizontal bar a name, its value beside it; bar number `mark` stands out. NaN draws no bar.

    Names are cut at 32 characters.
    """
    figure, axes = _start(size or (6.2, 0.5 + 0.36 * len(names)))
    lengths = np.nan_to_num(np.asarray(values, dtype=np.float64), nan=0.0)
    places = np.arange(len(names))
    for place, value in enumerate(values):
        color, alpha = (ACCENT, 1.0) if place == mark else (MUTED, 0.45)
        axes.barh(place, lengths[place], height=0.62, color=color, alpha=alpha, lw=0)
        text = "–" if np.isnan(value) else f"{value:.3f}"
        axes.annotate(text, (lengths[place], place), (5, 0), textcoords="offset points", va="center")
    axes.set_yticks(places, [name if len(name) <= 32 else f"{name[:31]}…" for name in names])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.invert_yaxis()
    axes.set_xlim(0, max(lengths.max(initial=0) * 1.12, 1e-9))
    axes.xaxis.set_visible(False)
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    return _svg(figure)


@mpl.rc_context(_SETTINGS)
def demand(
    samples: Array,
    level: float,
    *,
    expected: float,
    available: float,
    whole: bool = True,
    size: tuple[float, float] = (3.7, 2.5),
) -> Html:
    """Draw the distribution of sampled demands (S,) and the order-up-to `level`; what exceeds it is orange.

    A dashed line is the `expected` demand, a triangle on the axis what is `available` now (on hand and on
    order); beyond the picture, it points to its side.
    """
    figure, axes = _start(size)
    samples = np.asarray(samples, dtype=np.float64)
    low, high = min(float(samples.min()), level), max(float(samples.max()), level)
    width = (high - low) / 28 or 1.0
    width = float(np.ceil(width)) if whole else width
    # The level is the right edge of a bin, so that orange bins hold exactly the demands it does not cover.
    offset = 0.5 if whole else width * 1e-6
    start = level + offset - width * np.ceil((level + offset - low + 1e-9) / width)
    edges = start + width * np.arange(int(np.ceil((high + offset - start) / width)) + 1)
    counts, _ = np.histogram(samples, edges)
    middles = (edges[:-1] + edges[1:]) / 2
    covered = middles < level + offset
    for chosen, color, alpha in ((covered, ACCENT, 0.55), (~covered, WARM, 0.9)):
        axes.bar(middles[chosen], counts[chosen] / samples.size, width * 0.88, color=color, alpha=alpha, lw=0)
    axes.axvline(level, color=WARM, lw=1.5)
    axes.axvline(expected, ymax=0.95, color=MUTED, lw=1.0, ls=(0, (4, 3)))
    axes.set_xlim(edges[0] - width, edges[-1] + width)
    left, right = axes.get_xlim()
    marker = "<" if available < left else ">" if available > right else "^"
    place = min(max(available, left), right)
    axes.plot([place], [0], marker, color=INK, ms=6, clip_on=False, zorder=5, markeredgewidth=0)
    leftwards = level > (left + right) / 2
    axes.annotate(
        f"order up to {number(level)}",
        (level, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(4 if leftwards else -4, 1),
        textcoords="offset points",
        ha="right" if leftwards else "left",
        va="bottom",
        color=WARM,
    )
    _count_axis(axes.xaxis)
    axes.yaxis.set_visible(False)
    return _svg(figure)


@mpl.rc_context(_SETTINGS)
def load(dates: Array, loads: Array, capacity: Array, *, size: tuple[float, float] = (10, 2.6)) -> Html:
    """Draw the load of every period (H,) as bars and its capacity as a line; what exceeds it is orange."""
    figure, axes = _start(size)
    places = np.arange(len(dates))
    within = np.minimum(loads, capacity)
    axes.bar(places, within, 0.8, color=ACCENT, alpha=0.55, lw=0)
    axes.bar(places, loads - within, 0.8, bottom=within, color=WARM, alpha=0.9, lw=0)
    axes.step(places, capacity, where="mid", color=INK, lw=1.0, ls=(0, (4, 3)))
    shown = np.unique(np.linspace(0, len(dates) - 1, min(len(dates), 8)).round().astype(int))
    axes.set_xticks(shown, [np.datetime_as_string(np.datetime64(dates[place], "D")) for place in shown])
    axes.set_ylim(0, max(float(np.max(loads)), float(np.max(capacity)), 1e-9) * 1.08)
    _count_axis(axes.yaxis)
    return _svg(figure)


@mpl.rc_context(_SETTINGS)
def calibration(
    levels: Sequence[float], below: Array, at_or_below: Array, *, size: tuple[float, float] = (3.7, 3.3)
) -> Html:
    """Draw how often sales came out below each forecast quantile; an honest forecast follows the diagonal.

    `below` and `at_or_below` (Q,) differ for counts: the diagonal should run between them.
    """
    figure, axes = _start(size)
    axes.plot([0, 1], [0, 1], color=MUTED, lw=1.0, ls=(0, (4, 3)))
    axes.fill_between(levels, below, at_or_below, color=ACCENT, alpha=0.22, lw=0)
    middle = (np.asarray(below) + np.asarray(at_or_below)) / 2
    axes.plot(levels, middle, color=ACCENT, lw=1.8, marker="o", ms=4)
    axes.set(
        xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="forecast probability", ylabel="how often it came"
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return _svg(figure)


@mpl.rc_context(_SETTINGS)
def exchange(
    lines: Mapping[str, tuple[Array, Array]],
    marks: Sequence[tuple[float, float]],
    *,
    size: tuple[float, float] = (9.4, 3.2),
) -> Html:
    """Draw what stock buys: fill rates (K,) by average stock (K,), a line for each name, the first one in color.

    `marks` are a point (stock, fill rate) for each line.
    """
    figure, axes = _start(size)
    styles = ((ACCENT, "-"), (MUTED, "-"), (MUTED, (0, (4, 2))), (MUTED, (0, (1, 1))))
    for (name, (stock, rate)), mark, (color, dashes) in zip(
        lines.items(), marks, (styles[min(n, len(styles) - 1)] for n in range(len(lines))), strict=True
    ):
        axes.plot(stock, rate, color=color, ls=dashes, lw=1.8 if color == ACCENT else 1.3, label=name)
        axes.plot(*mark, "o", color=color, ms=5)
    axes.set(xlabel="stock on average", ylabel="from the shelf")
    axes.set_ylim(top=1)
    axes.set_xlim(left=0)
    _count_axis(axes.xaxis)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.legend(loc="lower right")
    return _svg(figure)


@mpl.rc_context(_SETTINGS)
def pit(shares: Array, *, size: tuple[float, float] = (3.7, 3.3)) -> Html:
    """Draw the histogram of a probability integral transform: shares (B,) of B equal bins, NaN where none is known.

    An honest forecast fills all bins up to the dashed line.
    """
    figure, axes = _start(size)
    shares = np.nan_to_num(np.asarray(shares, dtype=np.float64))
    even = 1 / len(shares)
    middles = (np.arange(len(shares)) + 0.5) * even
    axes.bar(middles, shares, even * 0.9, color=ACCENT, alpha=0.55, lw=0)
    axes.axhline(even, color=MUTED, lw=1.0, ls=(0, (4, 3)))
    top = max(float(shares.max(initial=0)), even) * 1.15
    axes.set(xlim=(0, 1), ylim=(0, top), xlabel="where in the forecast sales came out", ylabel="how often")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return _svg(figure)


@mpl.rc_context(_SETTINGS)
def reliability(said: Array, right: Array, counts: Array, *, size: tuple[float, float] = (3.7, 3.3)) -> Html:
    """Draw the share of right answers (B,) against the probability that they were given with (B,), by bins.

    A dot's area is the number of its answers `counts` (B,); an honest classifier follows the diagonal.
    """
    figure, axes = _start(size)
    axes.plot([0, 1], [0, 1], color=MUTED, lw=1.0, ls=(0, (4, 3)))
    axes.plot(said, right, color=ACCENT, lw=1.2)
    area = 18 + 140 * np.asarray(counts) / max(np.max(counts, initial=0), 1)
    axes.scatter(said, right, s=area, color=ACCENT, alpha=0.75, lw=0, zorder=3)
    axes.set(
        xlim=(0, 1.02),
        ylim=(0, 1.02),
        aspect="equal",
        xlabel="probability said",
        ylabel="share that was right",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return _svg(figure)


@mpl.rc_context(_SETTINGS)
def confusion(names: Sequence[str], counts: Array, *, size: tuple[float, float] | None = None) -> Html:
    """Draw a grid of counts (K, K), what is true from top to bottom, what was said from left to right.

    A cell is the darker the larger its share of its row; what is right is blue, what is wrong orange. Up to 20 names
    the counts stand in the cells. Names are cut at 24 characters.
    """
    side = 1.9 + 0.42 * len(names) if len(names) <= 20 else 3.0 + 0.2 * len(names)
    figure, axes = _start(size or (side + 0.8, side))
    shares = np.asarray(counts) / np.maximum(np.sum(counts, axis=1, keepdims=True), 1)
    for row, column in np.argwhere(np.asarray(counts) > 0):
        color = ACCENT if row == column else WARM
        share = float(shares[row, column])
        cell = Rectangle(
            (column - 0.47, row - 0.47), 0.94, 0.94, color=color, alpha=0.12 + 0.78 * share, lw=0
        )
        axes.add_patch(cell)
        if len(names) <= 20:
            ink = PAPER if share > 0.6 else INK
            axes.text(
                column, row, f"{counts[row, column]:,}", ha="center", va="center", color=ink, fontsize=8
            )
    short = [name if len(name) <= 24 else f"{name[:23]}…" for name in names]
    places = np.arange(len(names))
    axes.set_xticks(places, short, rotation=90 if len(names) > 6 or max(map(len, short)) > 8 else 0)
    axes.set_yticks(places, short)
    axes.tick_params(labelcolor=INK, length=0)
    axes.set(
        xlim=(-0.5, len(names) - 0.5),
        ylim=(len(names) - 0.5, -0.5),
        aspect="equal",
        xlabel="said",
        ylabel="true",
    )
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    return _svg(figure)


@mpl.rc_context(_SETTINGS)
def curves(
    panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
    *,
    across: str,
    up: str,
    size: tuple[float, float] = (9.4, 3.4),
) -> Html:
    """Draw lines by name in panels side by side, both axes logarithmic; a dashed line stands at 1.

    `across` and `up` say what the axes are. Lines go from light to dark in their order, which all panels share.
    """
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.03))
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    every = figure.subplots(1, max(1, len(panels)), sharey=True, squeeze=False)[0]
    for axes, (title, lines) in zip(every, panels.items(), strict=False):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.axhline(1, color=MUTED, lw=1.0, ls=(0, (4, 3)))
        for name, (x, y) in lines.items():
            shade = 0.3 + 0.7 * (names.index(name) + 1) / len(names)
            axes.plot(x, y, color=ACCENT, alpha=shade, lw=1.5, marker="o", ms=3.5, label=name)
        axes.set_title(title, color=INK, fontsize="medium")
        axes.set_xlabel(across)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    every[0].set_ylabel(up)
    if names:
        longest = max(range(len(panels)), key=lambda place: len(every[place].lines))
        handles, labels = every[longest].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=6)
    return _svg(figure)


def _start(size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.03))
    return figure, figure.add_subplot()


def _svg(figure: Figure) -> Html:
    """The figure as an `<svg>` element that fits into a page: no fixed size, no URLs, the page's colors."""
    stream = io.StringIO()
    with warnings.catch_warnings():
        # The reader's browser brings the fonts; matplotlib only measures with its own.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from", category=UserWarning)
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r' xmlns(?::xlink)?="[^"]*"', "", svg).replace("xlink:href=", "href=")
    svg = re.sub(r'<g id="[a-zA-Z]+[\w.]*_\d+">', "<g>", svg)
    svg = re.sub(r"\s*\n\s*", "\n", svg)
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, variable)
    return Html(svg)


def _mirror(levels: Sequence[float], level: float) -> int | None:
    near = np.flatnonzero(np.isclose(levels, 1 - level, atol=1e-6))
    return int(near[0]) if near.size else None


def _count_axis(axis: Any) -> None:
    axis.set_major_locator(MaxNLocator(5, min_n_ticks=2))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(round(value, 10))))
