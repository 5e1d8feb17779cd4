"""Makes tests/golden/stockpyl.json: textbook cases of inventory control, computed by stockpyl (MIT).

In an environment of its own, --no-deps because the package pins old tools of its documentation:
    pip install numpy scipy networkx tabulate matplotlib sympy jsonpickle tqdm && pip install --no-deps stockpyl==1.0.2
    python tests/golden/make_stockpyl.py

Every case holds the arguments that stockpyl was given and what it answered.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from stockpyl.eoq import economic_order_quantity
from stockpyl.newsvendor import newsvendor_discrete, newsvendor_normal, newsvendor_poisson
from stockpyl.rq import r_q_poisson_exact
from stockpyl.ss import s_s_discrete_exact

PMF = {0: 0.35, 1: 0.2, 2: 0.15, 4: 0.1, 7: 0.1, 12: 0.07, 20: 0.03}
COSTS = {"holding_cost": 1.0, "stockout_cost": 4.0}
DEAR = {"holding_cost": 20.0, "stockout_cost": 150.0}


def case(function: Callable[..., Any], **arguments: Any) -> dict[str, Any]:
    """The arguments and the answers, rounded to what a test can compare."""
    answer = function(**arguments)
    shown = {name: list(map(list, x.items())) if isinstance(x, dict) else x for name, x in arguments.items()}
    return {"arguments": shown, "answer": [round(float(x), 9) for x in answer[:3]]}


def certain_share(mean: float, sd: float, lead_mean: float, lead_sd: float, share: float) -> dict[str, Any]:
    """The level for demand over an uncertain lead time in the normal approximation of the textbooks."""
    spread = math.sqrt(lead_mean * sd**2 + mean**2 * lead_sd**2)
    level, _ = newsvendor_normal(1 - share, share, mean * lead_mean, spread)
    return {
        "arguments": {"mean": mean, "sd": sd, "lead_mean": lead_mean, "lead_sd": lead_sd, "share": share},
        "answer": [round(float(level), 9), spread],
    }


def main() -> None:
    # s_s_discrete_exact 1.0.2 leaves the largest demand of a list out of the costs: here it is one that never comes.
    weights = [PMF.get(k, 0.0) for k in range(22)]
    cases = {
        "newsvendor_normal": [
            case(newsvendor_normal, holding_cost=0.18, stockout_cost=0.70, demand_mean=50.0, demand_sd=8.0),
            case(newsvendor_normal, holding_cost=1.0, stockout_cost=19.0, demand_mean=500.0, demand_sd=60.0),
        ],
        "base_stock_normal": [
            case(newsvendor_normal, **COSTS, demand_mean=5.0, demand_sd=1.0, lead_time=4),
            case(newsvendor_normal, holding_cost=0.5, stockout_cost=9.5, demand_mean=20.0, demand_sd=6.0, lead_time=7),
        ],
        "newsvendor_poisson": [
            case(newsvendor_poisson, **COSTS, demand_mean=20.0),
            case(newsvendor_poisson, holding_cost=1.0, stockout_cost=30.0, demand_mean=0.8),
        ],
        "newsvendor_discrete": [case(newsvendor_discrete, **COSTS, demand_pmf=PMF)],
        "economic_order_quantity": [
            case(economic_order_quantity, fixed_cost=8.0, holding_cost=0.225, demand_rate=1300.0),
            case(economic_order_quantity, fixed_cost=50.0, holding_cost=2.0, demand_rate=3.5),
        ],
        "r_q_poisson_exact": [
            case(r_q_poisson_exact, **DEAR, fixed_cost=100.0, demand_mean=1.5, lead_time=2),
            case(r_q_poisson_exact, **COSTS, fixed_cost=30.0, demand_mean=8.0, lead_time=3),
        ],
        "s_s_discrete_exact": [
            case(s_s_discrete_exact, **COSTS, fixed_cost=5.0, use_poisson=True, demand_mean=6.0),
            case(s_s_discrete_exact, **DEAR, fixed_cost=900.0, use_poisson=True, demand_mean=10.0),
            case(
                s_s_discrete_exact, **COSTS, fixed_cost=12.0, use_poisson=False, demand_hi=21, demand_pmf=weights,
            ),
        ],
        "random_lead_time_normal": [
            certain_share(10.0, 3.0, 5.0, 1.0, 0.95),
            certain_share(40.0, 12.0, 8.0, 2.0, 0.9),
        ],
    }  # fmt: skip
    about = {"package": "stockpyl", "version": metadata.version("stockpyl"), "license": "MIT"}
    text = json.dumps({"about": about, "cases": cases}, indent=1)
    Path(__file__).with_name("stockpyl.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
