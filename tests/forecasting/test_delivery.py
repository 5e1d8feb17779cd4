from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from small_shop import shop, tiny

from recurra.errors import InputError, UsageError
from recurra.forecasting import delivery, forecaster
from recurra.forecasting.delivery import Delivery, check_terms, deliver, prepare_folder
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.stock.files import read_stock


def silent(_: str) -> None:
    pass


def delivered(fitted: Forecaster, panel: Panel, out: Path | None = None, **changes: Any) -> Delivery:
    settings: dict[str, Any] = {"terms": None, "trained": True, "check": False, "max_seconds": None}
    settings |= {"command": "recurra forecast", "say": silent}
    return deliver(fitted, panel, out, **(settings | changes))


def test_the_range_is_that_of_the_sum_along_joint_paths(fitted: Forecaster, small_panel: Panel) -> None:
    made = delivered(fitted, small_panel)
    forecast = made.forecast
    totals = forecast.draw(delivery.REPORT_PATHS).sum(2, dtype=np.float64)
    expected = forecast.quantiles.mean().sum(1)
    order = np.argsort(-expected, kind="stable")
    low, high = np.quantile(totals, (0.1, 0.9), axis=1)
    rows = made.summary(len(order))
    assert [row[0] for row in rows] == [forecast.ids[place] for place in order]
    assert [row[3:5] for row in rows] == [[round(low[place]), round(high[place])] for place in order]
    summed = forecast.at((0.1, 0.9)).sum(1)
    assert (high - low).sum() < 0.95 * (summed[:, 1] - summed[:, 0]).sum()


def test_a_part_of_the_items_is_shown_with_the_same_ranges(fitted: Forecaster, small_panel: Panel) -> None:
    made = delivered(fitted, small_panel)
    rows = made.summary(2)
    assert rows[:2] == made.summary(100)[:2]
    assert rows[2] == ["… 4 more", "", "", "", ""]
    assert all(isinstance(number, int) for row in rows[:2] for number in row[1:])


def test_series_read_in_parts_are_forecast_as_at_once(
    fitted: Forecaster, small_panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = delivered(fitted, small_panel, trained=False)
    monkeypatch.setattr(forecaster, "SERIES", 4)
    parts = delivered(fitted, small_panel, trained=False)
    assert parts.forecast.ids == whole.forecast.ids
    np.testing.assert_allclose(
        parts.forecast.quantiles.values, whole.forecast.quantiles.values, rtol=2e-5, atol=1e-6
    )
    np.testing.assert_allclose(parts.forecast.draw(3), whole.forecast.draw(3), atol=1)


def test_amounts_that_are_no_whole_numbers_stay_so(fitted: Forecaster, small_panel: Panel) -> None:
    made = delivered(fitted, small_panel)
    kilos = replace(made, forecast=replace(made.forecast, whole=False))
    assert all(isinstance(number, float) for number in kilos.summary(1)[0][1:])


def test_orders_are_beside_their_items(fitted: Forecaster, small_panel: Panel) -> None:
    terms = check_terms(fitted, small_panel, None, say=silent, lead_time=1, review=2, service_level=0.9)
    made = delivered(fitted, small_panel, terms=terms)
    assert made.plan is not None
    orders = dict(made.plan.frame.select("unique_id", "order_quantity").iter_rows())
    for name, *_, order in made.summary(6):
        assert order == orders[name]


def test_csv_is_rounded_and_parquet_is_not(fitted: Forecaster, small_panel: Panel, tmp_path: Path) -> None:
    made = delivered(fitted, small_panel, tmp_path)
    assert [path.name for path in made.files] == ["forecast.csv", "forecast.parquet", "report.html"]
    assert pl.read_parquet(made.files[1]).equals(made.table)
    rounded = pl.read_csv(made.files[0])
    assert rounded["mean"].to_list() == made.table["mean"].round(4).to_list()
    assert rounded["mean"].to_list() != made.table["mean"].to_list()
    assert delivery._rounded(pl.DataFrame({"a": [-1e-9]})).write_csv() == "a\n0.0\n"


def test_ctrl_c_in_the_backtest_leaves_it_out(
    fitted: Forecaster, small_panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(delivery, "backtest", interrupted)
    said: list[str] = []
    made = delivered(fitted, small_panel, tmp_path, check=True, say=said.append)
    assert made.interrupted
    assert made.backtest is None
    assert said[-1] == "The backtest was interrupted and is left out."
    assert (tmp_path / "report.html").exists()


@pytest.mark.parametrize("failing", ["forecast.csv", "forecast.parquet", "plan.csv", "report.html"])
def test_a_write_that_fails_leaves_the_old_file_and_no_rest(
    fitted: Forecaster,
    small_panel: Panel,
    tmp_path: Path,
    failing: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rename = Path.replace

    def full(self: Path, target: Path) -> Path:
        if target.name == failing:
            raise OSError(28, "No space left on device", str(target))
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", full)
    (tmp_path / failing).write_text("old")
    terms = check_terms(fitted, small_panel, None, say=silent, lead_time=1, review=2, service_level=0.9)
    with pytest.raises(OSError, match="No space left"):
        delivered(fitted, small_panel, tmp_path, terms=terms)
    assert (tmp_path / failing).read_text() == "old"
    assert all(not path.name.startswith(".") for path in tmp_path.iterdir())


def test_items_that_the_model_does_not_know_are_named(fitted: Forecaster, small_panel: Panel) -> None:
    said: list[str] = []
    names = ("a", "b", "c", "d", *small_panel.ids[4:])
    delivered(fitted, replace(small_panel, ids=names), trained=False, say=said.append)
    assert said == [
        "4 items that the model was not trained on (a, b, c, …): forecast from their own history alone."
    ]
    said.clear()
    delivered(fitted, small_panel, trained=False, say=said.append)
    assert said == []


def test_terms_are_checked_against_an_untrained_forecaster() -> None:
    terms = check_terms(tiny(horizon=9), shop(), None, say=silent, lead_time=2)
    assert (terms.lead_time, terms.review, terms.on_hand) == (2, 7, 0)
    with pytest.raises(UsageError, match=r"lead time \+ review is 10 periods"):
        check_terms(tiny(horizon=9), shop(), None, say=silent, lead_time=3)


@pytest.mark.parametrize(
    ("write", "name"),
    [(pl.DataFrame.write_parquet, "s.parquet"), (pl.DataFrame.write_ndjson, "s.jsonl")],
)
def test_stock_from_typed_files(
    write: Callable[[pl.DataFrame, Path], None], name: str, tmp_path: Path
) -> None:
    write(pl.DataFrame({"sku": [7, 8], "on_hand": [1.5, 2.0]}), tmp_path / name)
    stock = read_stock(tmp_path / name, ["7", "8"], say=silent)
    assert stock.to_dict(as_series=False) == {"unique_id": ["7", "8"], "on_hand": [1.5, 2.0]}


def test_rows_of_a_typed_stock_file_count_from_one(tmp_path: Path) -> None:
    pl.DataFrame({"sku": ["a", "b"], "on_hand": [1.0, None]}).write_parquet(tmp_path / "s.parquet")
    with pytest.raises(InputError, match=r"s\.parquet, row 2, column 'on_hand'"):
        read_stock(tmp_path / "s.parquet", ["a", "b"], say=silent)


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "a/b c/ü")
    prepare_folder(tmp_path / "a/b c/ü")
    assert (tmp_path / "a/b c/ü").is_dir()
