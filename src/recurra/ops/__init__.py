"""The recurrences as pure functions, and the one table that says which code runs them.

Each operation has a reference (plain torch, the definition, always there) and a fast path, taken where it
fits. The environment variable RECURRA_OPS may say `reference`, to take the fast path nowhere, or `native`, to
have an error where the extension is missing.

Legend: B rows, T steps, I inputs, H or D units; `lengths` (B,), each 0 … T, or None where all rows are whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from recurra.ops import ragged
from recurra.ops.dense import cpu as dense_cpu
from recurra.ops.dense import opaque
from recurra.ops.dense import reference as dense_reference
from recurra.ops.dense.masks import Masks
from recurra.ops.dense.reference import GRUWeights, LayerNorms, LSTMWeights, RNNWeights
from recurra.ops.diagonal import cpu as diagonal_cpu
from recurra.ops.diagonal import reference as diagonal_reference
from recurra.ops.memory import chunked as memory_chunked
from recurra.ops.memory import reference as memory_reference

__all__ = [
    "TABLE",
    "GRUWeights",
    "LSTMWeights",
    "LayerNorms",
    "Masks",
    "Paths",
    "RNNWeights",
    "complex_scan",
    "gru",
    "linear_scan",
    "lstm",
    "memory",
    "native_available",
    "ragged",
    "rnn",
]


class Paths(NamedTuple):
    """The two ways to run an operation, and where the fast one may be taken, by its first argument."""

    reference: Callable[..., Any]
    fast: Callable[..., Any]
    fits: Callable[[Tensor], bool]


def native_available() -> bool:
    """Whether the compiled extension is there; without it everything runs, slower, on the reference."""
    return diagonal_cpu.available()


def linear_scan(a: Tensor, b: Tensor, h0: Tensor, lengths: Tensor | None = None) -> Tensor:
    """h_t = a_t ⊙ h_{t-1} + b_t for a, b (B, T, D) and h0 (B, D); returns every h_t, (B, T, D).

    Past a row's length its h stays. Raises ValueError for shapes, types or lengths that do not fit together.
    """
    if a.dim() != 3 or a.shape != b.shape or h0.shape != (a.shape[0], a.shape[2]):
        raise ValueError(
            f"linear_scan takes a and b (B, T, D) and h0 (B, D), not {tuple(a.shape)}, {tuple(b.shape)} "
            f"and {tuple(h0.shape)}"
        )
    if not a.dtype == b.dtype == h0.dtype:
        raise ValueError(f"linear_scan takes one type of number, not {a.dtype}, {b.dtype} and {h0.dtype}")
    lengths = ragged.check(lengths, a)
    result: Tensor = _path("linear_scan", a)(ragged.fill(a, lengths, 1.0), ragged.fill(b, lengths), h0)
    return result


def complex_scan(a: Tensor, b: Tensor, h0: Tensor, lengths: Tensor | None = None) -> Tensor:
    """h_t = a_t h_{t-1} + b_t in complex numbers, stored as real pairs: a, b (B, T, D, 2), h0 (B, D, 2).

    Returns every h_t, (B, T, D, 2); past a row's length its h stays. Raises ValueError for shapes or lengths that do
    not fit together.
    """
    if a.dim() != 4 or a.shape != b.shape or h0.shape != (a.shape[0], *a.shape[2:]) or a.shape[3] != 2:
        raise ValueError(
            f"complex_scan takes a and b (B, T, D, 2) and h0 (B, D, 2), not {tuple(a.shape)}, {tuple(b.shape)} "
            f"and {tuple(h0.shape)}"
        )
    lengths = ragged.check(lengths, a)
    if lengths is not None:
        valid = ragged.valid(lengths, a.shape[1]).reshape(*a.shape[:2], 1, 1)
        one = torch.stack([torch.ones_like(a[..., 0]), torch.zeros_like(a[..., 0])], -1)
        a, b = torch.where(valid, a, one), torch.where(valid, b, 0.0)
    return diagonal_reference.complex_scan(a, b, h0)


def memory(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    log_w: Tensor,
    a: Tensor | None,
    b: Tensor | None,
    s0: Tensor,
    lengths: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """S_t = S_{t-1} (diag(w_t) + a_t b_tᵀ) + v_t k_tᵀ, o_t = S_t q_t, for N heads; gives o (B, T, N, V) and the last S.

    q, k, and a, b or None for both, are (B, T, N, K), v (B, T, N, V), log_w ≤ 0 (B, T, N, 1) or (B, T, N, K), s0
    (B, N, V, K). Past a row's length o is zero and S stays. Raises ValueError for shapes or lengths that do not fit.
    """
    heads, kept = q.shape[:3], (*v.shape[:1], *v.shape[2:], *q.shape[3:])
    alike = all(x.shape == q.shape for x in (k, a, b) if x is not None) and (a is None) == (b is None)
    if not alike or v.shape[:3] != heads or log_w.shape not in (q.shape, (*heads, 1)) or s0.shape != kept:
        shapes = ", ".join("None" if x is None else str(tuple(x.shape)) for x in (q, k, v, log_w, a, b, s0))
        raise ValueError(
            "memory takes q, k (B, T, N, K), v (B, T, N, V), log_w (B, T, N, 1 or K), a, b (B, T, N, K) or both None, "
            f"and s0 (B, N, V, K), not {shapes}"
        )
    lengths = ragged.check(lengths, q)
    q, k, v, log_w = (ragged.fill(x, lengths) for x in (q, k, v, log_w))
    a, b = (None if x is None else ragged.fill(x, lengths) for x in (a, b))
    o, s = _path("memory", q)(q, k, v, log_w, a, b, s0)
    return ragged.fill(o, lengths), s


def rnn(
    x: Tensor,
    h0: Tensor,
    weights: RNNWeights,
    lengths: Tensor | None = None,
    *,
    reverse: bool = False,
    nonlinearity: str = "tanh",
    zoneout: float = 0.0,
    masks: Masks | None = None,
) -> tuple[Tensor, Tensor]:
    """An Elman network over x (B, T, I) from h0 (B, H); `nonlinearity` is "tanh" or "relu".

    Returns the outputs (B, T, H), zero past a row's length, and each row's last h. With `reverse` time runs from each
    row's own end to its start. Raises ValueError for lengths or a nonlinearity that do not fit.
    """
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"nonlinearity must be 'tanh' or 'relu', not {nonlinearity!r}")
    plain = weights.norms is None and masks is None and zoneout == 0.0
    if plain and _one_operator():
        found: tuple[Tensor, Tensor] = _rnn(x, h0, *weights[:3], lengths, reverse, nonlinearity)
        return found
    x, mask, lengths = _entering(x, lengths, reverse)
    if plain:
        y, h = _path("rnn", x)(x, h0, weights, mask, nonlinearity)
    else:
        y, h = dense_reference.rnn(x, h0, weights, mask, nonlinearity, zoneout, masks)
    return ragged.reverse(y, lengths) if reverse else y, h


def gru(
    x: Tensor,
    h0: Tensor,
    weights: GRUWeights,
    lengths: Tensor | None = None,
    *,
    reverse: bool = False,
    reset_after: bool = True,
    zoneout: float = 0.0,
    masks: Masks | None = None,
) -> tuple[Tensor, Tensor]:
    """A GRU over x (B, T, I) from h0 (B, H); its reset gate acts after the matrix product, as in torch, or before.

    Returns the outputs (B, T, H), zero past a row's length, and each row's last h. With `reverse` time runs from each
    row's own end to its start. Raises ValueError for lengths that do not fit.
    """
    plain = weights.norms is None and masks is None and zoneout == 0.0
    if plain and _one_operator():
        found: tuple[Tensor, Tensor] = _gru(x, h0, *weights[:4], lengths, reverse, reset_after)
        return found
    x, mask, lengths = _entering(x, lengths, reverse)
    if plain and reset_after:
        y, h = _path("gru", x)(x, h0, weights, mask)
    else:
        y, h = dense_reference.gru(x, h0, weights, mask, reset_after, zoneout, masks)
    return ragged.reverse(y, lengths) if reverse else y, h


def lstm(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weights: LSTMWeights,
    lengths: Tensor | None = None,
    *,
    reverse: bool = False,
    zoneout: tuple[float, float] = (0.0, 0.0),
    masks: Masks | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """An LSTM over x (B, T, I) from h0 (B, R) and c0 (B, H); `zoneout` are the rates of h and of c.

    Returns the outputs (B, T, R), zero past a row's length, and each row's last h and c. With `reverse` time runs from
    each row's own end to its start. Raises ValueError for lengths that do not fit.
    """
    coupled = weights.hh.shape[0] == 3 * c0.shape[1]
    varied = coupled or weights.peephole is not None or weights.norms is not None or bool(weights.mogrifier)
    plain = not varied and masks is None and zoneout == (0.0, 0.0)
    if plain and _one_operator():
        found: tuple[Tensor, Tensor, Tensor] = _lstm(x, h0, c0, *weights[:4], lengths, reverse)
        return found
    x, mask, lengths = _entering(x, lengths, reverse)
    if plain:
        y, h, c = _path("lstm", x)(x, h0, c0, weights, mask)
    else:
        y, h, c = dense_reference.lstm(x, h0, c0, weights, mask, zoneout, masks)
    return ragged.reverse(y, lengths) if reverse else y, h, c


def _entering(
    x: Tensor, lengths: Tensor | None, reverse: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """X in the order in which it is read and without its padding's content, where rows still go on, the lengths."""
    lengths = ragged.check(lengths, x)
    x = ragged.fill(x, lengths)
    mask = None if lengths is None else ragged.valid(lengths, x.shape[1])
    return ragged.reverse(x, lengths) if reverse else x, mask, lengths


