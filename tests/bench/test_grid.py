from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from recurra.bench import grid
from recurra.bench.grid import Conditions, Point, Result
from recurra.bench.report import write_report
from recurra.bench.tables import result_table, summary_table
from recurra.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread")
CONDITIONS = Conditions(True, 2, "a processor", "2.13.0", "0.1.0", 100.0)
TINY = [Point(cell, 4, 2, 3) for cell in grid.BLOCKS]


def result(cell: str, hidden: int, batch: int, ratio: float, recurra: float = 1e-3) -> Result:
    return Result(Point(cell, hidden, batch, 50), ratio * recurra, recurra, 3, 1e-6)


def test_the_work_of_a_step_is_twelve_products_for_each_block() -> None:
    assert Point("RNN", 64, 16, 50).flop() == 12 * 50 * 16 * 64**2
    assert Point("GRU", 64, 16, 50).flop() == 3 * Point("RNN", 64, 16, 50).flop()
    assert Point("LSTM", 64, 16, 50).flop(training=False) == 4 * 4 * 50 * 16 * 64**2


def test_the_grid_leaves_out_what_is_above_5_teraflop() -> None:
    points = grid.points(grid.FULL)
    assert len(set(points)) == len(points) == 178
    assert max(map(Point.flop, points)) <= 5e12
    assert Point("RNN", 1024, 256, 1000) in points
    assert Point("GRU", 1024, 256, 1000) not in points
    assert set(grid.points(grid.CUT)) <= set(points)


@pytest.mark.parametrize("training", [True, False])
def test_points_are_measured_and_their_results_held_to_one_another(training: bool) -> None:
    found = list(grid.measure(TINY, training, budget=0.0))
    assert [each.point for each in found] == TINY
    for each in found:
        assert each.rounds == 3
        assert 0 <= each.difference < 1e-5
        assert 0 < each.ratio < math.inf
        assert each.rate == pytest.approx(each.point.flop(training) / each.recurra / 1e9)


class _Interrupted(list[Point]):
    """Points after whose first `stop` the person presses Ctrl-C."""

    stop = 0

    def __iter__(self) -> Iterator[Point]:
        yield from self[: self.stop]
        raise KeyboardInterrupt


def test_an_interruption_keeps_what_was_measured() -> None:
    todo = _Interrupted(TINY)
    with pytest.raises(KeyboardInterrupt):
        grid.collect(todo)
    todo.stop = 2
    found, interrupted = grid.collect(todo)
    assert interrupted
    assert [each.point for each in found] == TINY[:2]


def test_a_cell_is_summed_up_by_its_mean_its_worst_and_its_share_at_large_sizes() -> None:
    found = [
        result("GRU", 64, 1, 8.0),
        result("GRU", 256, 16, 2.0, recurra=Point("GRU", 256, 16, 50).flop() / 80e9),
        result("RNN", 64, 1, 0.5),
    ]
    rnn, gru = grid.summaries(found, product_rate=100.0)
    assert (rnn.cell, rnn.ratio, rnn.worst) == ("RNN", 0.5, found[2])
    assert math.isnan(rnn.share)
    assert (gru.cell, gru.worst) == ("GRU", found[1])
    assert gru.ratio == pytest.approx(4.0)
    assert gru.share == pytest.approx(0.8)


def test_figures_survive_their_file(tmp_path: Path) -> None:
    found = [result("GRU", 64, 1, 8.0), result("LSTM", 256, 16, 1.5)]
    grid.write(tmp_path / "found.json", found, CONDITIONS)
    again, conditions = grid.read(tmp_path / "found.json")
    assert conditions == CONDITIONS
    assert [each.point for each in again] == [each.point for each in found]
    assert [each.ratio for each in again] == pytest.approx([each.ratio for each in found])
    document = json.loads((tmp_path / "found.json").read_text())
    assert document["points"][0]["ratio"] == pytest.approx(8.0)
    assert document["summary"][0]["share"] is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"conditions": {}, "points": []}'])
def test_a_file_of_something_else_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "found.json").write_text(text)
    with pytest.raises(InputError, match=r"found\.json.*no figures"):
        grid.read(tmp_path / "found.json")


def test_more_and_larger_points_are_expected_to_take_longer() -> None:
    small, large = (grid.expected_seconds(grid.points(sizes), CONDITIONS) for sizes in (grid.CUT, grid.FULL))
    assert 10 < small < 300
    assert large > 10 * small


def test_the_tables_have_a_line_for_each_point_and_cell() -> None:
    found = [result("LSTM", 256, 16, 1.5), result("GRU", 64, 1, 8.0), result("GRU", 64, 16, 2.0)]
    columns, rows = result_table(found, CONDITIONS)
    assert [row[:4] for row in rows] == [
        ["GRU", "64", "1", "50"],
        ["GRU", "64", "16", "50"],
        ["LSTM", "256", "16", "50"],
    ]
    assert [row[columns.index("×")] for row in rows] == ["8.00", "2.00", "1.50"]
    columns, rows = summary_table(found, CONDITIONS)
    assert [row[:4] for row in rows] == [
        ["GRU", "4.00", "2.00", "H 64, B 16, T 50"],
        ["LSTM", "1.50", "1.50", "H 256, B 16, T 50"],
    ]


def test_the_report_is_one_page_with_a_picture(tmp_path: Path) -> None:
    found = [result("GRU", hidden, batch, 2.0) for hidden in (64, 128) for batch in (1, 16)]
    write_report(tmp_path / "bench.html", found, CONDITIONS, "recurra bench <fast>")
    text = (tmp_path / "bench.html").read_text(encoding="utf-8")
    assert "<svg" in text
    assert "× 2.0" in text
    assert "recurra bench &lt;fast&gt;" in text
    assert "a processor" in text
