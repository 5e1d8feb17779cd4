"""Layers with options, and the sLSTM, on the extension: the definition's values and gradients, on every variant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scans import VARIANTS, needs_extension, using
from torch import Tensor

from recurra import native, ops
from recurra.cells import SLSTM
from recurra.ops.dense import reference, slstm, varied
from recurra.ops.dense.masks import Masks
from recurra.ops.dense.order import in_order
from recurra.ops.dense.reference import GRUWeights, LayerNorms, LSTMWeights, RNNWeights
from recurra.ops.dense.slstm import SLSTMWeights

pytestmark = [needs_extension, pytest.mark.usefixtures("poisoned_memory")]

SWITCHES = {
    "rnn": ["relu", "norms", "dropout", "zoneout", "moves", "no bias"],
    "gru": ["before", "norms", "dropout", "zoneout", "moves", "no bias"],
    "lstm": ["coupled", "peephole", "projection", "norms", "dropout", "zoneout", "moves", "no bias"],
    "slstm": ["heads", "no input matrix", "no bias"],
}


class Case(NamedTuple):
    """A layer with drawn tensors by name, and what is switched on."""

    cell: str
    on: frozenset[str]
    tensors: dict[str, Tensor]
    masks: Masks | None
    lengths: Tensor | None
    reverse: bool

    def fits(self) -> bool:
        return self._called(lambda name: getattr(varied, f"fits_{name}"), self.tensors, torch.float32)

    def run(
        self, fast: bool, tensors: dict[str, Tensor], dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, ...]:
        if fast:
            return self._called(lambda name: getattr(varied, name), tensors, dtype)
        definition = {
            "rnn": reference.rnn,
            "gru": reference.gru,
            "lstm": reference.lstm,
            "slstm": slstm.slstm,
        }
        return self._called(lambda name: in_order(definition[name]), tensors, dtype)

    def _called(self, which: Callable[[str], Any], t: dict[str, Tensor], dtype: torch.dtype) -> Any:
        states = tuple(t[name] for name in ("h0", "c0", "n0", "m0") if name in t)
        norms = None
        if "norms" in self.on:
            norms = LayerNorms(t["gain_x"], t["gain_h"], t.get("gain_c"), t.get("bias_c"))
        masks = self.masks and Masks(*(m.to(dtype) if isinstance(m, Tensor) else m for m in self.masks))
        bias, zoneout = t.get("bias"), 0.2 if "zoneout" in self.on else 0.0
        where = (self.lengths, self.reverse)
        run = which(self.cell)
        if self.cell == "rnn":
            nonlinearity = "relu" if "relu" in self.on else "tanh"
            weights: Any = RNNWeights(t["ih"], t["hh"], bias, norms)
            return run(t["x"], states, weights, *where, nonlinearity, zoneout, masks)
        if self.cell == "gru":
            weights = GRUWeights(t["ih"], t["hh"], bias, t.get("bias_hn"), norms)
            return run(t["x"], states, weights, *where, "before" not in self.on, zoneout, masks)
        if self.cell == "lstm":
            weights = LSTMWeights(t["ih"], t["hh"], bias, t.get("projection"), t.get("peephole"), norms)
            return run(t["x"], states, weights, *where, (zoneout, zoneout / 2), masks)
        return run(t["x"], states, SLSTMWeights(t.get("ih"), t["hh"], bias), *where)


def made(
    cell: str,
    on: frozenset[str],
    sizes: tuple[int, int, int, int],
    ragged: bool,
    reverse: bool,
    scale: float = 1.0,
) -> Case:
    rows, steps, inputs, units = sizes
    heads = 3 if "heads" in on else 1
    units *= heads
    gates = {"rnn": 1, "gru": 3, "lstm": 3 if "coupled" in on else 4, "slstm": 4}[cell]
    shown = units // 2 + 1 if "projection" in on else units
    wide = gates * units
    shapes = {
        "x": (rows, steps, wide if "no input matrix" in on else inputs),
        "h0": (rows, shown),
        "ih": (wide, inputs),
        "hh": (4, heads, units // heads, units // heads) if cell == "slstm" else (wide, shown),
        "bias": (wide,),
    }
    if cell in ("lstm", "slstm"):
        shapes["c0"] = (rows, units)
    if cell == "slstm":
        shapes |= {"n0": (rows, units), "m0": (rows, units)}
    if cell == "gru":
        shapes["bias_hn"] = (units,)
    if "norms" in on:
        shapes |= {"gain_x": (wide,), "gain_h": (wide,)}
    if "norms" in on and cell == "lstm":
        shapes |= {"gain_c": (units,), "bias_c": (units,)}
    if "peephole" in on:
        shapes["peephole"] = (gates - 1, units)
    if "projection" in on:
        shapes["projection"] = (shown, units)
    for name in [
        *(["bias", "bias_hn"] if "no bias" in on else []),
        *(["ih"] if "no input matrix" in on else []),
    ]:
        shapes.pop(name, None)
    tensors = {name: torch.randn(shape) * (scale if name == "x" else 0.5) for name, shape in shapes.items()}
    tensors["hh"] /= units**0.5
    if "n0" in tensors:
        tensors["n0"] = 2 * tensors["n0"].abs()

    def mask(size: int, factor: float) -> Tensor:
        return factor * (torch.rand(rows, steps, size) < 0.7)

    masks = None
    if on & {"dropout", "moves"}:
        moves = (mask(shown, 1.0), mask(units, 1.0) if cell == "lstm" else ()) if "moves" in on else ((), ())
        masks = Masks(mask(units, 1 / 0.7) if "dropout" in on else (), *moves)
    lengths = torch.randint(0, steps + 1, (rows,)) if ragged else None
    return Case(cell, on, tensors, masks, lengths, reverse)


def results(case: Case, fast: bool, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Outputs, last states, the gradients of all tensors, and the outputs without gradients."""
    tensors = {name: each.to(dtype, copy=True).requires_grad_() for name, each in case.tensors.items()}
    outputs = case.run(fast, tensors, dtype)
    weights = torch.Generator().manual_seed(1)
    grads = [torch.randn(each.shape, generator=weights, dtype=torch.float64).to(dtype) for each in outputs]
    found = torch.autograd.grad(outputs, list(tensors.values()), grads, materialize_grads=True)
    with torch.no_grad():
        return [*outputs, *found, *case.run(fast, tensors, dtype)]


