"""The stack: equal to its layers one by one, in one direction and two, and clear about what does not fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from recurra import state
from recurra.cell import Cell
from recurra.cells import GRU, LSTM, LeakyIntegrator, MinGRU
from recurra.networks.dropout import dropout, dropped_weights, weights_called
from recurra.networks.recurrent import Recurrent

B, T, I, H = 3, 5, 2, 4  # noqa: E741
LENGTHS = torch.tensor([5, 0, 3])


def stack(**options: Any) -> Recurrent:
    return Recurrent([LSTM(I, H), LeakyIntegrator(H, H), GRU(H, H)], **options).double()


def random_state(network: Recurrent) -> Any:
    return state.transform(torch.randn_like, network.initial_state(B))


def assert_same(found: Any, wanted: Any) -> None:
    found, wanted = (state.flatten(each) for each in (found, wanted))
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(B, T, I, dtype=torch.float64)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm": "layer"},
        {"residual": True},
        {"norm": "layer", "residual": True},
        {"norm": "rms", "norm_first": False},
        {"norm": "layer", "norm_first": False, "residual": True},
        {"variational": True, "weight_drop": 0.5},
    ],
)
def test_steps_are_the_sequence(options: dict[str, Any], x: Tensor) -> None:
    network = stack(dropout=0.5, **options).eval()
    before = random_state(network)
    y, after = network(x, before)
    now, steps = before, []
    for t in range(T):
        y_t, now = network.step(x[:, t], now)
        steps.append(y_t)
    assert_same(torch.stack(steps, 1), y)
    assert_same(now, after)


def test_what_norm_and_residual_compute(x: Tensor) -> None:
    first, second = GRU(I, H).double(), GRU(H, H).double()
    network = Recurrent([first, second], norm="layer", residual=True).double()
    below, _ = first.sequence(x, first.initial_state(B))
    normal = (below - below.mean(-1, keepdim=True)) / (
        below.var(-1, unbiased=False, keepdim=True) + 1e-5
    ).sqrt()
    above, _ = second.sequence(normal, second.initial_state(B))
    assert_same(network(x)[0], below + above)


def test_what_a_norm_at_the_end_computes(x: Tensor) -> None:
    first, second = GRU(I, H).double(), GRU(H, H).double()
    network = Recurrent([first, second], norm="rms", norm_first=False, residual=True).double()

    def normal(y: Tensor) -> Tensor:
        return y / (y.square().mean(-1, keepdim=True) + 1e-6).sqrt()

    below = normal(first.sequence(x, first.initial_state(B))[0])
    above = normal(below + second.sequence(below, second.initial_state(B))[0])
    assert_same(network(x)[0], above)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
def test_a_bidirectional_layer_runs_from_each_rows_own_end(lengths: Tensor | None, x: Tensor) -> None:
    ahead, back = LSTM(I, H).double(), GRU(I, 3).double()
    network = Recurrent([(ahead, back)])
    before = random_state(network)
    y, after = network(x, before, lengths)
    assert y.shape == (B, T, H + 3)
    assert network.output_size == H + 3
    for row in range(B):
        length = T if lengths is None else int(lengths[row])
        index = torch.tensor([row])
        here = state.select(before, index)[0]
        own = x[index, :length]
        y1, s1 = ahead.sequence(own, here[0])
        y2, s2 = back.sequence(own.flip(1), here[1])
        assert_same(y[index, :length], torch.cat([y1, y2.flip(1)], -1))
        assert (y[row, length:] == 0).all()
        assert_same(state.select(after, index)[0], (s1, s2))


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_never_matters(bidirectional: bool, norm_first: bool, x: Tensor) -> None:
    first: Any = (GRU(I, H), GRU(I, H)) if bidirectional else GRU(I, 2 * H)
    options: Any = {"norm": "layer", "norm_first": norm_first, "residual": True}
    network = Recurrent([first, LSTM(2 * H, 2 * H)], **options).double()
    for norm in network.norms:
        if isinstance(norm, torch.nn.LayerNorm):
            torch.nn.init.ones_(norm.bias)
    mask = torch.arange(T) < LENGTHS.unsqueeze(1)
    poisoned = torch.where(mask.unsqueeze(-1), x, torch.nan)
    y, after = network(x, lengths=LENGTHS)
    y2, after2 = network(poisoned, lengths=LENGTHS)
    assert torch.equal(y, y2)
    assert (y[~mask] == 0).all()
    assert_same(after, after2)
    gradients = torch.autograd.grad(y2.square().sum(), list(network.parameters()))
    assert all(each.isfinite().all() for each in gradients)


def test_dropout_acts_between_layers_in_training_only(x: Tensor) -> None:
    network = stack(dropout=0.5)
    one, two, three = (network(x, generator=torch.Generator().manual_seed(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, three)
    network.eval()
    assert torch.equal(network(x)[0], network(x)[0])
    alone = Recurrent([GRU(I, H)], dropout=0.5).double()
    assert torch.equal(alone(x)[0], alone(x)[0])


class Same(Cell):
    """Gives what it takes."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.input_size = self.output_size = size

    def initial(self, batch_size: int, device: torch.device, dtype: torch.dtype) -> tuple[()]:
        return ()

    def recur(self, z: Tensor, before: tuple[()], noise: None = None) -> tuple[Tensor, tuple[()]]:
        return z, before


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_drops_its_share_and_keeps_the_mean(variational: bool) -> None:
    network = Recurrent([Same(100), Same(100)], dropout=0.25, variational=variational)
    y, _ = network(torch.ones(40, 20, 100))
    assert (y == 0).double().mean().item() == pytest.approx(0.25, abs=0.02)
    assert y[y != 0].unique().tolist() == pytest.approx([4 / 3])
    assert (y == y[:, :1]).all().item() == variational
    assert not torch.equal(y[0], y[1])


