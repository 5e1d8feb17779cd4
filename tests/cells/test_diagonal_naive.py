"""The cells of the diagonal family, and the sLSTM, against their papers' equations as plain loops in NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from recurra import state
from recurra.cell import Cell
from recurra.cells import LRU, QRNN, RGLRU, S5, SLSTM, SRU, MinGRU, MinLSTM

Array = NDArray[Any]
B, T, H = 3, 7, 6


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def random_cell(kind: Any, inputs: int, **options: Any) -> tuple[Cell, dict[str, Array]]:
    """A cell whose parameters, biases included, are all moved from where they start, and these as arrays."""
    cell = kind(inputs, H, **options).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return cell, {name: each.detach().numpy() for name, each in cell.named_parameters()}


def min_gru(x: Array, h: Array, p: dict[str, Array]) -> tuple[Array, Array]:
    wz, wh = np.split(p["weight"], 2)
    bz, bh = np.split(p["bias"], 2)
    outputs = []
    for x_t in x:
        z = sigmoid(wz @ x_t + bz)
        h = (1 - z) * h + z * (wh @ x_t + bh)
        outputs.append(h)
    return np.array(outputs), h


def min_lstm(x: Array, h: Array, p: dict[str, Array]) -> tuple[Array, Array]:
    wf, wi, wh = np.split(p["weight"], 3)
    bf, bi, bh = np.split(p["bias"], 3)
    outputs = []
    for x_t in x:
        f, i = sigmoid(wf @ x_t + bf), sigmoid(wi @ x_t + bi)
        h = f / (f + i) * h + i / (f + i) * (wh @ x_t + bh)
        outputs.append(h)
    return np.array(outputs), h


def sru(x: Array, c: Array, p: dict[str, Array]) -> tuple[Array, Array]:
    w, wf, wr, *fourth = np.split(p["weight"], len(p["weight"]) // H)
    bf, br = np.split(p["bias"], 2)
    outputs = []
    for x_t in x:
        f, r = sigmoid(wf @ x_t + bf), sigmoid(wr @ x_t + br)
        c = f * c + (1 - f) * (w @ x_t)
        outputs.append(r * np.tanh(c) + (1 - r) * (fourth[0] @ x_t if fourth else x_t))
    return np.array(outputs), c


def qrnn(x: Array, before: tuple[Array, Array], p: dict[str, Array]) -> tuple[Array, tuple[Array, Array]]:
    """The rows before x are the state's."""
    earlier, c = before
    kernel = p["weight"].shape[1]
    x = np.concatenate([earlier, x])
    outputs = []
    for t in range(kernel - 1, len(x)):
        pre = p["bias"] + sum(p["weight"][:, k] @ x[t - k] for k in range(kernel))
        z, f, o = np.tanh(pre[:H]), sigmoid(pre[H : 2 * H]), sigmoid(pre[2 * H :])
        c = f * c + (1 - f) * z
        outputs.append(o * c)
    return np.array(outputs), (x[len(x) - kernel + 1 :], c)


def block_diagonal(blocks: Array) -> Array:
    """One matrix out of blocks (heads, O, I)."""
    heads, rows, columns = blocks.shape
    matrix = np.zeros((heads * rows, heads * columns))
    for n, block in enumerate(blocks):
        matrix[n * rows : (n + 1) * rows, n * columns : (n + 1) * columns] = block
    return matrix


def rg_lru(x: Array, h: Array, p: dict[str, Array]) -> tuple[Array, Array]:
    wr, wi = (block_diagonal(each) for each in p["weight_gates"])
    br, bi = p["bias_gates"]
    outputs = []
    for x_t in x:
        u = p["weight"] @ x_t + p["bias"] if "weight" in p else x_t
        r, i = sigmoid(wr @ u + br), sigmoid(wi @ u + bi)
        a = sigmoid(p["decay"]) ** (8 * r)
        h = a * h + np.sqrt(1 - a**2) * (i * u)
        outputs.append(h)
    return np.array(outputs), h


def as_complex(pairs: Array) -> Array:
    return pairs[..., 0] + 1j * pairs[..., 1]


def as_pairs(values: Array) -> Array:
    return np.stack([values.real, values.imag], -1)


def skip(p: dict[str, Array], x_t: Array) -> Array:
    """D x, whether D is a matrix or the diagonal of one."""
    return p["skip"] @ x_t if p["skip"].ndim == 2 else p["skip"] * x_t


