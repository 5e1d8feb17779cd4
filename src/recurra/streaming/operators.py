"""What each of torch's elementary operations becomes: a view, a constant, or instructions.

Only `lower.py` calls this. Legend: a stand-in is a tensor on the device `meta`; a tensor with numbers is a constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from operator import getitem
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from recurra.streaming.lower import Lowering

__all__ = ["apply"]

aten = torch.ops.aten


def apply(lowering: Lowering, op: Any, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """What `op(*arguments, **options)` gives: computed where it can be, written down where not.

    Raises NotImplementedError for an operation that the engine does not know.
    """
    if op is getitem or not any(
        _is_stand_in(each) for each in torch.utils._pytree.tree_leaves((arguments, options))
    ):
        return op(*arguments, **options)
    if op in FRESH:  # knows only the shape and type of what it is given
        made = op(*arguments, **options)
        return getattr(torch, FRESH[op])(made.shape)
    if op in VIEWS:
        return _view(lowering, op, arguments, options)
    if op in MAPS:
        return lowering.map(MAPS[op], *arguments)
    if str(op) == "recurra.attend.default":  # there only once recurra.ops.attention was imported
        return _attend(lowering, *arguments)
    if op in WRITTEN:
        return WRITTEN[op](lowering, *arguments, **options)
    raise NotImplementedError(f"the engine does not know the operation {op}, which this network uses")


def _is_stand_in(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_meta


FRESH = {aten.zeros_like.default: "zeros", aten.ones_like.default: "ones", aten.new_zeros.default: "zeros"}

VIEWS = {
    getattr(aten, name).default
    for name in (
        *(
            "view",
            "_unsafe_view",
            "reshape",
            "permute",
            "t",
            "unsqueeze",
            "expand",
            "alias",
            "detach",
            "squeeze",
        ),
        *("split_with_sizes", "chunk"),
    )
} | {
    aten.slice.Tensor,
    aten.select.int,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.transpose.int,
    aten.split.Tensor,
    aten.unbind.int,
}

MAPS = {
    aten.mul.Tensor: "multiply",
    aten.div.Tensor: "divide",
    aten.maximum.default: "maximum",
    aten.minimum.default: "minimum",
    aten.neg.default: "negative",
    aten.abs.default: "absolute",
    aten.sign.default: "sign",
    aten.exp.default: "exp",
    aten.expm1.default: "expm1",
    aten.log.default: "log",
    aten.log1p.default: "log1p",
    aten.sin.default: "sin",
    aten.cos.default: "cos",
    aten.sqrt.default: "sqrt",
    aten.rsqrt.default: "rsqrt",
    aten.reciprocal.default: "reciprocal",
    aten.sigmoid.default: "sigmoid",
    aten.tanh.default: "tanh",
    aten.relu.default: "relu",
    aten.where.self: "where",
    aten.lt.Scalar: "less",
    aten.lt.Tensor: "less",
    aten.gt.Scalar: "greater",
    aten.gt.Tensor: "greater",
}


def _view(lowering: Lowering, op: Any, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
    value, *rest = arguments
    if op in (aten.view.default, aten._unsafe_view.default, aten.reshape.default):
        try:
            return value.view(*rest)
        except RuntimeError:  # these strides cannot be seen so: torch's own tensor had others
            return lowering.map("copy", value).view(*rest)
    return op(value, *rest, **options)


def _clone(lowering: Lowering, x: Tensor, memory_format: Any = None) -> Tensor:
    return lowering.map("copy", x)


def _add(lowering: Lowering, x: Any, y: Any, alpha: float = 1) -> Tensor:
    return lowering.map("add", x, y if alpha == 1 else lowering.map("multiply", y, alpha))


def _subtract(lowering: Lowering, x: Any, y: Any, alpha: float = 1) -> Tensor:
    return lowering.map("subtract", x, y if alpha == 1 else lowering.map("multiply", y, alpha))


def _subtract_from(lowering: Lowering, x: Any, y: Any, alpha: float = 1) -> Tensor:
    return _subtract(lowering, y, x, alpha)


def _lerp(lowering: Lowering, x: Any, y: Any, weight: Any) -> Tensor:
    return lowering.map("add", x, lowering.map("multiply", weight, lowering.map("subtract", y, x)))


def _add_product(lowering: Lowering, x: Tensor, y: Tensor, z: Tensor, value: float = 1) -> Tensor:
    return _add(lowering, x, lowering.map("multiply", y, z), value)


def _silu(lowering: Lowering, x: Tensor) -> Tensor:
    return lowering.map("multiply", x, lowering.map("sigmoid", x))


def _softplus(lowering: Lowering, x: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    if beta == 1:
        return lowering.map("softplus", x)
    return lowering.map("divide", lowering.map("softplus", lowering.map("multiply", x, beta)), beta)


def _log_sigmoid(lowering: Lowering, x: Tensor) -> tuple[Tensor, None]:
    return lowering.map("negative", lowering.map("softplus", lowering.map("negative", x))), None


def _gelu(lowering: Lowering, x: Tensor, approximate: str = "none") -> Tensor:
    if approximate == "none":
        inner = lowering.map("erf", lowering.map("multiply", x, math.sqrt(0.5)))
    else:
        cube = lowering.map("multiply", x, lowering.map("multiply", x, x))
        sum_ = lowering.map("add", x, lowering.map("multiply", cube, 0.044715))
        inner = lowering.map("tanh", lowering.map("multiply", sum_, math.sqrt(2 / math.pi)))
    return lowering.map("multiply", lowering.map("multiply", x, 0.5), lowering.map("add", inner, 1.0))


def _elu(lowering: Lowering, x: Tensor, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Tensor:
    below = lowering.map("expm1", lowering.map("multiply", lowering.map("minimum", x, 0.0), input_scale))
    above = lowering.map("multiply", lowering.map("relu", x), scale)
    return lowering.map("add", above, lowering.map("multiply", below, alpha * scale))


def _power(lowering: Lowering, x: Tensor, exponent: float) -> Tensor:
    if exponent == 2:
        return lowering.map("multiply", x, x)
    if exponent in (0.5, -0.5, -1):
        return lowering.map({0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal"}[exponent], x)
    raise NotImplementedError(f"the engine does not know numbers to the power of {exponent}")


def _clamp(lowering: Lowering, x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    x = x if low is None else lowering.map("maximum", x, low)
    return x if high is None else lowering.map("minimum", x, high)


def _clamp_from_above(lowering: Lowering, x: Tensor, high: Any) -> Tensor:
    return _clamp(lowering, x, None, high)


def _join(lowering: Lowering, tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    tensors = [each for each in tensors if each.numel()]
    dim %= tensors[0].dim()
    sizes = [each.shape[dim] for each in tensors]
    shape = list(tensors[0].shape)
    shape[dim] = sum(sizes)
    out = lowering.new(shape)
    for part, each in zip(torch.split(out, sizes, dim), tensors, strict=True):
        lowering.loop("copy", part, [each])
    return out


def _stack(lowering: Lowering, tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    return _join(lowering, [each.unsqueeze(dim) for each in tensors], dim)


def _pad(lowering: Lowering, x: Tensor, pads: Sequence[int], value: float = 0.0) -> Tensor:
    for axis, (before, after) in enumerate(zip(pads[::2], pads[1::2], strict=True)):
        dim = x.dim() - 1 - axis
        sides = []
        for count in (before, after):
            shape = [*x.shape[:dim], count, *x.shape[dim + 1 :]]
            sides.append(torch.full(shape, value))
        x = _join(lowering, [sides[0], x, sides[1]], dim) if before or after else x
    return x


def _repeat(lowering: Lowering, x: Tensor, counts: Sequence[int]) -> Tensor:
    for dim, count in enumerate(counts):
        x = _join(lowering, [x] * count, dim) if count > 1 else x
    return x


def _flip(lowering: Lowering, x: Tensor, dims: Sequence[int]) -> Tensor:
    for dim in dims:
        x = _join(lowering, list(torch.split(x, 1, dim))[::-1], dim)
    return x


def _last(x: Tensor, dims: Sequence[int]) -> Tensor:
    """The same numbers, the axes `dims` behind all others as one, where strides allow it."""
    dims = [dim % x.dim() for dim in dims]
    kept = [dim for dim in range(x.dim()) if dim not in dims]
    moved = x.permute(*kept, *dims)
    return moved.view(*moved.shape[: len(kept)], math.prod(moved.shape[len(kept) :]))


def _reduce(lowering: Lowering, op: str, x: Tensor, dims: Sequence[int] | None, keepdim: bool) -> Tensor:
    dims = sorted(dim % x.dim() for dim in (dims or range(x.dim())))
    try:
        moved = _last(x, dims)
    except RuntimeError:
        moved = _last(lowering.map("copy", x), dims)
    shape = [1 if dim in dims else size for dim, size in enumerate(x.shape)]
    out = lowering.new(shape)
    lowering.loop(op, out.view(*moved.shape[:-1], 1).expand(moved.shape), [moved], keep=1)
    return out if keepdim else out.view([size for dim, size in enumerate(shape) if dim not in dims])


def _sum(lowering: Lowering, x: Tensor, dims: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    return _reduce(lowering, "sum", x, dims, keepdim)


def _mean(
    lowering: Lowering, x: Tensor, dims: Any = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    count = math.prod(x.shape[dim] for dim in (dims or range(x.dim())))
    return lowering.map("multiply", _sum(lowering, x, dims, keepdim), 1.0 / count)


def _greatest(lowering: Lowering, x: Tensor, dims: Any = (), keepdim: bool = False) -> Tensor:
    return _reduce(lowering, "greatest", x, dims, keepdim)


def _along(op: str) -> Callable[..., Tensor]:
    """An operation that turns the numbers along one axis into as many others."""

    def write(lowering: Lowering, x: Tensor, dim: int, *rest: Any, **options: Any) -> Tensor:
        out = lowering.new(x.shape)
        lowering.loop(op, out.transpose(dim, -1), [x.transpose(dim, -1)], keep=1)
        return out

    return write


def _normalize(
    lowering: Lowering, x: Tensor, shape: Sequence[int], gain: Any, bias: Any, eps: float
) -> tuple[Tensor, None, None]:
    x = lowering.straight(x)
    flat = x.view(*x.shape[: x.dim() - len(shape)], math.prod(shape))
    out = lowering.new(flat.shape)
    lowering.loop("normalize", out, [flat, eps], keep=1)
    y = out.view(x.shape)
    y = y if gain is None else lowering.map("multiply", y, gain)
    return y if bias is None else lowering.map("add", y, bias), None, None


def _group_norm(
    lowering: Lowering, x: Tensor, gain: Any, bias: Any, rows: int, channels: int, *rest: Any
) -> tuple[Tensor, None, None]:
    space, groups, eps = rest
    y = _normalize(
        lowering, lowering.straight(x).view(groups, -1), [channels // groups * space], None, None, eps
    )
    out = y[0].view(1, channels, space)
    out = out if gain is None else lowering.map("multiply", out, gain[:, None])
    out = out if bias is None else lowering.map("add", out, bias[:, None])
    return out.view(x.shape), None, None


def _product(lowering: Lowering, weight: Tensor, x: Tensor, out: Tensor, bias: Tensor | None = None) -> None:
    """Out (O,) = weight (O, I) times x (I,), plus the bias."""
    lowering.emit(
        "linear", out, [lowering.straight(x), *([] if bias is None else [bias])], [lowering.matrix(weight)]
    )


def _matrix_product(lowering: Lowering, a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """A (M, K) times b (K, N)."""
    out = lowering.new((a.shape[0], b.shape[1]))
    if not b.is_meta and a.shape[0] <= FEW:
        for x, y in zip(a, out, strict=True):
            _product(lowering, b.t(), x, y, bias)
        return out
    if not a.is_meta and b.shape[1] == 1:
        _product(lowering, a, b[:, 0], out[:, 0])
        return out if bias is None else lowering.map("add", out, bias)
    _contract(lowering, a[None], b[None], out[None])
    return out if bias is None else lowering.map("add", out, bias)


FEW = 64  # rows of one row that share a matrix: heads, steps of a window


def _matrix_products(lowering: Lowering, a: Tensor, b: Tensor) -> Tensor:
    """A (G, M, K) times b (G, K, N), each of the G on its own."""
    out = lowering.new((a.shape[0], a.shape[1], b.shape[2]))
    if not b.is_meta and a.shape[1] == 1:
        for x, weight, y in zip(a, b, out, strict=True):
            _product(lowering, weight.t(), x[0], y[0])
    elif not a.is_meta and b.shape[2] == 1:
        for weight, x, y in zip(a, b, out, strict=True):
            _product(lowering, weight, x[:, 0], y[:, 0])
    else:
        _contract(lowering, a, b, out)
    return out


def _contract(lowering: Lowering, a: Tensor, b: Tensor, out: Tensor) -> None:
    shape = (*out.shape, a.shape[2])
    ins = [(each if each.is_meta else lowering.constant(each)) for each in (a, b)]
    lowering.loop(
        "contract",
        out[..., None].expand(shape),
        [ins[0][:, :, None].expand(shape), ins[1].transpose(1, 2)[:, None].expand(shape)],
        keep=4,
    )


def _biased_product(
    lowering: Lowering, bias: Tensor, a: Tensor, b: Tensor, beta: float = 1, alpha: float = 1
) -> Tensor:
    if beta != 1 or alpha != 1:
        raise NotImplementedError("the engine does not know addmm with factors")
    vector = bias if bias.dim() == 1 and not bias.is_meta else None
    if vector is not None and not b.is_meta:
        return _matrix_product(lowering, a, b, vector)
    return lowering.map("add", _matrix_product(lowering, a, b), bias)


def _embedding(lowering: Lowering, weight: Tensor, tokens: Tensor, *rest: Any) -> Tensor:
    number = lowering.token(tokens)
    if number is None or weight.is_meta:
        raise NotImplementedError("the engine reads an embedding only at an input's token")
    out = lowering.new((*tokens.shape, weight.shape[1]))
    lowering.emit("embed", out.view(-1), [], [lowering.matrix(weight), number])
    return out


def _attend(
    lowering: Lowering, query: Tensor, keys: Tensor, values: Tensor, lengths: Tensor, heads: int
) -> Tensor:
    """A program has one memory, its first."""
    out = lowering.new((*query.shape[:-1], values.shape[-1]))
    lowering.emit("attend", out.view(-1), [lowering.straight(query).view(-1)], [0, heads])
    return out


WRITTEN: dict[Any, Callable[..., Any]] = {
    aten.add.Tensor: _add,
    aten.add.Scalar: _add,
    aten.add_.Scalar: _add,
    aten.add_.Tensor: _add,
    aten.addcmul.default: _add_product,
    aten.sub.Tensor: _subtract,
    aten.rsub.Scalar: _subtract_from,
    aten.clone.default: _clone,
    aten.lerp.Tensor: _lerp,
    aten.lerp.Scalar: _lerp,
    aten.silu.default: _silu,
    aten.softplus.default: _softplus,
    aten.log_sigmoid_forward.default: _log_sigmoid,
    aten.gelu.default: _gelu,
    aten.elu.default: _elu,
    aten.pow.Tensor_Scalar: _power,
    aten.clamp.default: _clamp,
    aten.clamp_min.default: _clamp,
    aten.clamp_max.default: _clamp_from_above,
    aten.cat.default: _join,
    aten.stack.default: _stack,
    aten.constant_pad_nd.default: _pad,
    aten.repeat.default: _repeat,
    aten.flip.default: _flip,
    aten.sum.dim_IntList: _sum,
    aten.sum.default: _sum,
    aten.mean.dim: _mean,
    aten.amax.default: _greatest,
    aten.cumsum.default: _along("cumulate"),
    aten._softmax.default: _along("softmax"),
    aten._log_softmax.default: _along("log_softmax"),
    aten.native_layer_norm.default: _normalize,
    aten.native_group_norm.default: _group_norm,
    aten.mm.default: _matrix_product,
    aten.bmm.default: _matrix_products,
    aten.addmm.default: _biased_product,
    aten.embedding.default: _embedding,
}