def test_what_dropout_drops_leaves_no_trace() -> None:
    x = torch.ones(1, 1, 100)
    generator = torch.Generator().manual_seed(1)
    kept = dropout(x, 0.5, generator) != 0
    poisoned = torch.where(kept, x, torch.nan).requires_grad_()
    y = dropout(poisoned, 0.5, generator.manual_seed(1))
    assert y.isfinite().all()
    assert torch.equal(torch.autograd.grad(y.sum(), poisoned)[0] != 0, kept)


def test_a_step_in_training_draws_from_the_generator(x: Tensor) -> None:
    network = stack(dropout=0.5, weight_drop=0.5)
    before = random_state(network)
    one, two, three = (
        network.step(x[:, 0], before, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one[0], two[0])
    assert not torch.equal(one[0], three[0])
    torch.manual_seed(3)
    torch.rand(1)
    now = torch.get_rng_state()
    network.step(x[:, 0], before, torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), now)


def test_weight_drop_masks_the_recurrent_matrices_once_for_a_call(x: Tensor) -> None:
    lstm = LSTM(I, H).double()
    network = Recurrent([lstm], weight_drop=0.5)
    kept = {name: each.clone() for name, each in network.state_dict().items()}
    y, _ = network(x, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad(y.sum(), lstm.weight_hh)
    masked = dropped_weights(lstm, 0.5, ["weight_hh"], torch.Generator().manual_seed(1))
    assert list(masked) == ["weight_hh"]
    assert 0.3 < (masked["weight_hh"] == 0).double().mean() < 0.7
    assert (gradient[masked["weight_hh"] == 0] == 0).all()
    assert torch.equal(
        masked["weight_hh"][masked["weight_hh"] != 0], 2 * lstm.weight_hh[masked["weight_hh"] != 0]
    )
    for name, each in network.state_dict().items():
        assert torch.equal(each, kept[name])
    by_hand = LSTM(I, H).double()
    by_hand.load_state_dict({**lstm.state_dict(), **masked})
    assert_same(y, by_hand.sequence(x, by_hand.initial_state(B))[0])
    network.eval()
    assert_same(network(x)[0], lstm.sequence(x, lstm.initial_state(B))[0])


def test_weight_drop_takes_the_names_it_is_given(x: Tensor) -> None:
    network = Recurrent(
        [(GRU(I, H), GRU(I, H)), MinGRU(2 * H, H)], weight_drop=0.5, weight_drop_names=["weight_ih", "weight"]
    ).double()
    one, two, three = (network(x, generator=torch.Generator().manual_seed(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, three)
    found = weights_called(network.weight_drop_names, network)
    assert list(found) == ["layers.0.ahead.weight_ih", "layers.0.back.weight_ih", "layers.1.weight"]


def test_a_stack_in_training_compiles_whole(x: Tensor) -> None:
    network = Recurrent(
        [LSTM(I, H), GRU(H, H)], dropout=0.5, variational=True, weight_drop=0.5, norm="rms", residual=True
    ).double()
    torch.manual_seed(1)
    wanted, _ = network(x)
    torch.manual_seed(1)
    found, _ = torch.compile(network, fullgraph=True, backend="aot_eager")(x)
    assert_same(found, wanted)


def test_noise_is_drawn_by_the_generator_in_training() -> None:
    class Noisy(GRU):
        def noise(self, batch_size: int, steps: int, generator: torch.Generator | None) -> Tensor:
            return torch.rand(batch_size, steps, self.output_size, generator=generator)

        def recur(self, z: Tensor, before: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
            y, after = super().recur(z, before)
            return (y if noise is None else y * noise), after

        sequence = Cell.sequence

    network = Recurrent([(Noisy(I, H), Noisy(I, H))])
    x = torch.randn(B, T, I)
    one, two, three = (network(x, generator=torch.Generator().manual_seed(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, three)
    network.eval()
    assert torch.equal(network(x)[0], network(x)[0])


def test_a_state_dict_goes_round(x: Tensor) -> None:
    one, two = stack(norm="layer"), stack(norm="layer")
    two.load_state_dict(one.state_dict())
    assert torch.equal(one(x)[0], two(x)[0])


@pytest.mark.parametrize(
    ("layers", "options", "message"),
    [
        ([], {}, "at least one layer"),
        ([GRU(2, 3), GRU(4, 4)], {}, "layer 1 takes 4 inputs, the one below gives 3"),
        ([GRU(2, 3), GRU(3, 4)], {"residual": True}, "layer 1 cannot be residual"),
        ([(GRU(2, 3), GRU(3, 3))], {}, "takes one input, not 2 and 3"),
        ([GRU(2, 3)], {"dropout": 1.0}, "dropout must lie in"),
        ([GRU(2, 3)], {"weight_drop": 1.0}, "weight_drop must lie in"),
        ([GRU(2, 3)], {"norm": "batch"}, "norm must be None, 'layer' or 'rms', not 'batch'"),
        ([MinGRU(2, 3)], {"weight_drop": 0.5}, "no layer has a parameter called weight_hh to drop"),
    ],
)
def test_misfits_are_told(layers: list[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recurrent(layers, **options)


def test_misuse_is_told() -> None:
    with pytest.raises(TypeError, match="a cell or a pair of cells"):
        Recurrent([torch.nn.GRU(2, 3)])  # type: ignore[list-item]
    both = Recurrent([(GRU(2, 3), GRU(2, 3))])
    with pytest.raises(ValueError, match="layer 0 is bidirectional"):
        both.step(torch.zeros(1, 2), both.initial_state(1))
    with pytest.raises(ValueError, match="one state for each of the 1 layers"):
        both(torch.zeros(1, 4, 2), ())