def _scan_fits(a: Tensor) -> bool:
    return native_available() and a.device.type == "cpu" and a.dtype in (torch.float32, torch.float64)


TABLE = {
    #              the definition                  the fast path              where it fits
    "linear_scan": Paths(diagonal_reference.linear_scan, diagonal_cpu.linear_scan, _scan_fits),
    "memory": Paths(memory_reference.memory, memory_chunked.memory_chunked, lambda _: True),
    "rnn": Paths(dense_reference.rnn, dense_cpu.rnn, dense_cpu.fits),
    "lstm": Paths(dense_reference.lstm, dense_cpu.lstm, dense_cpu.fits),
    "gru": Paths(dense_reference.gru, dense_cpu.gru, dense_cpu.fits),
}


def _path(name: str, x: Tensor) -> Callable[..., Any]:
    paths = TABLE[name]
    fast = not _transformed() and _fast_allowed() and paths.fits(x)
    return paths.fast if fast else paths.reference


def _fast_allowed() -> bool:
    forced = os.environ.get("RECURRA_OPS", "")
    if forced not in ("", "reference", "native"):
        raise ValueError(f"RECURRA_OPS must be 'reference' or 'native', not {forced!r}")
    if forced == "native" and not native_available():
        raise ValueError(
            "RECURRA_OPS=native, but the extension was not built; reinstall recurra with a C++ compiler"
        )
    return forced != "reference"


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _transformed() -> bool:
    """Whether torch.func or forward-mode differentiation is at work, which only the reference knows."""
    # torch has no public way to ask.
    return torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def _one_operator() -> bool:
    """Whether a program is being compiled or exported, where the recurrence is to be one operator."""
    return torch.compiler.is_compiling() and not _transformed()