def lru(x: Array, before: Array, p: dict[str, Array]) -> tuple[Array, Array]:
    h, b, c = as_complex(before), as_complex(p["weight_in"].swapaxes(1, 2)), as_complex(p["weight_out"])
    decay = np.exp(-np.exp(p["log_decay"]) + 1j * np.exp(p["log_phase"]))
    outputs = []
    for x_t in x:
        h = decay * h + np.exp(p["log_scale"]) * (b @ x_t)
        outputs.append((c @ h).real + skip(p, x_t))
    return np.array(outputs), as_pairs(h)


def s5(x: Array, before: Array, p: dict[str, Array]) -> tuple[Array, Array]:
    h, b, c = as_complex(before), as_complex(p["weight_in"].swapaxes(1, 2)), as_complex(p["weight_out"])
    rate, step = -np.exp(p["log_decay"]) + 1j * p["frequency"], np.exp(p["log_step"])
    decay = np.exp(rate * step)
    b = ((decay - 1) / rate)[:, None] * b
    outputs = []
    for x_t in x:
        h = decay * h + b @ x_t
        # The kept half of the system and its conjugate.
        outputs.append((c @ h + c.conj() @ h.conj()).real + skip(p, x_t))
    return np.array(outputs), as_pairs(h)


def slstm(x: Array, before: tuple[Array, ...], p: dict[str, Array]) -> tuple[Array, tuple[Array, ...]]:
    """Without a stabilizer: m stays 0, and c and n may grow."""
    h, c, n, _ = before
    recurrent = np.concatenate([block_diagonal(each) for each in p["weight_hh"]])
    outputs = []
    for x_t in x:
        i, f, z, o = np.split(p["weight_ih"] @ x_t + recurrent @ h + p["bias"], 4)
        c = sigmoid(f) * c + np.exp(i) * np.tanh(z)
        n = sigmoid(f) * n + np.exp(i)
        h = sigmoid(o) * c / n
        outputs.append(h)
    return np.array(outputs), (h, c, n, np.zeros(H))


CASES = [
    (MinGRU, min_gru, {}),
    (MinLSTM, min_lstm, {}),
    (SRU, sru, {}),
    (QRNN, qrnn, {}),
    (QRNN, qrnn, {"kernel": 3}),
    (RGLRU, rg_lru, {}),
    (RGLRU, rg_lru, {"heads": 3}),
    (LRU, lru, {}),
    (LRU, lru, {"state_size": 4}),
    (S5, s5, {}),
    (S5, s5, {"state_size": 5}),
]


def arrays(one: Any, row: int) -> Any:
    """A state's row as arrays."""
    if isinstance(one, tuple):
        return tuple(arrays(each, row) for each in one)
    return one[row].detach().numpy()


def assert_close(found: Any, wanted: Any) -> None:
    if isinstance(wanted, tuple):
        for each, other in zip(found, wanted, strict=True):
            assert_close(each, other)
    else:
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("inputs", [2, H], ids=["mapped", "square"])
@pytest.mark.parametrize(("kind", "naive", "options"), CASES)
def test_the_cell_is_its_papers_loop(kind: Any, naive: Any, options: dict[str, Any], inputs: int) -> None:
    cell, parameters = random_cell(kind, inputs, **options)
    x = torch.randn(B, T, inputs, dtype=torch.float64)
    before = state.transform(torch.randn_like, cell.initial_state(B))
    y, after = cell.sequence(x, before)
    for row in range(B):
        wanted, end = naive(x[row].numpy(), arrays(before, row), parameters)
        assert_close(y[row].detach().numpy(), wanted)
        assert_close(arrays(after, row), end)


@pytest.mark.parametrize("heads", [1, 2])
def test_the_slstm_is_the_loop_without_a_stabilizer(heads: int) -> None:
    cell, parameters = random_cell(SLSTM, 4, heads=heads)
    x = torch.randn(B, T, 4, dtype=torch.float64)
    y, after = cell.sequence(x, cell.initial_state(B))
    for row in range(B):
        zeros = np.zeros(H)
        wanted, (h, c, n, _) = slstm(x[row].numpy(), (zeros, zeros, zeros, zeros), parameters)
        assert_close(y[row].detach().numpy(), wanted)
        found_h, found_c, found_n, found_m = arrays(after, row)
        assert_close((found_h, found_c * np.exp(found_m), found_n * np.exp(found_m)), (h, c, n))


