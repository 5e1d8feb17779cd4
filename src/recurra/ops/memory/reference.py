"""The memory recurrence in plain torch, step by step: the definition that every faster path must meet.

    S_t = S_{t-1} (diag(w_t) + a_t b_tᵀ) + v_t k_tᵀ        o_t = S_t q_t

Decays come as logs, log w ≤ 0; -inf is a decay of exactly 0. Without `a` and `b` (both None) the term a bᵀ is
left out.

Legend: B rows, T steps, N heads, K key channels, V value channels. S (B, N, V, K); per step q, k, a, b (B, N, K),
v (B, N, V), log_w (B, N, 1) for a decay of the whole head or (B, N, K) for one of each channel.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["max_plus_scan", "memory", "memory_step"]


def memory_step(
    q: Tensor, k: Tensor, v: Tensor, log_w: Tensor, a: Tensor | None, b: Tensor | None, s: Tensor
) -> tuple[Tensor, Tensor]:
    """One step of the recurrence; returns o (B, N, V) and the new S (B, N, V, K)."""
    new = s * log_w.exp().unsqueeze(-2) + v.unsqueeze(-1) * k.unsqueeze(-2)
    if a is not None and b is not None:
        new = new + (s @ a.unsqueeze(-1)) * b.unsqueeze(-2)
    return (new @ q.unsqueeze(-1)).squeeze(-1), new


def memory(
    q: Tensor, k: Tensor, v: Tensor, log_w: Tensor, a: Tensor | None, b: Tensor | None, s0: Tensor
) -> tuple[Tensor, Tensor]:
    """All steps, each tensor with time as axis 1; returns o (B, T, N, V) and the last S."""
    s, outputs = s0, []
    for t in range(q.shape[1]):
        a_t, b_t = (None if x is None else x[:, t] for x in (a, b))
        o, s = memory_step(q[:, t], k[:, t], v[:, t], log_w[:, t], a_t, b_t, s)
        outputs.append(o)
    return torch.stack(outputs, 1) if outputs else v.clone(), s


def max_plus_scan(log_f: Tensor, log_i: Tensor, m0: Tensor) -> Tensor:
    """m_t = max(log f_t + m_{t-1}, log i_t) for log_f, log_i (B, T, N) and m0 (B, N); returns every m_t.

    The stabiliser of gates that are exponentials (xLSTM, arXiv 2405.04517, equation 15), in ⌈log₂ T⌉ rounds of
    the associative rule (f, i) ∘ (f', i') = (f + f', max(i + f', i')): Hillis & Steele 1986.
    """
    steps = log_f.shape[1]
    if steps == 0:
        return log_i.clone()
    f, i = log_f, torch.cat([torch.maximum(log_f[:, :1] + m0.unsqueeze(1), log_i[:, :1]), log_i[:, 1:]], 1)
    reach = 1
    while reach < steps:
        i = torch.cat([i[:, :reach], torch.maximum(i[:, :-reach] + f[:, reach:], i[:, reach:])], 1)
        f = torch.cat([f[:, :reach], f[:, :-reach] + f[:, reach:]], 1)
        reach *= 2
    return i
