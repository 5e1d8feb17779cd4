"""The textbook cases of inventory control, as stockpyl computes them (tests/golden/make_stockpyl.py).

Our rules read samples: here a distribution's quantiles at evenly spaced probabilities, or many drawn paths.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from recurra.forecasting.stock import policies
from recurra.forecasting.stock.lead_times import LeadTime
from recurra.forecasting.stock.plan import plan_stock
from recurra.forecasting.stock.rules import protection_demand

CASES = json.loads((Path(__file__).parents[2] / "golden/stockpyl.json").read_text(encoding="utf-8"))["cases"]
SAMPLES = 20_000


def cases(name: str) -> Any:
    return pytest.mark.parametrize(
        ("given", "answer"), [(case["arguments"], case["answer"]) for case in CASES[name]]
    )


def normal(mean: float, sd: float) -> np.ndarray[Any, Any]:
    spread = NormalDist(mean, sd)
    return np.array([spread.inv_cdf((k + 0.5) / SAMPLES) for k in range(SAMPLES)])


def discrete(pmf: dict[int, float]) -> np.ndarray[Any, Any]:
    values = np.array(sorted(pmf))
    below = np.cumsum([pmf[int(k)] for k in values])
    return values[np.searchsorted(below, (np.arange(SAMPLES) + 0.5) / SAMPLES * below[-1])]


def poisson(mean: float) -> np.ndarray[Any, Any]:
    most = int(mean + 12 * math.sqrt(mean) + 12)
    return discrete({k: math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(most)})


def ratio(given: dict[str, Any]) -> float:
    return policies.critical_ratio(given["holding_cost"], given["stockout_cost"])


@cases("newsvendor_normal")
def test_newsvendor_with_normal_demand(given: dict[str, Any], answer: list[float]) -> None:
    demand = normal(given["demand_mean"], given["demand_sd"])
    level = float(policies.service_level_stock(demand, ratio(given), whole=False))
    assert level == pytest.approx(answer[0], rel=1e-3)
    cost = given["holding_cost"] * np.maximum(level - demand, 0).mean() + given[
        "stockout_cost"
    ] * policies.shortage(demand, level)
    assert cost == pytest.approx(answer[1], rel=1e-3)


@cases("newsvendor_poisson")
def test_newsvendor_with_poisson_demand(given: dict[str, Any], answer: list[float]) -> None:
    assert policies.service_level_stock(poisson(given["demand_mean"]), ratio(given), whole=True) == answer[0]


@cases("newsvendor_discrete")
def test_newsvendor_with_any_discrete_demand(given: dict[str, Any], answer: list[float]) -> None:
    demand = discrete({int(k): p for k, p in given["demand_pmf"]})
    assert policies.service_level_stock(demand, ratio(given), whole=True) == answer[0]


@cases("base_stock_normal")
def test_base_stock_by_a_plan_from_paths(given: dict[str, Any], answer: list[float]) -> None:
    lead = given["lead_time"]
    paths = np.random.default_rng(0).normal(given["demand_mean"], given["demand_sd"], (1, 40_000, lead + 1))
    plan = plan_stock(
        paths, ["a"], lead_time=lead, review=1, target="costs", whole=False,
        holding_cost=given["holding_cost"], shortage_cost=given["stockout_cost"],
    )  # fmt: skip
    assert plan.frame["order_up_to"].item() == pytest.approx(answer[0], rel=5e-3)
    assert plan.frame["service_level"].item() == pytest.approx(ratio(given))


@cases("economic_order_quantity")
def test_economic_quantity(given: dict[str, Any], answer: list[float]) -> None:
    rate, ordering, holding = (given[name] for name in ("demand_rate", "fixed_cost", "holding_cost"))
    found = policies.economic_quantity(rate, ordering, holding, whole=False)
    assert found == pytest.approx(answer[0], rel=1e-9)
    assert abs(policies.economic_quantity(rate, ordering, holding, whole=True) - answer[0]) < 1


@cases("r_q_poisson_exact")
def test_reorder_point_and_quantity(given: dict[str, Any], answer: list[float]) -> None:
    rate = given["demand_mean"]
    demand = poisson(rate * given["lead_time"])
    costs = (given["fixed_cost"], given["holding_cost"], given["stockout_cost"])
    found = policies.cheapest_point_and_quantity(demand, rate, *costs, whole=True)
    assert found == (answer[0], answer[1])


@cases("s_s_discrete_exact")
def test_min_and_max(given: dict[str, Any], answer: list[float]) -> None:
    demand = (
        poisson(given["demand_mean"])
        if given["use_poisson"]
        else discrete({k: p for k, p in enumerate(given["demand_pmf"]) if p})
    )
    costs = (given["fixed_cost"], given["holding_cost"], given["stockout_cost"])
    assert policies.cheapest_min_max(demand, demand, *costs, whole=True) == (answer[0], answer[1])


@cases("random_lead_time_normal")
def test_safety_stock_with_an_uncertain_lead_time(given: dict[str, Any], answer: list[float]) -> None:
    lead = LeadTime.of(given["lead_mean"], given["lead_sd"])
    paths = np.random.default_rng(1).normal(given["mean"], given["sd"], (1, 40_000, lead.longest))
    demand = protection_demand(paths, lead, 0)[0]
    # The textbook's demand is normal; ours has the skew of the gamma lead time, put on whole periods.
    assert demand.mean() == pytest.approx(given["mean"] * given["lead_mean"], rel=0.01)
    assert demand.std() == pytest.approx(answer[1], rel=0.08)
    level = float(policies.service_level_stock(demand, given["share"], whole=False))
    assert level == pytest.approx(answer[0], rel=0.04)
