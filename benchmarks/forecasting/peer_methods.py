"""One method of peers.py in a process of its own: sales in, the forecasts from three origins out.

    python benchmarks/forecasting/peer_methods.py METHOD sales.parquet forecasts.npz [--steps 500]

The sales have the columns unique_id, ds, y: every series from its first day on, none missing. What goes out: quantiles
(K, N, H, Q), means of one kind or several (K, N, H), seconds.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recurra.forecasting.baselines import same_season_quantiles
from recurra.forecasting.distribution import Quantiles
from recurra.forecasting.forecast import LEVELS, QUANTILES
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.sales.data import Panel

__all__ = ["METHODS", "PACKAGES"]

Array = NDArray[Any]
Answer = Mapping[
    str, Array
]  # "quantiles" (N, H, Q), what may be taken for the mean (N, H), "fan": quantiles at more LEVELS
Method = Callable[[Panel, argparse.Namespace], Iterator[Answer]]

HORIZON, ORIGINS, SEASON = 28, 3, 7
BANDS = [20, 40, 60, 80]  # central intervals whose ends are QUANTILES but the median


def recurra(panel: Panel, options: argparse.Namespace) -> Iterator[Answer]:
    """As users have it; --set changes its arguments."""
    settings = dict(pair.split("=", 1) for pair in options.set)
    numbers = {name: float(v) if "." in v else int(v) if v.isdigit() else v for name, v in settings.items()}
    if options.quick:
        numbers |= {"steps": options.steps, "hidden_size": 8}
    pasts = list(_pasts(panel))
    model = Forecaster(HORIZON, **numbers).fit(pasts[0])
    for past in pasts:
        forecast = model.forecast(past)
        fan = forecast.quantiles
        yield {"quantiles": forecast.at(QUANTILES), "mean": fan.mean(), "fan": fan.values}


def weekdays(panel: Panel, options: argparse.Namespace) -> Iterator[Answer]:
    """The quantiles of the last 8 same weekdays."""
    for past in _pasts(panel):
        quantiles, mean = same_season_quantiles(past.values, past.first, HORIZON, SEASON, QUANTILES)
        yield {"quantiles": quantiles, "mean": mean}


def neural(name: str) -> Method:
    """A network of neuralforecast at its defaults, for as many steps as asked.

    NHITS and LSTM learn the quantiles (MQLoss); DeepAR its default distribution (Student's t), out of which it draws
    quantiles and a mean. How much they read is theirs too; NHITS has no default for it, and takes twice the horizon
    as in its documentation.
    """

    def forecast(panel: Panel, options: argparse.Namespace) -> Iterator[Answer]:
        from neuralforecast import NeuralForecast, models
        from neuralforecast.losses.pytorch import DistributionLoss, MQLoss

        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
        quiet = {"enable_progress_bar": False, "logger": False, "enable_checkpointing": False}
        arguments: dict[str, Any] = {"h": HORIZON, "max_steps": options.steps, "accelerator": "cpu", **quiet}
        if name == "DeepAR":
            arguments["loss"] = DistributionLoss(distribution="StudentT", level=BANDS, return_params=False)
        else:
            arguments["loss"] = MQLoss(quantiles=list(QUANTILES))
        if name == "NHITS":
            arguments["input_size"] = 2 * HORIZON
        network = NeuralForecast([getattr(models, name)(**arguments)], freq="D")
        for number, past in enumerate(_pasts(panel)):
            frame = _frame(past)
            if number == 0:
                network.fit(frame)
            yield _columns(network.predict(frame), past, name)

    return forecast


def lightgbm(panel: Panel, options: argparse.Namespace) -> Iterator[Answer]:
    """LightGBM at its defaults on mlforecast's features, a model for each quantile and one for the mean.

    Lags start at the horizon, so that no forecast is fed back: a quantile of quantiles is none. The lags, their means
    and the date's features are those of mlforecast's example on M5.
    """
    from lightgbm import LGBMRegressor
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import ExpandingMean, RollingMean

    said = {"verbosity": -1, "random_state": 0}
    if options.quick:
        said["n_estimators"] = 5
    regressors = {f"q{q:g}": LGBMRegressor(objective="quantile", alpha=q, **said) for q in QUANTILES}
    regressors["mean"] = LGBMRegressor(**said)
    model = MLForecast(
        regressors,
        freq="D",
        lags=[HORIZON + SEASON * k for k in range(8)],
        lag_transforms={HORIZON: [ExpandingMean(), *(RollingMean(size) for size in (7, 28, 60))]},
        date_features=["year", "month", "day", "dayofweek", "quarter", "week"],
        num_threads=1,
    )
    for number, past in enumerate(_pasts(panel)):
        frame = _frame(past)
        if number == 0:
            model.fit(frame, static_features=[])
        table = model.predict(HORIZON, new_df=frame)
        quantiles = np.stack([_by_series(table, f"q{q:g}", past) for q in QUANTILES], -1)
        yield {"quantiles": quantiles, "mean of its own": _by_series(table, "mean", past)}


def ets(panel: Panel, options: argparse.Namespace) -> Iterator[Answer]:
    """AutoETS of statsforecast with a season of 7 days, fitted anew at every origin."""
    from statsforecast import StatsForecast
    from statsforecast.models import AutoETS

    for past in _pasts(panel):
        model = StatsForecast([AutoETS(season_length=SEASON)], freq="D", n_jobs=1)
        yield _columns(model.forecast(df=_frame(past), h=HORIZON, level=BANDS), past, "AutoETS")


METHODS: Mapping[str, Method] = {
    "recurra": recurra,
    "weekday-8": weekdays,
    "NHITS": neural("NHITS"),
    "LSTM": neural("LSTM"),
    "DeepAR": neural("DeepAR"),
    "LightGBM": lightgbm,
    "AutoETS": ets,
}
PACKAGES = dict.fromkeys(("NHITS", "LSTM", "DeepAR"), "neuralforecast")
PACKAGES |= {"LightGBM": "mlforecast", "AutoETS": "statsforecast"}


def _pasts(panel: Panel) -> Iterator[Panel]:
    """The panel as it was at each origin."""
    for k in range(ORIGINS):
        yield panel.until(len(panel.dates) - (ORIGINS - k) * HORIZON)


def _frame(panel: Panel) -> Any:
    """The panel as the peers' packages take it, in pandas."""
    import pandas as pd

    lengths = len(panel.dates) - panel.first
    begun = np.arange(len(panel.dates)) >= panel.first[:, None]
    return pd.DataFrame(
        {
            "unique_id": np.repeat(np.array(panel.ids), lengths),
            "ds": np.broadcast_to(panel.dates, begun.shape)[begun].astype("datetime64[ns]"),
            "y": panel.values[begun],
        }
    )


def _by_series(table: Any, column: str, panel: Panel) -> Array:
    """A column of a peer's forecast as (N, H), in the panel's order."""
    table = table.reset_index() if "unique_id" not in table.columns else table
    wide = table.pivot(index="unique_id", columns="ds", values=column)
    return np.asarray(wide.loc[list(panel.ids)].to_numpy(), dtype=np.float64)


def _columns(table: Any, panel: Panel, name: str) -> Answer:
    """What neuralforecast and statsforecast call NAME, NAME-median, NAME-lo-80, NAME-hi-80."""
    found = []
    for level in QUANTILES:
        band = round(abs(2 * level - 1) * 100)
        side = "lo" if level < 0.5 else "hi"
        names = [f"{name}-{side}-{band}", f"{name}-{side}-{band}.0"] if band else [f"{name}-median", name]
        column = next((each for each in names if each in table.columns), None)
        if column is None:
            raise SystemExit(f"{name} gave no quantile {level}: {', '.join(table.columns)}")
        found.append(_by_series(table, column, panel))
    own = {"mean of its own": _by_series(table, name, panel)} if name in table.columns else {}
    return {"quantiles": np.stack(found, -1), **own}


def _finished(answers: Sequence[Answer]) -> dict[str, Array]:
    """All origins' answers, none below 0, quantiles in rising order, with the means that they have."""
    quantiles = np.stack([np.sort(np.maximum(each["quantiles"], 0), -1) for each in answers])
    kinds = [name for name in answers[0] if name.startswith("mean")]
    means = {name: np.stack([np.maximum(each[name], 0) for each in answers]) for name in kinds}
    means["mean of the quantiles"] = Quantiles(np.array(QUANTILES), quantiles, 0.0).mean()
    means["mean is the median"] = quantiles[..., QUANTILES.index(0.5)]
    fan = {}
    if "fan" in answers[0]:
        fan = {"fan": np.stack([each["fan"] for each in answers]), "levels": np.array(LEVELS)}
    return {"quantiles": quantiles, **means, **fan}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("sales", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    panel = Panel.from_frame(pl.read_parquet(options.sales))
    began = time.monotonic()
    answers = list(METHODS[options.method](panel, options))
    seconds = time.monotonic() - began
    np.savez(options.out, seconds=np.float64(seconds), **_finished(answers))


if __name__ == "__main__":
    main()