def _rnn_once(x: Tensor, h0: Tensor, ih: Tensor, hh: Tensor, bias: Tensor | None, *rest: Any) -> Any:
    lengths, reverse, nonlinearity = rest
    return rnn(x, h0, RNNWeights(ih, hh, bias), lengths, reverse=reverse, nonlinearity=nonlinearity)


def _gru_once(
    x: Tensor, h0: Tensor, ih: Tensor, hh: Tensor, bias: Tensor | None, bias_hn: Tensor | None, *rest: Any
) -> Any:
    lengths, reverse, reset_after = rest
    return gru(x, h0, GRUWeights(ih, hh, bias, bias_hn), lengths, reverse=reverse, reset_after=reset_after)


def _lstm_once(x: Tensor, h0: Tensor, c0: Tensor, ih: Tensor, hh: Tensor, *rest: Any) -> Any:
    bias, projection, lengths, reverse = rest
    return lstm(x, h0, c0, LSTMWeights(ih, hh, bias, projection), lengths, reverse=reverse)


# What a compiled or exported program calls.
_rnn = opaque.operator(
    "rnn",
    _rnn_once,
    "Tensor x, Tensor h0, Tensor ih, Tensor hh, Tensor? bias, Tensor? lengths, bool reverse, str nonlinearity",
    states=1,
)
_gru = opaque.operator(
    "gru",
    _gru_once,
    "Tensor x, Tensor h0, Tensor ih, Tensor hh, Tensor? bias, Tensor? bias_hn, Tensor? lengths, bool reverse, "
    "bool reset_after",
    states=1,
)
_lstm = opaque.operator(
    "lstm",
    _lstm_once,
    "Tensor x, Tensor h0, Tensor c0, Tensor ih, Tensor hh, Tensor? bias, Tensor? projection, Tensor? lengths, "
    "bool reverse",
    states=2,
)
