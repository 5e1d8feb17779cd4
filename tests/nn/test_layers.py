"""recurra.nn.RNN, GRU and LSTM against torch.nn's: parameters, values, last states, gradients, errors."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import KINDS, LENGTHS, B, H, I, T, assert_same, everything, pair, random_state, tensors
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

import recurra.nn

# torch.nn.LSTM says once in a process that it is slower with proj_size.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

OPTIONS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"batch_first": True, "num_layers": 2},
    {"bidirectional": True},
    {"num_layers": 3, "bidirectional": True, "batch_first": True, "bias": False},
]
CASES = [(kind, options) for kind in KINDS for options in OPTIONS] + [
    ("RNN", {"nonlinearity": "relu", "bidirectional": True}),
    ("LSTM", {"proj_size": 2}),
    ("LSTM", {"proj_size": 2, "num_layers": 2, "bidirectional": True, "bias": False, "batch_first": True}),
]
every_case = pytest.mark.parametrize(("kind", "options"), CASES)
every_kind = pytest.mark.parametrize("kind", KINDS)


def sequences(batch_first: bool, dtype: torch.dtype = torch.float32) -> Tensor:
    shape = (B, T, I) if batch_first else (T, B, I)
    return torch.randn(shape, dtype=dtype, requires_grad=True)


@every_case
def test_parameters_have_torchs_names_shapes_and_first_numbers(kind: str, options: dict[str, Any]) -> None:
    torch.manual_seed(7)
    theirs = getattr(nn, kind)(I, H, **options)
    torch.manual_seed(7)
    ours = getattr(recurra.nn, kind)(I, H, **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(one, two) for one, two in zip(ours.parameters(), theirs.parameters(), strict=True))
    for one, two in zip(ours.all_weights, theirs.all_weights, strict=True):
        assert [each.shape for each in one] == [each.shape for each in two]
    if "nonlinearity" not in options:  # torch does not show it
        assert repr(ours) == repr(theirs)


@every_case
def test_weights_go_both_ways(kind: str, options: dict[str, Any]) -> None:
    theirs, ours = pair(kind, **options)
    other = getattr(nn, kind)(I, H, **options)
    other.load_state_dict(ours.state_dict(), strict=True)
    for name, weight in theirs.state_dict().items():
        assert torch.equal(other.state_dict()[name], weight)


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("path", ["", "reference"])
def test_numbers_are_torchs(
    kind: str, options: dict[str, Any], dtype: torch.dtype, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECURRA_OPS", path)
    theirs, ours = pair(kind, dtype=dtype, **options)
    x, hx = sequences(ours.batch_first, dtype), random_state(ours, dtype=dtype)
    assert_same(everything(theirs, x, hx), everything(ours, x, hx), dtype)
    assert_same(everything(theirs, x), everything(ours, x), dtype)


@every_case
def test_unbatched_numbers_are_torchs(kind: str, options: dict[str, Any]) -> None:
    theirs, ours = pair(kind, **options)
    x, hx = torch.randn(T, I, requires_grad=True), random_state(ours, None)
    assert_same(everything(theirs, x, hx), everything(ours, x, hx), torch.float32)
    assert_same(everything(theirs, x), everything(ours, x), torch.float32)


@every_kind
@pytest.mark.parametrize("options", OPTIONS)
def test_bfloat16_is_as_near_to_the_truth_as_torchs(kind: str, options: dict[str, Any]) -> None:
    theirs, ours = pair(kind, dtype=torch.bfloat16, **options)
    x = sequences(ours.batch_first, torch.bfloat16)
    truth = tensors(copy.deepcopy(theirs).double()(x.double()))

    def apart(layer: Any) -> float:
        found = tensors(layer(x))
        assert all(each.dtype == torch.bfloat16 for each in found)
        return max((one.double() - two).abs().max().item() for one, two in zip(found, truth, strict=True))

    assert apart(ours) <= 1.5 * apart(theirs) + 2**-9


@every_case
@pytest.mark.parametrize("form", ["unsorted", "sorted", "enforced"])
def test_packed_numbers_are_torchs(kind: str, options: dict[str, Any], form: str) -> None:
    theirs, ours = pair(kind, dtype=torch.float64, **options)
    rows = [torch.randn(int(length), I, dtype=torch.float64, requires_grad=True) for length in LENGTHS]
    if form != "unsorted":
        rows.sort(key=len, reverse=True)
    hx = random_state(ours, dtype=torch.float64)

    def packed() -> Any:
        packed = pack_sequence(rows, enforce_sorted=form == "enforced")
        packed.data.retain_grad()
        return packed

    input = packed()
    (one, last), (two, same) = theirs(input, hx), ours(input, hx)
    for field in ("batch_sizes", "sorted_indices", "unsorted_indices"):
        assert str(getattr(two, field)) == str(getattr(one, field))
    assert [each.shape for each in tensors(same)] == [each.shape for each in tensors(last)]
    assert_same(everything(theirs, input, hx), everything(ours, input, hx), torch.float64)
    assert_same(everything(theirs, input), everything(ours, input), torch.float64)


@every_case
@pytest.mark.parametrize("path", ["", "reference"])
def test_lengths_take_the_place_of_packing(
    kind: str, options: dict[str, Any], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECURRA_OPS", path)
    theirs, ours = pair(kind, dtype=torch.float64, **options)
    first = ours.batch_first
    x, hx = sequences(first, torch.float64), random_state(ours, dtype=torch.float64)

    def through_packing(input: Tensor, hx: Any) -> Any:
        packed = pack_padded_sequence(input, LENGTHS, first, enforce_sorted=False)
        y, last = theirs(packed, hx)
        return pad_packed_sequence(y, first, total_length=T)[0], last

    expected = everything(theirs, x, hx, through_packing)
    assert_same(expected, everything(ours, x, hx, lengths=LENGTHS), torch.float64)


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """A layer, a batch and the way in which it is given."""
    kind = draw(st.sampled_from(KINDS))
    units = draw(st.integers(1, 5))
    options: dict[str, Any] = {
        "num_layers": draw(st.integers(1, 3)),
        "bias": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
        "bidirectional": draw(st.booleans()),
    }
    if kind == "RNN":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    if kind == "LSTM" and units > 1:
        options["proj_size"] = draw(st.integers(0, units - 1))
    steps = draw(st.integers(1, 6))
    return {
        "layer": (kind, draw(st.integers(1, 4)), units),
        "options": options,
        "steps": steps,
        "lengths": draw(st.lists(st.integers(1, steps), min_size=1, max_size=4)),
        "form": draw(st.sampled_from(["whole", "unbatched", "packed", "lengths"])),
        "state": draw(st.booleans()),
        "dtype": draw(st.sampled_from([torch.float32, torch.float64])),
        "seed": draw(st.integers(0, 2**32)),
    }


@settings(max_examples=60)
@given(configurations())
def test_whatever_is_asked_the_numbers_are_torchs(case: dict[str, Any]) -> None:
    torch.manual_seed(case["seed"])
    dtype, steps, lengths, form = case["dtype"], case["steps"], torch.tensor(case["lengths"]), case["form"]
    theirs, ours = pair(*case["layer"], dtype=dtype, **case["options"])
    rows, first = len(lengths), ours.batch_first
    if form == "unbatched":
        x = torch.randn(steps, ours.input_size, dtype=dtype, requires_grad=True)
    else:
        shape = (rows, steps) if first else (steps, rows)
        x = torch.randn(*shape, ours.input_size, dtype=dtype, requires_grad=True)
    hx = random_state(ours, None if form == "unbatched" else rows, dtype) if case["state"] else None
    input = pack_padded_sequence(x, lengths, first, enforce_sorted=False) if form == "packed" else x
    if form == "lengths":
        y, last = theirs(pack_padded_sequence(x, lengths, first, enforce_sorted=False), hx)
        y, _ = pad_packed_sequence(y, first, total_length=steps)
        found = tensors(ours(x, hx, lengths=lengths))
        assert_same(*({str(i): e for i, e in enumerate(each)} for each in (tensors((y, last)), found)), dtype)
    else:
        assert_same(everything(theirs, input, hx), everything(ours, input, hx), dtype)


@every_kind
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("rate", [0.4, 1.0])
def test_a_seed_gives_torchs_dropout(
    kind: str, batch_first: bool, dtype: torch.dtype, bidirectional: bool, rate: float
) -> None:
    options = {"num_layers": 3, "dropout": rate, "batch_first": batch_first, "bidirectional": bidirectional}
    theirs, ours = pair(kind, dtype=dtype, **options)
    x = sequences(batch_first, dtype)
    torch.manual_seed(11)
    expected = everything(theirs, x)
    torch.manual_seed(11)
    assert_same(expected, everything(ours, x), dtype)
    theirs.eval()
    ours.eval()
    assert_same(everything(theirs, x), everything(ours, x), dtype)


@every_kind
def test_lengths_may_be_of_any_integer_type_and_rows_without_steps(kind: str) -> None:
    _, ours = pair(kind, bidirectional=True, num_layers=2)
    x, hx = sequences(False), random_state(ours)
    lengths = torch.tensor([3, 0, 6, 1])
    expected = everything(ours, x, hx, lengths=lengths)
    for dtype in (torch.int32, torch.uint8):
        assert_same(expected, everything(ours, x, hx, lengths=lengths.to(dtype)), torch.float32)
    last = tensors(ours(x, hx, lengths=lengths)[1])
    assert all(
        torch.equal(after[:, 1], before[:, 1]) for after, before in zip(last, tensors(hx), strict=True)
    )


@every_kind
@pytest.mark.parametrize(("steps", "rows"), [(0, B), (T, 0), (0, 0)])
def test_no_steps_and_no_rows(kind: str, steps: int, rows: int) -> None:
    _, ours = pair(kind, bidirectional=True, num_layers=2)
    hx = random_state(ours, rows)
    for lengths in (None, torch.zeros(rows, dtype=torch.int64)):
        y, last = ours(torch.zeros(steps, rows, I), hx, lengths=lengths)
        assert y.shape == (steps, rows, 2 * H)
        assert all(torch.equal(one, two) for one, two in zip(tensors(last), tensors(hx), strict=True))


@every_kind
@pytest.mark.parametrize(
    ("x", "call", "message"),
    [
        ((T, B, I + 1), {}, r"takes input of shape \(T, B, 3\), or \(T, 3\) unbatched, not \(6, 4, 4\)"),
        ((I,), {}, r"not \(3,\)"),
        ((1, T, B, I), {}, r"not \(1, 6, 4, 3\)"),
        ((T, I), {"lengths": LENGTHS}, "unbatched"),
        (
            (T, B, I),
            {"lengths": LENGTHS[:2]},
            r"lengths must have shape \(4,\), one for each row, not \(2,\)",
        ),
        ((T, B, I), {"lengths": LENGTHS + 1}, r"lengths must lie in 0 … 6"),
        ((T, B, I), {"lengths": LENGTHS.float()}, "lengths must be integers"),
    ],
)
def test_inputs_that_do_not_fit_are_told(
    kind: str, x: tuple[int, ...], call: dict[str, Any], message: str
) -> None:
    _, ours = pair(kind)
    with pytest.raises(ValueError, match=message):
        ours(torch.zeros(x), **call)


@every_kind
def test_states_that_do_not_fit_are_told(kind: str) -> None:
    _, ours = pair(kind, num_layers=2)
    x, hx = torch.zeros(T, B, I), random_state(ours)
    more = tuple(torch.cat([each, each], 1) for each in tensors(hx))
    with pytest.raises(ValueError, match=r"the state h must have shape \(2, 4, 5\), not \(2, 8, 5\)"):
        ours(x, more if kind == "LSTM" else more[0])
    with pytest.raises(ValueError, match=r"must have shape \(2, 5\), not \(2, 4, 5\)"):
        ours(x[:, 0], hx)
    with pytest.raises(ValueError, match=r"the state h is torch.float64, the weights are torch.float32"):
        ours(x, tuple(each.double() for each in hx) if kind == "LSTM" else hx.double())
    with pytest.raises(ValueError, match=r"input is torch.float64, the weights are torch.float32"):
        ours(x.double())
    with pytest.raises(ValueError, match="its own lengths"):
        ours(pack_sequence([x[:, 0]]), lengths=torch.tensor([T]))


def test_an_lstm_wants_two_states() -> None:
    with pytest.raises(TypeError, match=r"hx must be the tuple \(h, c\), not a Tensor"):
        recurra.nn.LSTM(I, H)(torch.zeros(T, B, I), torch.zeros(1, B, H))


@every_kind
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"hidden_size": 0}, ValueError, "hidden_size must be a whole number from 1 on, not 0"),
        ({"num_layers": 1.5}, ValueError, "num_layers must be a whole number"),
        ({"dropout": 1.1}, ValueError, "dropout must lie in 0 … 1, not 1.1"),
        ({"bias": "tanh"}, TypeError, "bias must be True or False, not 'tanh'"),
        ({"recurrent_dropout": 1.0}, ValueError, "recurrent_dropout must lie in 0 … 1 exclusive"),
    ],
)
def test_options_out_of_range_are_told(
    kind: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        getattr(recurra.nn, kind)(**{"input_size": I, "hidden_size": H, **options})


def test_options_of_one_kind_are_told() -> None:
    with pytest.raises(ValueError, match="nonlinearity must be 'tanh' or 'relu', not 'sin'"):
        recurra.nn.RNN(I, H, nonlinearity="sin")
    with pytest.raises(ValueError, match="proj_size must be 0 or smaller than hidden_size, 5, not 5"):
        recurra.nn.LSTM(I, H, proj_size=H)
    with pytest.raises(TypeError, match=r"zoneout is a pair, the rates of h and of c, not 0\.1"):
        recurra.nn.LSTM(I, H, zoneout=0.1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"zoneout must lie in 0 … 1 exclusive, not 1\.0"):
        recurra.nn.GRU(I, H, zoneout=1.0)
    with pytest.warns(UserWarning, match="dropout acts between layers, and there is only one"):
        recurra.nn.GRU(I, H, dropout=0.5)