def test_zoneout_leaves_the_memory_as_it_was() -> None:
    cell, parameters = random_cell(QRNN, 2, zoneout=0.5)
    x = torch.randn(B, T, 2, dtype=torch.float64)
    noise = cell.noise(B, T, torch.Generator().manual_seed(1))
    before = cell.initial_state(B)
    y, _ = cell.sequence(x, before, noise=noise)
    assert 0.3 < noise.mean() < 0.7
    for row in range(B):
        now = arrays(before, row)
        for t in range(T):
            _, (rows, c) = qrnn(x[row, t : t + 1].numpy(), now, parameters)
            now = rows, np.where(noise[row, t].numpy() == 0, now[1], c)
            weight = parameters["weight"][2 * H :]
            earlier = x[row, t - 1].numpy() if t else np.zeros(2)
            o = sigmoid(
                parameters["bias"][2 * H :] + weight[:, 0] @ x[row, t].numpy() + weight[:, 1] @ earlier
            )
            assert_close(y[row, t].detach().numpy(), o * now[1])


def test_the_rg_lru_starts_with_memories_of_ten_to_a_thousand_steps() -> None:
    decay = torch.sigmoid(RGLRU(4, 4000, generator=torch.Generator().manual_seed(1)).decay.double()) ** 8
    assert decay.min() >= 0.9 - 1e-6
    assert decay.max() <= 0.999 + 1e-6
    assert decay.mean().item() == pytest.approx(0.9495, abs=0.002)


@pytest.mark.parametrize("kind", [RGLRU, MinLSTM])
def test_gates_at_their_ends_keep_gradients_finite(kind: Any) -> None:
    cell = kind(6, 6)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter *= 1e4
    x = torch.randn(8, 4, 6, requires_grad=True)
    y, _ = cell.sequence(x, cell.initial_state(8))
    gradients = torch.autograd.grad(y.sum(), [x, *cell.parameters()], create_graph=True)
    again = torch.autograd.grad(sum(each.square().sum() for each in gradients), x)
    assert all(each.isfinite().all() for each in (y, *gradients, *again))


def test_the_lru_starts_on_its_ring() -> None:
    cell = LRU(4, 4000, r_min=0.5, r_max=0.9, max_phase=1.0, generator=torch.Generator().manual_seed(1))
    radius = (-cell.log_decay.exp()).exp()
    assert 0.5 <= radius.min() < 0.52
    assert 0.88 < radius.max() <= 0.9
    assert cell.log_phase.exp().max() <= 1.0
    # Uniform on the ring's area, not on its radius.
    assert radius.square().mean().item() == pytest.approx((0.5**2 + 0.9**2) / 2, abs=0.005)
    torch.testing.assert_close(cell.log_scale.exp(), (1 - radius**2).sqrt(), rtol=1e-4, atol=1e-5)


def test_s5_starts_as_hippo() -> None:
    """As HiPPO-LegS' normal part, in real numbers, with the input and output matrices that the generator draws."""
    cell = S5(3, 6, state_size=4, generator=torch.Generator().manual_seed(1)).double()
    generator = torch.Generator().manual_seed(1)
    inward = torch.randn(8, 3, generator=generator).double() / 3**0.5
    outward = torch.randn(6, 8, generator=generator).double() / 8**0.5
    root = (2 * torch.arange(8).double() + 1).sqrt()
    hippo = -torch.outer(root, root).tril(-1) - torch.diag(torch.arange(8).double() + 1)
    normal = hippo + torch.outer(root, root) / 2
    assert 0.001 <= cell.log_step.exp().min() < cell.log_step.exp().max() <= 0.1
    with torch.no_grad():
        cell.log_step.fill_(math.log(0.05))
        cell.skip.zero_()
    decay = torch.linalg.matrix_exp(0.05 * normal)
    entrance = torch.linalg.solve(normal, decay - torch.eye(8)) @ inward
    x = torch.zeros(3, 5, 3, dtype=torch.float64)
    x[:, 0] = torch.eye(3)  # an impulse in each input
    y, _ = cell.sequence(x, cell.initial_state(3))
    for t in range(5):
        wanted = (outward @ torch.linalg.matrix_power(decay, t) @ entrance).T
        torch.testing.assert_close(y[:, t], wanted, rtol=1e-5, atol=1e-6)  # its parameters were float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RGLRU(2, 6, heads=4), "6 units cannot be parted into 4 heads"),
        (lambda: QRNN(2, 6, kernel=0), "kernel must be at least 1, not 0"),
        (lambda: QRNN(2, 6, zoneout=1.0), "zoneout must lie in"),
        (lambda: LRU(2, 6, state_size=0), "state_size must be at least 1, not 0"),
        (lambda: LRU(2, 6, r_min=0.9, r_max=0.5), "r_min < r_max"),
        (lambda: LRU(2, 6, max_phase=0.0), "max_phase must be above 0"),
        (lambda: S5(2, 6, step_min=0.2), "step_min < step_max"),
    ],
)
def test_misfits_are_told(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
