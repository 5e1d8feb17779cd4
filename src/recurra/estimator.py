"""What every job's class shares: its arguments in scikit-learn's manner, and its model folder.

scikit-learn itself is not needed; its `clone` and its searches work on these classes.
"""

from __future__ import annotations

import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from recurra.artifact import CONFIG, Model, load_model, save_model
from recurra.errors import ModelError, NotFittedError, UsageError
from recurra.streaming.packed import Packed

__all__ = ["Estimator", "load"]

# The only classes that a model folder can name, and where they live.
MODELS = {
    "Forecaster": "recurra.forecasting",
    "Keyboard": "recurra.language.suggestion",
    "LanguageModel": "recurra.language.generation",
    "Tagger": "recurra.language.tagging",
    "TextClassifier": "recurra.language.classification",
}


class Estimator(ABC):
    """The base of every job's class.

    A subclass's constructor takes keyword arguments and keeps each as an attribute of its name, unchanged.
    What `fit` finds out goes into attributes that end with an underscore.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments; with `deep` also the arguments of arguments that are estimators."""
        params = {name: getattr(self, name) for name in self._arguments()}
        if deep:
            for name, value in list(params.items()):
                if hasattr(value, "get_params") and not isinstance(value, type):
                    params |= {f"{name}__{key}": inner for key, inner in value.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Change constructor arguments, `name__inner` an argument's own; UsageError for an unknown name."""
        known = self._arguments()
        for name, value in params.items():
            own, _, inner = name.partition("__")
            if own not in known:
                hint = f"It has: {', '.join(known)}."
                raise UsageError(f"{type(self).__name__} has no argument {own!r}", hint=hint)
            if inner:
                getattr(self, own).set_params(**{inner: value})
            else:
                setattr(self, own, value)
        return self

    def save(self, folder: str | Path) -> None:
        """Write the fitted model to a folder; a model that is there is replaced, at once or not at all.

        Raises NotFittedError before `fit`, UsageError where something stands that is no model folder.
        """
        self._check_fitted()
        fitted, weights, card = self._state()
        arguments = self.get_params(deep=False)
        kind = type(self).__name__
        save_model(
            folder,
            kind=kind,
            arguments=arguments,
            fitted=fitted,
            weights=weights,
            card=card,
            packed=self._packed(),
            tokenizer=self._tokenizer(),
        )

    def pack(self, weights: str = "float32") -> float:
        """Pack the fitted model's networks (`recurra.streaming`), so that it is used without torch; `save` keeps them.

        Returns how far what it says is from its source, as a share of its size. Raises UsageError where that is too
        far, and where a model of this class cannot be packed.
        """
        raise UsageError(f"a {type(self).__name__} cannot be packed", value=weights)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a model that `save` wrote; raises ModelError for a damaged folder or another class's."""
        model = load_model(folder)
        if model.kind != cls.__name__:
            hint = "Read it with recurra.load(folder)."
            raise ModelError(f"this model is no {cls.__name__}", file=folder, value=model.kind, hint=hint)
        return cls._of(model, folder)

    def __repr__(self) -> str:
        parameters = inspect.signature(type(self)).parameters
        changed = {k: v for k, v in self.get_params(deep=False).items() if _differs(v, parameters[k].default)}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    @abstractmethod
    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]], str]:
        """What `fit` found out as JSON values, the weights as arrays, and the model's card."""

    @abstractmethod
    def _restore(self, fitted: Mapping[str, Any], weights: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Become fitted from what `_state` told; raise an error for what does not fit: it may be hostile."""

    def _packed(self) -> Mapping[str, Packed]:
        """The packed networks that belong to the model, by name."""
        return {}

    def _unpack(self, programs: Mapping[str, Packed]) -> None:
        """Take the packed networks of a model folder, if any, before `_restore`."""
        if programs:
            raise ModelError(f"a {type(self).__name__} has no packed networks", value=min(programs))

    def _tokenizer(self) -> str | None:
        """The tokenizer that belongs to the model, as the text of its file."""
        return None

    def _take_tokenizer(self, text: str | None) -> None:
        """Take the tokenizer of a model folder, if any, before `_restore`; raise an error for one that does not fit."""
        if text is not None:
            raise ModelError(f"a {type(self).__name__} has no tokenizer")

    def _check_fitted(self) -> None:
        """Raise NotFittedError before `fit`."""
        # From the last on: what fitting found out is there, and a keyboard asks at every letter.
        if not any(name.endswith("_") and not name.startswith("_") for name in reversed(vars(self))):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet", hint="Call fit first.")

    @classmethod
    def _arguments(cls) -> list[str]:
        return list(inspect.signature(cls).parameters)

    @classmethod
    def _of(cls, model: Model, folder: str | Path) -> Self:
        place = Path(folder) / CONFIG
        unknown = sorted(model.arguments.keys() - set(cls._arguments()))
        if unknown:
            hint = "Upgrade with: pip install --upgrade recurra."
            what = f"the model has an argument that this recurra's {cls.__name__} does not know"
            raise ModelError(what, file=place, value=unknown[0], hint=hint)
        try:
            estimator = cls(**model.arguments)
            estimator._unpack({name: Packed.load(path) for name, path in model.packed.items()})
            estimator._take_tokenizer(model.tokenizer)
            estimator._restore(model.fitted, model.weights)
        except ModelError as error:
            if error.file is not None:
                raise
            raise ModelError(error.what, file=folder, value=error.value, hint=error.hint) from error
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
            what = f"the content does not fit a {cls.__name__}: {error}"
            hint = "Copy the whole folder again, or train the model again."
            raise ModelError(what, file=folder, hint=hint) from error
        return estimator


def load(folder: str | Path) -> Estimator:
    """Read any model folder: its class is looked up by name in a closed table.

    Raises ModelError for a folder that is damaged, newer than this recurra or of an unknown class, and
    MissingExtraError when a package that the class needs is not installed.
    """
    model = load_model(folder)
    if model.kind not in MODELS:
        hint = f"This recurra knows: {', '.join(MODELS)}. Upgrade with: pip install --upgrade recurra."
        raise ModelError("the model is of an unknown class", file=folder, value=model.kind, hint=hint)
    kind: type[Estimator] = getattr(importlib.import_module(MODELS[model.kind]), model.kind)
    return kind._of(model, folder)


def _differs(value: object, default: object) -> bool:
    """Compare by what is printed: some values, such as arrays, do not compare to one truth."""
    return repr(value) != repr(default)
