"""The recurrences as pure functions, and the one table that says which code runs them.

Each operation has a reference (plain torch, the definition, always there) and faster paths: `native`, recurra's
extension, and `torch`, torch's own kernels. The first that fits is taken. The environment variable RECURRA_OPS may say
`reference` or `torch`, to go without those before it, or `native`, to have an error where the extension is missing and
to have the extension also where torch's kernels are faster.

Legend: B rows, T steps, I inputs, H or D units; `lengths` (B,), each 0 … T, or None where all rows are whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from recurra import native
from recurra.ops import losses, product, ragged
from recurra.ops.dense import aten as dense_aten
from recurra.ops.dense import cpu as dense_cpu
from recurra.ops.dense import opaque
from recurra.ops.dense import reference as dense_reference
from recurra.ops.dense import slstm as slstm_reference
from recurra.ops.dense import varied as dense_varied
from recurra.ops.dense.masks import Masks
from recurra.ops.dense.order import in_order
from recurra.ops.dense.reference import GRUWeights, LayerNorms, LSTMWeights, RNNWeights
from recurra.ops.dense.slstm import SLSTMWeights
from recurra.ops.diagonal import cpu as diagonal_cpu
from recurra.ops.diagonal import reference as diagonal_reference
from recurra.ops.diagonal.reference import GATES
from recurra.ops.memory import chunked as memory_chunked
from recurra.ops.memory import reference as memory_reference

__all__ = [
    "TABLE",
    "GRUWeights",
    "LSTMWeights",
    "Layer",
    "LayerNorms",
    "Masks",
    "Path",
    "RNNWeights",
    "SLSTMWeights",
    "complex_scan",
    "cross_entropy",
    "gated_scan",
    "gru",
    "layers",
    "linear",
    "linear_scan",
    "lstm",
    "memory",
    "native_available",
    "ragged",
    "rnn",
    "slstm",
]


class Path(NamedTuple):
    """One way to run an operation: what is called, and whether it may be, both with the operation's arguments."""

    kind: str
    run: Callable[..., Any]
    fits: Callable[..., bool]


def native_available() -> bool:
    """Whether the compiled extension is there; without it everything runs, slower, on the reference."""
    return native.available()


def linear_scan(a: Tensor, b: Tensor, h0: Tensor, lengths: Tensor | None = None) -> Tensor:
    """h_t = a_t ⊙ h_{t-1} + b_t for b (B, T, D), h0 (B, D) and a (B, T, D), or (D,) where it is the same at every step.

    Returns every h_t, (B, T, D); past a row's length its h stays. bfloat16 and float16 are computed in float32. Raises
    ValueError for shapes, types or lengths that do not fit together.
    """
    if b.dim() != 3 or a.shape not in (b.shape, b.shape[2:]) or h0.shape != (b.shape[0], b.shape[2]):
        raise ValueError(
            f"linear_scan takes a and b (B, T, D), or a (D,), and h0 (B, D), not {tuple(a.shape)}, {tuple(b.shape)} "
            f"and {tuple(h0.shape)}"
        )
    return _scan("linear_scan", a, b, h0, lengths)


def complex_scan(a: Tensor, b: Tensor, h0: Tensor, lengths: Tensor | None = None) -> Tensor:
    """As `linear_scan`, of complex numbers as real pairs: b (B, T, D, 2), h0 (B, D, 2), a (B, T, D, 2) or (D, 2).

    Returns every h_t, (B, T, D, 2); past a row's length its h stays. Raises ValueError for shapes, types or lengths
    that do not fit together.
    """
    fits = b.dim() == 4 and a.shape in (b.shape, b.shape[2:]) and h0.shape == (b.shape[0], *b.shape[2:])
    if not fits or b.shape[3] != 2:
        raise ValueError(
            f"complex_scan takes a and b (B, T, D, 2), or a (D, 2), and h0 (B, D, 2), not {tuple(a.shape)}, "
            f"{tuple(b.shape)} and {tuple(h0.shape)}"
        )
    return _scan("complex_scan", a, b, h0, lengths)