def assert_the_definition(case: Case, scale: float = 1.0) -> None:
    """As near to it in float64 as it is itself in float32, a few times over; x's `scale` is ih's gradient's."""
    assert case.fits()
    exact = results(case, False, torch.float64)
    for fast, slow, wanted in zip(results(case, True), results(case, False), exact, strict=True):
        assert fast.shape == wanted.shape
        if wanted.numel():
            allowed = 8 * (slow - wanted).abs().max().item() + 2e-5 * max(
                1.0, scale, wanted.abs().max().item()
            )
            torch.testing.assert_close(fast.double(), wanted, rtol=0.0, atol=allowed)


SINGLE = [(cell, frozenset([name])) for cell, names in SWITCHES.items() for name in names]
ALL = [(cell, frozenset(names)) for cell, names in SWITCHES.items()]
PARTLY = [("slstm", frozenset(["heads"])), ("lstm", frozenset(["projection", "moves"]))]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("cell", "on"), SINGLE + ALL, ids=lambda each: "-".join(sorted(each)) if each else ""
)
def test_every_option_alone_and_all_at_once(cell: str, on: frozenset[str], variant: str) -> None:
    with using(variant):
        for number, sizes in enumerate(((1, 1, 1, 1), (3, 7, 5, 17), (19, 4, 3, 33), (2, 3, 4, 160))):
            assert_the_definition(made(cell, on, sizes, ragged=number % 2 == 0, reverse=number > 1))


