"""A grid's figures as tables: each size, and each layer in all."""

from __future__ import annotations

from collections.abc import Sequence

from recurra.bench.grid import BLOCKS, LIMITED, Conditions, Result, summaries
from recurra.reporting.page import percent

__all__ = ["result_table", "summary_table"]

Rows = list[list[str]]


def result_table(found: Sequence[Result], conditions: Conditions) -> tuple[list[str], Rows]:
    """A line for each point: both times, the ratio, recurra's GFLOP/s and their share of the product rate."""
    columns = ["layer", "H", "B", "T", "torch.nn, ms", "recurra.nn, ms", "×", "GFLOP/s", "share"]
    order = list(BLOCKS)
    ordered = sorted(found, key=lambda each: (order.index(each.point.cell), each.point[1:]))
    rows = [
        [
            each.point.cell,
            *map(str, each.point[1:]),
            f"{1e3 * each.torch:.2f}",
            f"{1e3 * each.recurra:.2f}",
            f"{each.ratio:.2f}",
            f"{each.rate:.1f}",
            percent(each.rate / conditions.product_rate),
        ]
        for each in ordered
    ]
    return columns, rows


def summary_table(found: Sequence[Result], conditions: Conditions) -> tuple[list[str], Rows]:
    """A line for each cell: the geometric mean of the ratios, the worst, and the share at large sizes."""
    rows, units = LIMITED
    columns = ["layer", "geometric mean ×", "worst ×", "where", f"share, B ≥ {rows}, H ≥ {units}"]
    return columns, [
        [
            each.cell,
            f"{each.ratio:.2f}",
            f"{each.worst.ratio:.2f}",
            "H {}, B {}, T {}".format(*each.worst.point[1:]),
            percent(each.share),
        ]
        for each in summaries(found, conditions.product_rate)
    ]
