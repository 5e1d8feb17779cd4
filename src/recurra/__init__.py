"""recurra: recurrent neural networks for the sequences people have, on an ordinary computer.

Importing this package loads neither torch nor a data-frame library: the public classes come from a lazy table.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurra.estimator import load
    from recurra.forecasting import Forecaster, ProductionPlan, StockPlan, plan_production
    from recurra.language.classification import TextClassifier
    from recurra.language.generation import LanguageModel
    from recurra.language.suggestion import Keyboard
    from recurra.language.tagging import Tagger

__version__ = "0.1.0"

__all__ = [
    "Forecaster",
    "Keyboard",
    "LanguageModel",
    "ProductionPlan",
    "StockPlan",
    "Tagger",
    "TextClassifier",
    "__version__",
    "load",
    "plan_production",
]

_WHERE = {
    "Forecaster": "recurra.forecasting",
    "Keyboard": "recurra.language.suggestion",
    "LanguageModel": "recurra.language.generation",
    "ProductionPlan": "recurra.forecasting",
    "StockPlan": "recurra.forecasting",
    "Tagger": "recurra.language.tagging",
    "TextClassifier": "recurra.language.classification",
    "load": "recurra.estimator",
    "plan_production": "recurra.forecasting",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'recurra' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