@settings(max_examples=100)
@given(data=st.data())
def test_drawn_layers(data: st.DataObject) -> None:
    cell = data.draw(st.sampled_from(list(SWITCHES)))
    on = data.draw(st.frozensets(st.sampled_from(SWITCHES[cell])))
    each = st.integers(1, 9)
    sizes = data.draw(st.tuples(st.integers(1, 20), each, each, st.integers(1, 40)))
    scale = data.draw(st.sampled_from([1e-30, 1e-3, 1.0, 30.0, 1e4]))
    torch.manual_seed(data.draw(st.integers(0, 1000)))
    case = made(cell, on, sizes, data.draw(st.booleans()), data.draw(st.booleans()), scale)
    with using(data.draw(st.sampled_from(VARIANTS))):
        assert_the_definition(case, scale)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("cell", "on"), ALL + PARTLY)
def test_two_threads_give_the_same(cell: str, on: frozenset[str], variant: str) -> None:
    with using(variant):
        for rows, units in ((1, 160), (40, 48), (17, 70), (16, 200)):
            for ragged in (False, True):
                case = made(cell, on, (rows, 5, 8, units), ragged, ragged)
                alone = case.run(True, case.tensors)
                torch.set_num_threads(2)
                assert_the_definition(case)
                together = case.run(True, case.tensors)
                torch.set_num_threads(1)
                for one, two in zip(alone, together, strict=True):
                    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("cell", "on"), ALL + PARTLY)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_a_number_stays_in_its_row(cell: str, on: frozenset[str], value: float) -> None:
    for variant in VARIANTS:
        case = made(cell, on, (5, 6, 7, 20), False, False)
        others = [0, 1, 3, 4]
        with using(variant):
            clean = case.run(True, case.tensors)[0]
            case.tensors["x"][2, 3, 1] = value
            y = case.run(True, case.tensors)[0]
        torch.testing.assert_close(y[others], clean[others], rtol=2e-6, atol=1e-6)
        torch.testing.assert_close(y[2, :3], clean[2, :3], rtol=2e-6, atol=1e-6)
        assert torch.equal(y[2].isnan(), case.run(False, case.tensors)[0][2].isnan())


