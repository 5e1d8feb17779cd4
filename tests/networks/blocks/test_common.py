"""What blocks are made of: the base that runs cells inside a cell, and the layers around them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from recurra import state
from recurra.cells import LSTM, QRNN, LeakyIntegrator
from recurra.networks.blocks import GriffinBlock, SLSTMBlock
from recurra.networks.blocks.common import Block, GatedMLP, HeadNorm, Run, ShortConvolution, dense
from recurra.networks.recurrent import Recurrent


class Mixed(Block):
    """Cells with noise and without, with a window and without, run in another order than they are kept in."""

    def __init__(self) -> None:
        super().__init__(4)
        self.last = QRNN(4, 4, kernel=3, zoneout=0.5)
        self.plain = LSTM(4, 4)
        self.shifted = LeakyIntegrator(4, 4)

    def flow(self, x: Tensor, run: Run) -> Tensor:
        return x + run(self.last, run(self.plain, x) + run(self.shifted, x))


@pytest.fixture
def block() -> Mixed:
    return Mixed().double()


def test_the_state_is_the_cells_states_in_the_order_they_became_attributes(block: Mixed) -> None:
    wanted = (block.last.initial_state(2), block.plain.initial_state(2), block.shifted.initial_state(2))
    found = block.initial_state(2)
    assert {path: each.shape for path, each in state.flatten(found).items()} == {
        path: each.shape for path, each in state.flatten(wanted).items()
    }


@pytest.mark.parametrize("training", [True, False])
def test_steps_are_the_sequence_with_the_cells_noise(block: Mixed, training: bool) -> None:
    block.train(training)
    x = torch.randn(3, 5, 4, dtype=torch.float64)
    noise = block.noise(3, 5, torch.Generator().manual_seed(1)) if training else None
    y, after = block.sequence(x, block.initial_state(3), torch.tensor([5, 5, 5]), noise)
    now, steps = block.initial_state(3), []
    for t in range(5):
        y_t, now = block.step(x[:, t], now, state.at(noise, t))
        steps.append(y_t)
    torch.testing.assert_close(torch.stack(steps, 1), y, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state.flatten(now), state.flatten(after), rtol=1e-12, atol=1e-12)


def test_noise_acts_and_is_none_where_no_cell_has_some(block: Mixed) -> None:
    x = torch.randn(3, 5, 4, dtype=torch.float64)
    one, two, three = (
        block.sequence(
            x, block.initial_state(3), noise=block.noise(3, 5, torch.Generator().manual_seed(seed))
        )[0]
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, three)
    assert GriffinBlock(4).noise(3, 5, None) is None


def test_the_convolution_is_torchs() -> None:
    convolution = ShortConvolution(3, 4).double()
    torch.nn.init.normal_(convolution.bias)
    x = torch.randn(2, 6, 3, dtype=torch.float64)
    y, _ = convolution.sequence(x, convolution.initial_state(2))
    taps = convolution.weight.flip(0).T.unsqueeze(1)
    wanted = torch.nn.functional.conv1d(x.mT, taps, convolution.bias, padding=3, groups=3)[..., :6].mT
    torch.testing.assert_close(y, wanted, rtol=1e-12, atol=1e-12)


def test_the_norm_of_heads_is_torchs_group_norm() -> None:
    norm = HeadNorm(6, 2).double()
    torch.nn.init.normal_(norm.weight)
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    wanted = torch.nn.functional.group_norm(x.flatten(0, 1), 2, norm.weight).view_as(x)
    torch.testing.assert_close(norm(x), wanted, rtol=1e-12, atol=1e-12)


def test_what_a_gated_mlp_computes() -> None:
    mlp = GatedMLP(3, 5, activation="silu")
    for parameter in mlp.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 3)
    gate, value = x @ mlp.up.weight[:5].T + mlp.up.bias[:5], x @ mlp.up.weight[5:].T + mlp.up.bias[5:]
    torch.testing.assert_close(
        mlp(x), (gate / (1 + (-gate).exp()) * value) @ mlp.down.weight.T + mlp.down.bias
    )


def test_a_matrix_is_drawn_by_the_generator_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    matrix = dense(400, 300, generator=torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), before)
    assert matrix.weight.std().item() == pytest.approx(400**-0.5, rel=0.02)
    assert (matrix.bias == 0).all()
    assert dense(400, 300, deviation=0.5).weight.std().item() == pytest.approx(0.5, rel=0.02)


def test_a_stack_of_blocks_compiles_whole() -> None:
    network = Recurrent([GriffinBlock(4), SLSTMBlock(4)], dropout=0.5).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64)
    torch.manual_seed(1)
    wanted, _ = network(x)
    torch.manual_seed(1)
    found, _ = torch.compile(network, fullgraph=True, backend="aot_eager")(x)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_misfits_are_told() -> None:
    with pytest.raises(ValueError, match="kernel must be at least 1, not 0"):
        ShortConvolution(3, 0)
    with pytest.raises(ValueError, match="'gelu' or 'silu', not 'tanh'"):
        GatedMLP(3, 5, activation="tanh")
    with pytest.raises(ValueError, match="6 units cannot be parted into 4 heads"):
        HeadNorm(6, 4)
