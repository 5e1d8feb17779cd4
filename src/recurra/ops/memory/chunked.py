"""The memory recurrence chunk by chunk: matrix products inside a chunk, one small step from chunk to chunk.

Unrolled from the S before a chunk (S_0), with D(i→t) the product of the decays of the steps i+1 … t,

    S_t = S_0 D(0→t) + Σ_{i≤t} (u_i b_iᵀ + v_i k_iᵀ) D(i→t)        u_t = S_{t-1} a_t

so the rows u_t of U solve a triangular system, U = A_ab U + A_ak V + (a D) S_0ᵀ with A_xy[t, i] = x_tᵀ D y_i: the WY
or UT form of Yang et al. 2024 (arXiv 2406.06484, section 3.2) and, with decays, 2025 (arXiv 2412.06464, section 3.3).

Every decay is the exponential of a sum taken over just the steps it spans, never of a difference of long sums:
nothing overflows, and forgetting of any strength keeps its precision.

Legend: B rows, T steps, N heads, K key channels, V value channels; inside, (B, N, chunks, C steps, …).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

__all__ = ["memory_chunked"]

CHUNK = 32  # on a CPU longer chunks gain nothing while K is below 64

# The scores A_xy (…, C, C) of readers x and writers y (…, C, K): xᵀ_t D(i→t) y_i for i ≤ t where the read comes after
# the step's own write (o), x_tᵀ D(i→t-1) y_i for i < t where it comes before (u).
_Scores = Callable[[Tensor, Tensor, bool], Tensor]


class _Decays(NamedTuple):
    """The decays inside each chunk; the last axis of a tensor is 1 or K."""

    scores: _Scores
    from_start: Tensor  # (…, C + 1, ·): D(0→t), t = 0 … C
    to_end: Tensor  # (…, C, ·): D(i→C)


def memory_chunked(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    log_w: Tensor,
    a: Tensor | None,
    b: Tensor | None,
    s0: Tensor,
    chunk: int = CHUNK,
) -> tuple[Tensor, Tensor]:
    """As `reference.memory`: o (B, T, N, V) and the last S (B, N, V, K); `chunk` is a power of two."""
    steps = q.shape[1]
    if steps == 0:
        return v.clone(), s0
    size = min(chunk, 1 << (steps - 1).bit_length())
    q, k, v, log_w = (_cut(x, size) for x in (q, k, v, log_w))
    scores, from_start, to_end = _decays(log_w)
    kept = from_start[..., -1:, :]
    gained = v.mT @ (k * to_end)
    own, reads = scores(q, k, True) @ v, q * from_start[..., 1:, :]
    if a is None or b is None:
        before, last = _across(kept, None, gained, s0)
        return _joined(own + reads @ before.mT, steps), last
    a, b = _cut(a, size), _cut(b, size)
    right = torch.cat([scores(a, k, False) @ v, a * from_start[..., :-1, :]], -1)
    # U = u_own + u_reads S_0ᵀ; the system's diagonal of ones is not stored.
    u_own, u_reads = torch.linalg.solve_triangular(
        -scores(a, b, False), right, upper=False, unitriangular=True
    ).split([v.shape[-1], k.shape[-1]], -1)
    writes = b * to_end
    before, last = _across(kept, u_reads.mT @ writes, gained + u_own.mT @ writes, s0)
    u = u_own + u_reads @ before.mT
    return _joined(own + reads @ before.mT + scores(q, b, True) @ u, steps), last


def _across(kept: Tensor, turned: Tensor | None, gained: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """S ← S (diag(kept) + turned) + gained over the chunks: S before each (B, N, chunks, V, K), and the last."""
    befores = []
    for j in range(gained.shape[2]):
        befores.append(s)
        carried = s * kept[:, :, j] + gained[:, :, j]
        s = carried if turned is None else carried + s @ turned[:, :, j]
    return torch.stack(befores, 2), s


def _decays(log_w: Tensor) -> _Decays:
    """The decays of log_w (…, C, 1 or K).

    A decay of each channel does not factor out of the scores, and the span i→t is too wide to be split as
    D(0→t) / D(0→i). So a chunk is halved, its halves too, down to single steps: i and t fall apart at one
    middle m, where D(i→t) = D(i→m) D(m→t) and neither factor is above 1 (the two levels of sub-chunks of Yang
    et al. 2024, arXiv 2312.06635, section 4.3, at every level).
    """
    levels = []
    for half in (1 << level for level in range(log_w.shape[-2].bit_length() - 1)):
        first, second = torch.unflatten(log_w, -2, (-1, 2, half)).unbind(-3)
        levels.append((_ahead(second).exp(), _behind(first).exp()))

    def scores(x: Tensor, y: Tensor, after: bool) -> Tensor:
        blocks = ((x * y).sum(-1) if after else x.new_zeros(x.shape[:-1])).unsqueeze(-1).unsqueeze(-1)
        for from_middle, to_middle in levels:
            split = (-1, 2, to_middle.shape[-2])
            from_middle = from_middle[..., 1:, :] if after else from_middle[..., :-1, :]
            readers = torch.unflatten(x, -2, split)[..., 1, :, :] * from_middle
            writers = torch.unflatten(y, -2, split)[..., 0, :, :] * to_middle
            upper, lower = torch.unflatten(blocks, -3, (-1, 2)).unbind(-3)
            lower = torch.cat([readers @ writers.mT, lower], -1)
            blocks = torch.cat([pad(upper, (0, split[2])), lower], -2)
        return blocks.squeeze(-3)

    from_start, to_end = _ahead(log_w).exp(), _behind(log_w).exp()
    if log_w.shape[-1] > 1:
        return _Decays(scores, from_start, to_end)
    one = torch.ones_like(log_w)
    tables = {after: scores(one, one, after) for after in (True, False)}
    return _Decays(lambda x, y, after: (x @ y.mT) * tables[after], from_start, to_end)


def _ahead(log_w: Tensor) -> Tensor:
    """(…, C, ·) -> (…, C + 1, ·): the sums over the steps 1 … t for t = 0 … C."""
    return pad(log_w, (0, 0, 1, 0)).cumsum(-2)


def _behind(log_w: Tensor) -> Tensor:
    """(…, C, ·): the sums over the steps i+1 … C for i = 1 … C."""
    return pad(log_w, (0, 0, -1, 1)).flip(-2).cumsum(-2).flip(-2)


def _cut(x: Tensor, size: int) -> Tensor:
    """(B, T, N, ·) -> (B, N, chunks, size, ·), the last chunk filled up with steps that change nothing."""
    filled = pad(x, (0, 0, 0, 0, 0, -x.shape[1] % size))
    return torch.unflatten(filled, 1, (-1, size)).permute(0, 3, 1, 2, 4)


def _joined(o: Tensor, steps: int) -> Tensor:
    """(B, N, chunks, C, V) -> (B, T, N, V)."""
    return o.permute(0, 2, 3, 1, 4).flatten(1, 2)[:, :steps]
