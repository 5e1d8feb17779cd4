"""A grid's figures as one HTML page with a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recurra.bench.grid import BLOCKS, Conditions, Result, summaries
from recurra.bench.tables import result_table, summary_table
from recurra.reporting.page import Fact, Section, facts, figure, page, pairs, paragraph, table, write_page
from recurra.reporting.plots import curves

__all__ = ["write_report"]


def write_report(file: Path, found: Sequence[Result], conditions: Conditions, command: str) -> None:
    """Write the page. Raises InputError where it cannot be written, MissingExtraError without matplotlib."""
    what = "training step" if conditions.training else "forward pass without gradients"
    tiles = [
        Fact(each.cell, f"× {each.ratio:.1f}", f"geometric mean; worst × {each.worst.ratio:.2f}")
        for each in summaries(found, conditions.product_rate)
    ]
    picture = figure(
        curves(_panels(found), across="units H", up="times as fast as torch.nn"),
        alt=f"How many times as fast as torch.nn recurra.nn is, for each layer and batch size, by units: {what}",
        caption="Each line is one number of rows B and of steps T; on the dashed line both are equally fast.",
        wide=True,
    )
    machine = pairs(
        [
            ("processor", conditions.cpu),
            ("threads", conditions.threads),
            ("float32 matrix products", f"{conditions.product_rate:.0f} GFLOP/s"),
            ("versions", f"recurra {conditions.recurra}, torch {conditions.torch}"),
            ("command", command),
        ]
    )
    sections = [
        Section("How many times as fast", "ratios", picture),
        Section("Layer by layer", "summary", table(*summary_table(found, conditions))),
        Section("Size by size", "sizes", table(*result_table(found, conditions))),
        Section("The machine", "machine", machine),
    ]
    subtitle = f"A {what} of one layer, recurra.nn beside torch.nn with the same weights, taken in turns"
    lead = facts(tiles) if tiles else paragraph("Nothing was measured.")
    write_page(file, page("recurra bench", subtitle, lead, sections))


def _panels(found: Sequence[Result]) -> dict[str, dict[str, tuple[list[float], list[float]]]]:
    """For each cell, for each B and T, the ratios by H."""
    panels: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    several = len({each.point.steps for each in found}) > 1
    for each in sorted(found, key=lambda each: (each.point.batch, each.point.steps, each.point.hidden)):
        point = each.point
        name = f"B {point.batch}, T {point.steps}" if several else f"B {point.batch}"
        line = panels.setdefault(point.cell, {}).setdefault(name, ([], []))
        line[0].append(point.hidden)
        line[1].append(each.ratio)
    return {cell: panels[cell] for cell in BLOCKS if cell in panels}
