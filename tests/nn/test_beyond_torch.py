"""What recurra.nn's layers add to torch.nn's, and that they are modules like any other."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from peers import KINDS, LENGTHS, B, H, I, T, everything, random_state, tensors
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

import recurra.nn
from recurra import cells, state
from recurra.ops import ragged
from recurra.ops.dense.masks import Masks

every_kind = pytest.mark.parametrize("kind", KINDS)
ZONEOUT: dict[str, Any] = {"RNN": 0.2, "GRU": 0.2, "LSTM": (0.2, 0.1)}
CELLS: dict[str, Any] = {"RNN": cells.Elman, "GRU": cells.GRU, "LSTM": cells.LSTM}


def made(kind: str, **options: Any) -> Any:
    return getattr(recurra.nn, kind)(I, H, batch_first=True, **options)


@torch.no_grad()
def cell_of(layer: Any, suffix: str, **options: Any) -> Any:
    """The cell with the weights of one direction."""
    cell = CELLS[type(layer).__name__](layer.input_size, layer.hidden_size, **options)
    bias_ih, bias_hh = (getattr(layer, f"bias_{name}{suffix}") for name in ("ih", "hh"))
    cell.bias.copy_(bias_ih + bias_hh)
    if isinstance(cell, cells.GRU):
        cell.bias[2 * H :] = bias_ih[2 * H :]
        cell.bias_hn.copy_(bias_hh[2 * H :])
    for name, parameter in cell.named_parameters():
        if not name.startswith("bias"):
            parameter.copy_(getattr(layer, name + suffix))
    return cell


@every_kind
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize(
    "names",
    [["layer_norm"], ["recurrent_dropout"], ["zoneout"], ["layer_norm", "recurrent_dropout", "zoneout"]],
    ids=lambda names: "+".join(names),
)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
def test_the_options_are_the_cells(
    kind: str, names: list[str], lengths: Tensor | None, training: bool
) -> None:
    known = {"layer_norm": True, "recurrent_dropout": 0.3, "zoneout": ZONEOUT[kind]}
    options = {name: known[name] for name in names}
    layer = made(kind, bidirectional=True, **options).train(training)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.startswith("norm_"):
                parameter.uniform_(0.5, 1.5)
    x, hx = torch.randn(B, T, I), random_state(layer)
    y, last = layer(x, hx, lengths=lengths, generator=torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(3)
    for way, suffix in enumerate(("_l0", "_l0_reverse")):
        cell = cell_of(layer, suffix, **options).train(training)
        like = cell.initial_state(1)
        before = [each[way] for each in tensors(hx)]
        before = type(like)(*before) if isinstance(like, tuple) else before[0]
        noise = cell.noise(B, T, generator) if training else None
        turned = ragged.reverse(x, lengths) if way else x
        found, end = cell.sequence(turned, before, lengths, noise)
        found = ragged.reverse(found, lengths) if way else found
        torch.testing.assert_close(y[..., way * H : (way + 1) * H], found, rtol=1e-5, atol=1e-6)
        ends = list(state.flatten(end).values())
        torch.testing.assert_close([each[way] for each in tensors(last)], ends, rtol=1e-5, atol=1e-6)


def test_the_reset_gate_may_act_before_the_product() -> None:
    layer = made("GRU", reset_after=False)
    cell, x = cell_of(layer, "_l0", reset_after=False), torch.randn(B, T, I)
    y, _ = layer(x)
    torch.testing.assert_close(y, cell.sequence(x, cell.initial_state(B))[0], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(y, made("GRU")(x)[0])


@every_kind
def test_without_the_options_there_are_no_other_parameters(kind: str) -> None:
    plain, normed = made(kind), made(kind, layer_norm=True)
    added = set(normed.state_dict()) - set(plain.state_dict())
    names = {"norm_ih_l0", "norm_hh_l0"} | ({"norm_c_l0", "norm_c_bias_l0"} if kind == "LSTM" else set())
    assert added == names
    assert normed.norm_ih_l0.unique().tolist() == [1.0]
    assert repr(made(kind, layer_norm=True, recurrent_dropout=0.1, zoneout=ZONEOUT[kind])).endswith(
        f"layer_norm=True, recurrent_dropout=0.1, zoneout={ZONEOUT[kind]})"
    )


@every_kind
@pytest.mark.parametrize(
    "options",
    [{"num_layers": 2, "dropout": 0.5}, {"recurrent_dropout": 0.5}, {"zoneout": None}],
    ids=["dropout", "recurrent_dropout", "zoneout"],
)
def test_a_generator_decides_what_is_dropped(kind: str, options: dict[str, Any]) -> None:
    layer = made(kind, **{**options, **({"zoneout": ZONEOUT[kind]} if "zoneout" in options else {})})
    x = torch.randn(B, T, I)

    def drawn(seed: int) -> Tensor:
        torch.manual_seed(torch.initial_seed() + 1)  # it does not matter
        return layer(x, generator=torch.Generator().manual_seed(seed))[0]

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.allclose(drawn(1), drawn(2))
    layer.eval()
    assert torch.equal(drawn(1), drawn(2))


@every_kind
def test_a_generator_decides_the_parameters(kind: str) -> None:
    one, two, other = (made(kind, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.weight_hh_l0, two.weight_hh_l0)
    assert not torch.equal(one.weight_hh_l0, other.weight_hh_l0)


def test_masks_are_drawn_once_for_a_call_and_for_every_step() -> None:
    layer = recurra.nn.RNN(I, 50, batch_first=True, recurrent_dropout=0.5)
    masks = layer._masks(torch.zeros(2, 7, I), torch.Generator().manual_seed(1))
    assert isinstance(masks, Masks)
    assert isinstance(masks.dropout, Tensor)
    assert masks.dropout.shape == (2, 7, 50)
    assert masks.dropout.unique().tolist() == [0.0, 2.0]


def results(layer: nn.Module) -> dict[str, Tensor]:
    x = torch.linspace(-1, 1, B * T * I).reshape(B, T, I).requires_grad_()
    return everything(layer, x)


@every_kind
def test_a_copy_is_a_layer_of_its_own(kind: str) -> None:
    layer = made(kind, bidirectional=True)
    other = copy.deepcopy(layer)
    torch.testing.assert_close(results(other), results(layer), rtol=0, atol=0)
    with torch.no_grad():
        other.weight_hh_l0.zero_()
    assert not torch.equal(results(other)["output 0"], results(layer)["output 0"])


@every_kind
def test_a_layer_changes_its_type(kind: str) -> None:
    layer = made(kind, num_layers=2)
    before = layer(torch.ones(B, T, I))[0]
    after = layer.double()(torch.ones(B, T, I, dtype=torch.float64))[0]
    assert after.dtype == torch.float64
    torch.testing.assert_close(before.double(), after, rtol=1e-5, atol=1e-6)


@every_kind
def test_a_layer_on_no_device_knows_its_shapes(kind: str) -> None:
    layer = made(kind, num_layers=2, bidirectional=True, device="meta")
    y, last = layer(torch.empty(B, T, I, device="meta"))
    assert (y.shape, y.device.type) == ((B, T, 2 * H), "meta")
    assert tensors(last)[0].shape == (4, B, H)


@every_kind
def test_other_weights_are_seen_at_once(kind: str) -> None:
    layer, other = made(kind), made(kind)
    called = torch.func.functional_call(layer, dict(other.named_parameters()), (torch.ones(B, T, I),))
    assert torch.equal(called[0], other(torch.ones(B, T, I))[0])
    layer.weight_hh_l0 = nn.Parameter(torch.zeros_like(layer.weight_hh_l0))
    other.weight_hh_l0.data = torch.zeros_like(layer.weight_hh_l0)
    for name in ("weight_ih_l0", "bias_ih_l0", "bias_hh_l0"):
        setattr(layer, name, getattr(other, name))
    assert torch.equal(layer(torch.ones(B, T, I))[0], other(torch.ones(B, T, I))[0])


@every_kind
def test_a_weight_may_be_parametrized(kind: str) -> None:
    layer = made(kind)
    expected = results(layer)["output 0"]
    parametrizations.weight_norm(layer, "weight_hh_l0")
    torch.testing.assert_close(results(layer)["output 0"], expected)
    with torch.no_grad():
        layer.parametrizations.weight_hh_l0.original0.mul_(2)  # the rows' sizes
    changed = results(layer)
    assert not torch.allclose(changed["output 0"], expected)
    assert changed["dparametrizations.weight_hh_l0.original1"].abs().max() > 0
    parametrize.remove_parametrizations(layer, "weight_hh_l0")
    torch.testing.assert_close(results(layer)["output 0"], changed["output 0"])


@every_kind
def test_a_weight_may_be_pruned(kind: str) -> None:
    layer, other = made(kind), made(kind)
    other.load_state_dict(layer.state_dict())
    prune.l1_unstructured(layer, "weight_hh_l0", 0.5)
    with torch.no_grad():
        other.weight_hh_l0.mul_(layer.weight_hh_l0_mask)
    found, expected = results(layer), results(other)
    torch.testing.assert_close(found["output 0"], expected["output 0"])
    assert (found["dweight_hh_l0_orig"][layer.weight_hh_l0_mask == 0] == 0).all()
    prune.remove(layer, "weight_hh_l0")
    torch.testing.assert_close(results(layer)["output 0"], expected["output 0"])


@every_kind
def test_nothing_is_kept_on_the_module(kind: str) -> None:
    layer = made(kind, num_layers=2, dropout=0.2, zoneout=ZONEOUT[kind])
    held = dict(vars(layer))
    layer.flatten_parameters()
    layer(torch.randn(B, T, I), random_state(layer), lengths=LENGTHS)
    assert vars(layer) == held
    assert list(layer.buffers()) == []
