from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from recurra import estimator
from recurra.errors import ModelError, NotFittedError, UsageError
from recurra.estimator import Estimator, load
from recurra.streaming.packed import Packed


class Mean(Estimator):
    """Predicts the mean: an estimator as small as one can be."""

    def __init__(self, *, shrink: float = 0.0, name: str = "mean", inner: Any = None) -> None:
        self.shrink, self.name, self.inner = shrink, name, inner
        if not 0 <= shrink < 1:
            raise UsageError("shrink must lie in 0 … 1 exclusive", value=shrink)

    def fit(self, y: np.ndarray[Any, Any]) -> Mean:
        self.count_ = len(y)
        self.mean_ = y.mean(axis=0) * (1 - self.shrink)
        return self

    def predict(self) -> np.ndarray[Any, Any]:
        self._check_fitted()
        return np.asarray(self.mean_)

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]], str]:
        return {"count": self.count_}, {"mean": self.mean_}, f"# A mean of {self.count_} rows\n"

    def _restore(self, fitted: Mapping[str, Any], weights: Mapping[str, np.ndarray[Any, Any]]) -> None:
        if fitted["count"] < 1:
            raise ValueError("count must be 1 or more")
        self.count_, self.mean_ = fitted["count"], weights["mean"].reshape(2)


class Median(Mean):
    pass


Y = np.array([[1.0, 2.0], [3.0, 6.0]])


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in the table as a job does."""
    module = ModuleType("recurra._a_job")
    vars(module)["Mean"] = Mean
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(estimator.MODELS, "Mean", module.__name__)


def saved(folder: Path, **changes: Any) -> Path:
    Mean(shrink=0.5).fit(Y).save(folder)
    config = json.loads((folder / "config.json").read_bytes()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_parameters_are_the_constructor_s() -> None:
    mean = Mean(shrink=0.25)
    assert mean.get_params() == {"shrink": 0.25, "name": "mean", "inner": None}
    assert mean.set_params(name="x", shrink=0.5) is mean
    assert (mean.name, mean.shrink) == ("x", 0.5)
    with pytest.raises(UsageError, match=r"Mean has no argument 'shrnk'. It has: shrink, name, inner\."):
        mean.set_params(shrnk=1)


def test_parameters_of_parameters() -> None:
    outer = Mean(inner=Mean(shrink=0.25))
    assert outer.get_params()["inner__shrink"] == 0.25
    assert "inner__shrink" not in outer.get_params(deep=False)
    outer.set_params(inner__shrink=0.75)
    assert outer.inner.shrink == 0.75


def test_it_prints_what_differs_from_the_defaults() -> None:
    assert repr(Mean()) == "Mean()"
    assert repr(Mean(shrink=0.5, inner=np.ones(2))) == "Mean(shrink=0.5, inner=array([1., 1.]))"


def test_scikit_learn_clones_it() -> None:
    base = pytest.importorskip("sklearn.base")
    fitted = Mean(shrink=0.5, inner=Mean(name="in")).fit(Y)
    copy = base.clone(fitted)
    assert repr(copy) == repr(fitted)
    assert copy.inner is not fitted.inner
    with pytest.raises(NotFittedError):
        copy.predict()


def test_before_fit_nothing_works() -> None:
    with pytest.raises(NotFittedError, match=r"this Mean is not fitted yet\. Call fit first"):
        Mean().predict()
    with pytest.raises(NotFittedError):
        Mean().save("never-written")
    assert not Path("never-written").exists()


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    mean = Mean(shrink=0.5, name="ß").fit(Y)
    mean.save(tmp_path / "m")
    for read in (Mean.load, load):
        found = read(tmp_path / "m")
        assert type(found) is Mean
        assert repr(found) == repr(mean)
        assert found.count_ == 2
        np.testing.assert_array_equal(found.predict(), mean.predict())
    assert (tmp_path / "m" / "README.md").read_text() == "# A mean of 2 rows\n"


def test_what_cannot_be_packed_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a Mean cannot be packed"):
        Mean().fit(Y).pack("int8")
    (saved(tmp_path / "m") / "read.packed").write_bytes(b"")
    with pytest.raises(ModelError, match=r"read\.packed"):
        load(tmp_path / "m")
    lower = importlib.import_module("recurra.streaming.lower").lower
    torch = importlib.import_module("torch")
    program = lower(lambda x: (x + 1,), {"x": torch.zeros(1, 2)}, {})
    Packed.of(program, [], {}).save(tmp_path / "m" / "read.packed")
    with pytest.raises(ModelError, match="m: a Mean has no packed networks"):
        load(tmp_path / "m")


def test_another_class_s_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"this model is no Median \(found 'Mean'\)"):
        Median.load(saved(tmp_path / "m"))


@pytest.mark.parametrize(
    "name", ["Median", "os.system", "subprocess", "__builtins__", "recurra.cli.main", "load", ""]
)
def test_only_classes_in_the_table_are_looked_up(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match=r"of an unknown class.*This recurra knows: .*Mean"):
        load(saved(tmp_path / "m", **{"class": name}))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"arguments": {"shrink": 0.5, "colour": "red"}}, "'colour'.*Upgrade"),
        ({"arguments": {"__class__": 1}}, "does not know"),
        ({"arguments": {"shrink": 7}}, "shrink must lie in"),
        ({"arguments": {"shrink": "much"}}, "does not fit a Mean"),
        ({"fitted": {}}, "does not fit a Mean.*count"),
        ({"fitted": {"count": 0}}, "count must be 1 or more"),
        ({"fitted": {"count": [1]}}, "does not fit a Mean"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    folder = saved(tmp_path / "m", **changes)
    for read in (Mean.load, load):
        with pytest.raises(ModelError, match=what):
            read(folder)


def test_an_argument_that_came_later_takes_its_default(tmp_path: Path) -> None:
    found = Mean.load(saved(tmp_path / "m", arguments={"shrink": 0.5}))
    assert found.get_params() == {"shrink": 0.5, "name": "mean", "inner": None}


def test_every_class_of_the_table_is_there_and_an_estimator() -> None:
    table = dict(estimator.MODELS)
    assert "Forecaster" in table
    for name in table.keys() - {"Mean"}:
        module = importlib.import_module(table[name])
        assert issubclass(getattr(module, name), Estimator)