def gated_scan(
    gates: str, z: Tensor, h0: Tensor, shared: Tensor | None = None, lengths: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """A linear scan from h0 (B, D) with the arithmetic of a cell around it, `gates` of `diagonal.reference.GATES`.

    z (B, T, G) is what enters, block after block, `shared` (D,) what the cell has the same at every step. Returns the
    outputs (B, T, D), zero past a row's length, and each row's last h. bfloat16 and float16 are computed in float32.
    Raises ValueError for gates, shapes, types or lengths that do not fit together.
    """
    if gates not in GATES:
        raise ValueError(f"gates must be one of {', '.join(GATES)}, not {gates!r}")
    blocks, units = GATES[gates].blocks, h0.shape[-1]
    if h0.dim() != 2 or z.dim() != 3 or z.shape[::2] != (h0.shape[0], blocks * units):
        raise ValueError(
            f"gated_scan of {gates} takes z (B, T, {blocks} D) and h0 (B, D), not {tuple(z.shape)} and "
            f"{tuple(h0.shape)}"
        )
    if shared is not None and shared.shape != (units,):
        raise ValueError(f"gated_scan takes shared (D,), not {tuple(shared.shape)}")
    _one_type("gated_scan", *(each for each in (z, h0, shared) if each is not None))
    lengths = ragged.check(lengths, z)
    if z.dtype in _HALVES:
        y, last = gated_scan(
            gates, z.float(), h0.float(), None if shared is None else shared.float(), lengths
        )
        return y.to(z.dtype), last.to(z.dtype)
    found: tuple[Tensor, Tensor] = _run("gated_scan", gates, z, h0, shared, lengths)
    return found


def _scan(name: str, a: Tensor, b: Tensor, h0: Tensor, lengths: Tensor | None) -> Tensor:
    _one_type(name, a, b, h0)
    lengths = ragged.check(lengths, b)
    if b.dtype in _HALVES:
        return _scan(name, a.float(), b.float(), h0.float(), lengths).to(b.dtype)
    found: Tensor = _run(name, a, b, h0, lengths)
    return found


def _one_type(name: str, *tensors: Tensor) -> None:
    if len({each.dtype for each in tensors}) > 1:
        raise ValueError(
            f"{name} takes one type of number, not {', '.join(str(each.dtype) for each in tensors)}"
        )


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """As `torch.nn.functional.linear`: x (…, I), weight (O, I), bias (O,) -> (…, O); large results in reused memory."""
    found: Tensor = _run("linear", x, weight, bias)
    return found


def cross_entropy(scores: Tensor, target: Tensor) -> Tensor:
    """What each row of scores (N, V) loses by its target (N,), in 0 … V - 1: log Σ exp(scores) - scores[target], (N,).

    Raises IndexError for a target that is no class.
    """
    found: Tensor = _run("cross_entropy", scores, target)
    return found


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
    o, s = _run("memory", q, k, v, log_w, a, b, s0)
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
    y, h = layers(Layer("rnn", x, (h0,), weights, lengths, reverse, (nonlinearity, zoneout, masks)))[0]
    return y, h


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
    y, h = layers(Layer("gru", x, (h0,), weights, lengths, reverse, (reset_after, zoneout, masks)))[0]
    return y, h


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
    y, h, c = layers(Layer("lstm", x, (h0, c0), weights, lengths, reverse, (zoneout, masks)))[0]
    return y, h, c


class Layer(NamedTuple):
    """A call of `rnn`, `gru` or `lstm`: its name and arguments, `options` in their order, none left out."""

    name: str
    x: Tensor
    states: tuple[Tensor, ...]
    weights: Any
    lengths: Tensor | None
    reverse: bool
    options: tuple[Any, ...]


def layers(*calls: Layer) -> list[tuple[Tensor, ...]]:
    """What each call returns; of one, or of two alike over one x that do not see one another, as a pair's directions.

    Where the extension runs them, those two run at once, each on half of the threads.
    """
    checked = [call._replace(lengths=ragged.check(call.lengths, call.x)) for call in calls]
    if _one_operator():
        return [_operator(call) if _PLAIN[call.name](*_arguments(call)) else _layer(call) for call in checked]
    at_once = len(checked) == 2 and checked[0].states[0].shape == checked[1].states[0].shape
    if at_once and all(_path(call.name, *_arguments(call)).run is _ALONE[call.name] for call in checked):
        return dense_cpu.both(checked[0].name, *map(_arguments, checked))
    return [_layer(call) for call in checked]


def _arguments(call: Layer) -> tuple[Any, ...]:
    return *call[1:-1], *call.options


def _layer(call: Layer) -> tuple[Tensor, ...]:
    found: tuple[Tensor, ...] = _run(call.name, *_arguments(call))
    return found


def _operator(call: Layer) -> tuple[Tensor, ...]:
    """The call as the one operator that a compiled program holds; its plain weights and one option, if any."""
    _, x, states, weights, lengths, reverse, options = call
    operator, tensors = {"rnn": (_rnn, 3), "gru": (_gru, 4), "lstm": (_lstm, 4)}[call.name]
    option = () if call.name == "lstm" else options[:1]
    found: tuple[Tensor, ...] = operator(x, *states, *weights[:tensors], lengths, reverse, *option)
    return found


def slstm(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    n0: Tensor,
    m0: Tensor,
    weights: SLSTMWeights,
    lengths: Tensor | None = None,
    *,
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """An sLSTM over x (B, T, I) from h0, c0, n0 and m0 (B, H); without `weights.ih` I is 4H.

    Returns the outputs (B, T, H), zero past a row's length, and each row's last h, c, n and m. With `reverse` time runs
    from each row's own end to its start. Raises ValueError for lengths that do not fit.
    """
    y, h, c, n, m = _run("slstm", x, (h0, c0, n0, m0), weights, ragged.check(lengths, x), reverse)
    return y, h, c, n, m


def _always(*_: Any) -> bool:
    return True


_HALVES = (torch.bfloat16, torch.float16)

# In order of preference.
TABLE = {
    "linear_scan": [
        Path("native", diagonal_cpu.linear_scan, diagonal_cpu.fits),
        Path("reference", diagonal_reference.linear_scan, _always),
    ],
    "complex_scan": [
        Path("native", diagonal_cpu.complex_scan, diagonal_cpu.fits),
        Path("reference", diagonal_reference.complex_scan, _always),
    ],
    "gated_scan": [
        Path("native", diagonal_cpu.gated_scan, diagonal_cpu.fits_gated),
        Path("reference", partial(diagonal_reference.gated_scan, scan=linear_scan), _always),
    ],
    "linear": [
        Path("native", product.linear_native, product.fits),
        Path("torch", product.linear, product.fits),
        Path("reference", torch.nn.functional.linear, _always),
    ],
    "cross_entropy": [
        Path("native", losses.cross_entropy, losses.fits),
        Path("reference", losses.reference, _always),
    ],
    "memory": [
        Path("torch", memory_chunked.memory_chunked, _always),
        Path("reference", memory_reference.memory, _always),
    ],
    "rnn": [
        Path("native", dense_cpu.rnn, dense_cpu.fits_rnn),
        Path("native", dense_varied.rnn, dense_varied.fits_rnn),
        Path("torch", in_order(dense_aten.rnn), dense_aten.fits_rnn),
        Path("reference", in_order(dense_reference.rnn), _always),
    ],
    "gru": [
        Path("native", dense_cpu.gru, dense_cpu.fits_gru),
        Path("native", dense_varied.gru, dense_varied.fits_gru),
        Path("torch", in_order(dense_aten.gru), dense_aten.fits_gru),
        Path("reference", in_order(dense_reference.gru), _always),
    ],
    "lstm": [
        Path("native", dense_cpu.lstm, dense_cpu.fits_lstm),
        Path("native", dense_varied.lstm, dense_varied.fits_lstm),
        Path("torch", in_order(dense_aten.lstm), dense_aten.fits_lstm),
        Path("reference", in_order(dense_reference.lstm), _always),
    ],
    "slstm": [
        Path("native", dense_varied.slstm, dense_varied.fits_slstm),
        Path("reference", in_order(slstm_reference.slstm), _always),
    ],
}


# Plain layers: what the extension takes two of at once, and what compiled programs hold.
_ALONE = {"rnn": dense_cpu.rnn, "gru": dense_cpu.gru, "lstm": dense_cpu.lstm}
_PLAIN: dict[str, Callable[..., bool]] = {
    "rnn": dense_aten.plain_rnn,
    "gru": dense_aten.plain_gru,
    "lstm": dense_aten.plain_lstm,
}


def _run(name: str, *arguments: Any) -> Any:
    return _path(name, *arguments).run(*arguments)


def _path(name: str, *arguments: Any) -> Path:
    kinds = ("reference",) if _transformed() else _allowed()
    wanted = TABLE[name][0].kind == "native" and not os.environ.get("RECURRA_OPS")
    if wanted and not torch.compiler.is_compiling():
        native.say_if_missing()
    return next(path for path in TABLE[name] if path.kind in kinds and path.fits(*arguments))


def _allowed() -> tuple[str, ...]:
    """The kinds of paths that may be taken."""
    forced = os.environ.get("RECURRA_OPS", "")
    if forced not in ("", "reference", "torch", "native"):
        raise ValueError(f"RECURRA_OPS must be 'reference', 'torch' or 'native', not {forced!r}")
    if forced == "native" and not native.available():
        raise ValueError(
            "RECURRA_OPS=native, but the extension was not built; reinstall recurra with a C++ compiler"
        )
    if forced == "reference":
        return ("reference",)
    return (
        ("native", "torch", "reference")
        if native.available() and forced != "torch"
        else ("torch", "reference")
    )


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