@pytest.mark.parametrize(("cell", "on"), ALL + PARTLY)
def test_padding_never_enters(cell: str, on: frozenset[str]) -> None:
    case = made(cell, on, (5, 6, 7, 20), True, True)
    clean = results(case, True)
    assert case.lengths is not None
    case.tensors["x"][torch.arange(6) >= case.lengths.unsqueeze(1)] = float("nan")
    for found, expected in zip(results(case, True), clean, strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize(("cell", "on"), ALL)
def test_inputs_may_lie_anywhere_in_memory(cell: str, on: frozenset[str]) -> None:
    case = made(cell, on, (5, 6, 7, 20), True, False)
    strewn = {name: torch.stack([each, each], -1)[..., 0] for name, each in case.tensors.items()}
    for found, expected in zip(
        results(case._replace(tensors=strewn), True), results(case, True), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("cell", "on"), ALL)
def test_the_second_derivative_is_the_definitions(cell: str, on: frozenset[str]) -> None:
    case = made(cell, on, (3, 4, 3, 5), True, True)
    case.tensors["x"][torch.arange(4) >= case.lengths.unsqueeze(1)] = float("nan")  # type: ignore[union-attr]
    found = []
    for fast, dtype in ((True, torch.float32), (False, torch.float64)):
        tensors = {name: each.to(dtype, copy=True).requires_grad_() for name, each in case.tensors.items()}
        y, leaves = case.run(fast, tensors, dtype)[0], list(tensors.values())
        first = torch.autograd.grad(y.square().sum(), leaves, create_graph=True, materialize_grads=True)
        total = sum(each.square().sum() for each in first)
        found.append(torch.autograd.grad(total, leaves, materialize_grads=True))
    for one, two in zip(*found, strict=True):
        allowed = 1e-3 * max(1.0, two.abs().max().item())
        torch.testing.assert_close(one.double(), two, rtol=0.0, atol=allowed, equal_nan=True)


def test_only_what_is_asked_for_has_a_gradient() -> None:
    case = made("lstm", frozenset(["norms", "peephole"]), (3, 4, 5, 6), False, False)
    wanted = results(case, True)[3:]
    for number, name in enumerate(case.tensors):
        tensors = {each: tensor.clone().requires_grad_(each == name) for each, tensor in case.tensors.items()}
        outputs = case.run(True, tensors)
        weights = torch.Generator().manual_seed(1)
        grads = [torch.randn(each.shape, generator=weights, dtype=torch.float64).float() for each in outputs]
        (found,) = torch.autograd.grad(outputs, [tensors[name]], grads)
        assert torch.equal(found, wanted[number])


def test_a_kept_graph_can_be_differentiated_again() -> None:
    for cell, on in ALL:
        case = made(cell, on, (4, 20, 8, 64), True, False)
        leaves = {name: each.requires_grad_() for name, each in case.tensors.items()}
        y = case.run(True, leaves)[0]
        first = torch.autograd.grad(y.sum(), [leaves["hh"], leaves["x"]], retain_graph=True)
        again = torch.autograd.grad(y.sum(), [leaves["hh"], leaves["x"]])
        assert all(map(torch.equal, first, again))


def test_equal_gates_share_the_stabilizers_gradient() -> None:
    """Where log σ(f̃) + m is ĩ, torch's maximum gives each a half; the clamp of n keeps that from cancelling."""
    x = torch.tensor([[[1.0, 30.0, 0.7, 0.0]]])  # log σ(30) is lost beside m = 1
    zeros, ones, hh = torch.zeros(1, 1), torch.ones(1, 1), torch.zeros(4, 1, 1, 1)
    found = []
    for run in (varied.slstm, in_order(slstm.slstm)):
        leaves = [x.clone().requires_grad_(), ones.clone().requires_grad_()]
        states = (zeros, zeros, -2 * ones, leaves[1])  # n is -1 after the step, so h sees its clamp
        y, *_ = run(leaves[0], states, SLSTMWeights(None, hh), None, False)
        found.append(torch.autograd.grad(y.sum(), leaves))
    assert found[0][0][0, 0, 0] != 0
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "misfit",
    [
        {"h0": (2, 4)},
        {"c0": (3, 5)},
        {"hh": (16, 5)},
        {"gain_c": (1,)},
        {"peephole": (3, 1)},
        {"bias": (1,)},
        {"x": (3, 0, 5)},
    ],
    ids=str,
)
def test_shapes_that_do_not_fit_are_left_to_the_definition(misfit: dict[str, tuple[int, ...]]) -> None:
    case = made("lstm", frozenset(["norms", "peephole"]), (3, 4, 5, 4), False, False)
    assert case.fits()
    for name, shape in misfit.items():
        case.tensors[name] = torch.zeros(shape)
    assert not case.fits()


def test_types_and_masks_that_do_not_fit_are_left_to_the_definition() -> None:
    case = made("lstm", frozenset(["norms", "dropout"]), (3, 4, 5, 4), False, False)
    masks = case.masks
    assert case.fits()
    assert masks is not None
    assert not case._replace(tensors={name: each.double() for name, each in case.tensors.items()}).fits()
    assert isinstance(masks.dropout, Tensor)
    assert not case._replace(masks=masks._replace(dropout=masks.dropout[:, :, :1])).fits()
    assert not case._replace(masks=masks._replace(dropout=masks.dropout.requires_grad_())).fits()


def test_the_cell_takes_the_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_OPS", "native")
    taken = []
    extension = native.extension()
    monkeypatch.setattr(varied.native, "extension", lambda: taken.append(1) or extension)
    cell = SLSTM(4, 6, heads=2)
    y, after = cell.sequence(torch.randn(2, 3, 4), cell.initial_state(2))
    assert taken
    monkeypatch.setenv("RECURRA_OPS", "reference")
    assert "slstm" in ops.TABLE
    assert y.shape == (2, 3, 6)
    assert (after.n >= 1).all()
