"""The cells whose state is a matrix, against the papers' recurrences as plain loops in NumPy, projections included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from recurra import state
from recurra.cell import Cell, Windowed
from recurra.cells import DeltaNet, GatedDeltaNet, LinearAttention, Mamba2

Array = NDArray[Any]
Parameters = dict[str, Array]
B, T, INPUTS, H, N = 3, 19, 3, 6, 2


def random_cell(kind: Any, **options: Any) -> tuple[Cell, Parameters]:
    """A cell whose parameters are all moved from where they start, and these as arrays."""
    cell = kind(INPUTS, H, heads=N, **options).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return cell, {name: each.detach().numpy() for name, each in cell.named_parameters()}


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def silu(x: Array) -> Array:
    return x * sigmoid(x)


def softplus(x: Array) -> Array:
    return np.log1p(np.exp(x))


def unit(x: Array) -> Array:
    return x / np.sqrt((x * x).sum() + 1e-6)


def convolved(p: Array, before: Array, parameters: Parameters, channels: int) -> Array:
    """The first channels of p (T, P), each through its own taps, given the rows before; the rest as it is."""
    taps = parameters.get("taps")
    if taps is None:
        return p
    rows = np.concatenate([before, p]) if len(before) else p
    y = p.copy()
    for t in range(len(p)):
        for channel in range(channels):
            total = parameters["taps_bias"][channel] if "taps_bias" in parameters else 0.0
            for back in range(len(taps)):
                total += taps[back, channel] * rows[len(before) + t - back, channel]
            y[t, channel] = total
    return y


def linear_attention(x: Array, rows: Array, s: Array, p: Parameters) -> tuple[Array, Array]:
    size = H // N
    y = np.zeros((len(x), H))
    for t, x_t in enumerate(x):
        q, k, v = (part.reshape(N, size) for part in np.split(p["weight"] @ x_t, 3))
        for n in range(N):
            phi_q, phi_k = (np.where(z > 0, z + 1, np.exp(z)) for z in (q[n], k[n]))
            s[n, :size] += np.outer(v[n], phi_k)
            s[n, size] += phi_k
            y[t, n * size : (n + 1) * size] = s[n, :size] @ phi_q / (s[n, size] @ phi_q + 1e-6)
    return y, s


def retention(x: Array, rows: Array, s: Array, p: Parameters) -> tuple[Array, Array]:
    size = H // N
    y = np.zeros((len(x), H))
    for t, x_t in enumerate(x):
        q, k, v = (part.reshape(N, size) for part in np.split(p["weight"] @ x_t, 3))
        for n in range(N):
            s[n] = (1 - 2.0 ** (-5 - n)) * s[n] + np.outer(v[n], k[n])
            y[t, n * size : (n + 1) * size] = s[n] @ q[n] / np.sqrt(size)
    return y, s


def delta_net(x: Array, rows: Array, s: Array, p: Parameters, beta_max: float = 1.0) -> tuple[Array, Array]:
    gated = "rate" in p
    size, keys = H // N, s.shape[-1]
    channels = 2 * N * keys + H
    projected = convolved(x @ p["weight"].T, rows, p, channels)
    y = np.zeros((len(x), H))
    for t, row in enumerate(projected):
        q, k, v = np.split(silu(row[:channels]), [N * keys, 2 * N * keys])
        beta = beta_max * sigmoid(row[channels : channels + N])
        for n in range(N):
            q_n, k_n = (unit(z[n * keys : (n + 1) * keys]) for z in (q, k))
            v_n = v[n * size : (n + 1) * size]
            if gated:
                gate = row[channels + N + n]
                s[n] *= np.exp(-np.exp(p["rate"][n]) * softplus(gate + p["bias"][n]))
            s[n] += beta[n] * np.outer(v_n - s[n] @ k_n, k_n)
            y[t, n * size : (n + 1) * size] = s[n] @ q_n / np.sqrt(keys)
    return y, s


def mamba2(x: Array, rows: Array, s: Array, p: Parameters) -> tuple[Array, Array]:
    size, keys = H // N, s.shape[-1]
    channels = H + 2 * keys
    projected = convolved(x @ p["weight"].T, rows, p, channels)
    y = np.zeros((len(x), H))
    for t, row in enumerate(projected):
        u, b, c = np.split(silu(row[:channels]), [H, H + keys])
        for n in range(N):
            step = softplus(row[channels + n] + p["bias"][n])
            u_n = u[n * size : (n + 1) * size]
            for i in range(size):
                for j in range(keys):
                    s[n, i, j] = np.exp(-np.exp(p["rate"][n]) * step) * s[n, i, j] + step * b[j] * u_n[i]
            y[t, n * size : (n + 1) * size] = s[n] @ c + p["skip"][n] * u_n
    return y, s


def doubled(*arguments: Any) -> tuple[Array, Array]:
    return delta_net(*arguments, beta_max=2.0)


@pytest.mark.parametrize(
    ("kind", "options", "naive"),
    [
        (LinearAttention, {}, linear_attention),
        (LinearAttention, {"decay": "retention"}, retention),
        (DeltaNet, {}, delta_net),
        (DeltaNet, {"beta_max": 2.0, "key_size": 2, "convolution": 3}, doubled),
        (GatedDeltaNet, {}, delta_net),
        (GatedDeltaNet, {"beta_max": 2.0, "key_size": 4, "convolution": 0}, doubled),
        (Mamba2, {}, mamba2),
        (Mamba2, {"convolution": 0, "state_size": 5}, mamba2),
        (Mamba2, {"convolution": 1}, mamba2),
    ],
)
def test_the_cell_is_the_papers_loop(
    kind: Any, options: dict[str, Any], naive: Callable[..., tuple[Array, Array]]
) -> None:
    cell, parameters = random_cell(kind, **options)
    x = torch.randn(B, T, INPUTS, dtype=torch.float64)
    before = state.transform(lambda leaf: torch.rand_like(leaf) / 2, cell.initial_state(B))
    y, after = cell.sequence(x, before)
    rows, s = before if isinstance(before, Windowed) else (torch.zeros(B, 0, 1), before)
    last = after.inner if isinstance(after, Windowed) else after
    for row in range(B):
        wanted, wanted_s = naive(x[row].numpy(), rows[row].numpy(), s[row].numpy().copy(), parameters)
        np.testing.assert_allclose(y[row].detach().numpy(), wanted, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(last[row].detach().numpy(), wanted_s, rtol=1e-10, atol=1e-12)


def test_with_a_beta_up_to_two_the_memory_can_flip_a_sign() -> None:
    """β = 2 makes the transition I - 2 k kᵀ, a mirror, which β ≤ 1 cannot reach (Grazzi et al. 2024)."""
    flipped = {}
    for beta_max in (1.0, 2.0):
        cell = DeltaNet(1, 1, beta_max=beta_max)
        with torch.no_grad():
            cell.weight.copy_(torch.tensor([[1.0], [1.0], [0.0], [20.0]]))  # q, k, v, β
        _, s = cell.step(torch.ones(2, 1), torch.ones(2, 1, 1, 1))
        flipped[beta_max] = s.mean().item()
    assert flipped[2.0] == pytest.approx(-1.0, abs=1e-4)
    assert flipped[1.0] == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (DeltaNet, {"beta_max": 2.1}, "beta_max must lie in"),
        (DeltaNet, {"convolution": -1}, "convolution must be 0 or more"),
        (GatedDeltaNet, {"key_size": 0}, "key_size 1 or more"),
        (Mamba2, {"state_size": 0}, "state_size must be 1 or more"),
        (LinearAttention, {"decay": "retain"}, "decay must be None or 'retention', not 'retain'"),
        (LinearAttention, {"heads": 4}, "6 units cannot be parted into 4 heads"),
    ],
)
def test_options_out_of_range_are_told(kind: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(INPUTS, H, **options)
