"""Matrices as the engine stores them (native/engine/weights.hpp), and what the engine makes of them, in NumPy.

A matrix (out, in) is cut into panels of 32 outputs; the last one, and `in` where a format takes it in groups, are
filled up with zeros. A weight is q · scale in int8, with a scale for each output, and in int4, with one for each group
of 32 inputs.

Legend: P panels, G groups of 32 inputs.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

__all__ = ["FORMATS", "Format", "pack", "product", "quantize", "unpack"]

Format = Literal["float32", "float16", "int8", "int4"]
FORMATS: tuple[Format, ...] = get_args(Format)

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

PANEL = 32
GROUP = 32
LEAST, MOST = np.float32(2.0**-100), np.float32(2.0**100)  # between them scales and sums are normal numbers
MOST_OUT, MOST_IN = 2**28, 2**17
LINE, LARGE_PAGE = 64, 2 << 20  # bytes

# The scales that int4 tries, in units of the one that makes -8 of a group's largest number: smaller ones cut that
# off and serve the others better, 8/7 leaves room on both sides.
FACTORS = np.linspace(0.8, 8 / 7, 8)


def pack(matrix: Floats, format: Format) -> tuple[Bytes, Bytes | None]:
    """Pack a matrix (out, in): its weights' bytes, and its scales' in int8 and int4.

    In int8 and int4 rows (groups) whose numbers are all below 2⁻¹⁰⁰ become zero.

    Raises ValueError where the matrix is too large, or has numbers that the format has no place for: NaN, infinity and
    what is beyond 2¹⁰⁰ in int8 and int4, what would become infinite in float16.
    """
    matrix = _checked(matrix, format)
    if format in ("float32", "float16"):
        return _bytes(_panels(matrix, 1).transpose(0, 2, 1).astype(format)), None
    if format == "int8":
        panels = _panels(matrix, 4)
        q, scales = _int8(panels)
        quads = q.reshape(len(panels), PANEL, panels.shape[2] // 4, 4).transpose(0, 2, 1, 3)
        return _bytes(quads), _bytes(scales)
    panels = _panels(matrix, GROUP)
    count = panels.shape[2] // GROUP
    weights = np.empty((len(panels), count, 4, PANEL, 4), np.uint8)
    scales16 = np.empty((len(panels), count, PANEL // 2, 2), np.uint16)
    for i, panel in enumerate(
        panels
    ):  # one after another, for the search takes several times a matrix's memory
        q, scale = _int4(panel.reshape(PANEL, count, GROUP))
        halves = (q + 8).astype(np.uint8).reshape(PANEL, count, 2, 4, 4)
        weights[i] = (halves[:, :, 0] | halves[:, :, 1] << 4).transpose(1, 2, 0, 3)
        scales16[i] = scale.reshape(2, PANEL // 2, count).transpose(2, 1, 0)
    return _bytes(weights), _bytes(scales16)


def unpack(weights: Bytes, scales: Bytes | None, format: Format, shape: tuple[int, int]) -> Floats:
    """The matrix (out, in) that the engine computes with: each q times its scale, to the last bit.

    Raises ValueError where there are more or fewer bytes than a matrix of that shape has.
    """
    out, inputs = shape
    q, scale = _quantized(weights, scales, format, shape)
    values = q.astype(np.float32) if scale is None else q.astype(np.float32) * scale
    return np.ascontiguousarray(values.reshape(len(q), q.shape[1] * q.shape[2])[:out, :inputs])


def quantize(x: Floats) -> tuple[NDArray[np.int32], Floats]:
    """Rows x (B, in) in int8, as integers, and each row's scale (B,): NaN where a row holds NaN or infinity."""
    x = np.asarray(x, np.float32)
    size = np.abs(x).max(axis=1, initial=0.0)
    whole = np.isfinite(size)
    some = whole & (size >= LEAST)
    scale = np.where(some, size / np.float32(127), np.where(whole, np.float32(0), np.float32(np.nan)))
    inverse = np.divide(np.float32(127), size, out=np.zeros_like(size), where=some)
    q = np.rint(np.where(some[:, None], x, np.float32(0)) * inverse[:, None]).astype(np.int32)
    return q, scale.astype(np.float32)


def product(
    weights: Bytes,
    scales: Bytes | None,
    format: Format,
    shape: tuple[int, int],
    x: Floats,
    bias: Floats | None = None,
    add: Floats | None = None,
) -> NDArray[np.float64]:
    """What the engine's product is but for float32's rounding: x Wᵀ + bias + add, (B, out), with x in int8 where W is.

    Args:
        weights, scales, format, shape: as for `unpack`.
        x: rows, (B, in).
        bias: (out,); added to every row.
        add: (B, out).
    """
    out, inputs = shape
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity in x
        q, scale = _quantized(weights, scales, format, shape)
        if scale is None:
            y = x.astype(np.float64) @ q.reshape(len(q), inputs)[:out].astype(np.float64).T
        else:
            whole, x_scale = quantize(x)
            groups = np.pad(whole, ((0, 0), (0, q.shape[1] * q.shape[2] - inputs))).reshape(
                len(x), *q.shape[1:]
            )
            sums = np.einsum("bgk,ogk->bog", groups, q.astype(np.int32))  # of integers: exact
            y = (sums * scale[..., 0].astype(np.float64)).sum(axis=2)[:, :out] * x_scale[:, None]
        for each in (bias, add):
            if each is not None:
                y = y + each
    return y


def _checked(matrix: Floats, format: Format) -> Floats:
    """The matrix in float32, if `format` has a place for it."""
    if format not in FORMATS:
        raise ValueError(f"weights are {', '.join(FORMATS)}, not {format!r}")
    matrix = np.asarray(matrix, np.float32)
    if matrix.ndim != 2 or matrix.shape[0] > MOST_OUT or matrix.shape[1] > MOST_IN:
        raise ValueError(f"a matrix is (out, in), at most ({MOST_OUT}, {MOST_IN}), not {matrix.shape}")
    size = np.abs(matrix).max(initial=0.0)
    if format in ("int8", "int4") and not size <= MOST:
        raise ValueError(
            f"{format} has no place for NaN, infinity and numbers beyond {MOST:.3g}, such as {size}"
        )
    with np.errstate(over="ignore"):
        if format == "float16" and not np.array_equal(
            np.isfinite(matrix.astype(np.float16)), np.isfinite(matrix)
        ):
            raise ValueError(f"float16 has no place for numbers beyond 65504, such as {size}")
    return matrix


def _panels(matrix: Floats, group: int) -> Floats:
    """(P, 32, in): filled up with zeros, `in` to a multiple of `group`."""
    out, inputs = matrix.shape
    filled = np.pad(matrix, ((0, -out % PANEL), (0, -inputs % group)))
    return filled.reshape(-(-out // PANEL), PANEL, filled.shape[1])


def _int8(rows: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Each q of (…, in) and the scales (…)."""
    size = np.abs(rows).max(axis=-1, initial=0.0)
    scale = np.where(size >= LEAST, size / np.float32(127), np.float32(0))
    q = np.divide(rows, scale[..., None], out=np.zeros_like(rows), where=scale[..., None] > 0)
    return np.rint(q).astype(np.int8), scale


def _int4(groups: Floats) -> tuple[NDArray[np.int8], NDArray[np.uint16]]:
    """Each q of (…, 32) and the scales (…), bfloat16: of several scales the one with the least squared error."""
    w = groups.astype(np.float64)
    largest = np.take_along_axis(w, np.abs(w).argmax(axis=-1)[..., None], -1)
    some = np.abs(largest) >= LEAST
    best_q, best_scale = np.zeros(w.shape), np.zeros(largest.shape, np.uint16)
    least = np.full(largest.shape, np.inf)
    for factor in FACTORS:
        first = np.where(some, largest / -8 * factor, 1.0)
        q = np.clip(np.rint(w / first), -8, 7)
        # The scale that suits these q best; some q is not zero, for the largest number's is not.
        scale = _bfloat16(
            np.where(some, (w * q).sum(-1, keepdims=True) / np.maximum((q * q).sum(-1, keepdims=True), 1), 0)
        )
        error = np.square(w - q * _float32(scale)).sum(-1, keepdims=True)
        better = error < least
        best_q, best_scale = np.where(better, q, best_q), np.where(better, scale, best_scale)
        least = np.where(better, error, least)
    return np.where(some, best_q, 0).astype(np.int8), best_scale[..., 0]


def _bfloat16(x: NDArray[np.float64]) -> NDArray[np.uint16]:
    """The upper half of each as a float32 number, rounded to nearest, ties to even."""
    bits = x.astype(np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def _float32(upper: NDArray[np.uint16]) -> Floats:
    return (upper.astype(np.uint32) << 16).view(np.float32)


def _bytes(array: NDArray[Any]) -> Bytes:
    """Its bytes from the beginning of a cache line on, or of a large page where they fill some: read fastest so."""
    alignment = LARGE_PAGE if array.nbytes >= 2 * LARGE_PAGE else LINE
    room = np.empty(array.nbytes + alignment, np.uint8)
    begin = -room.ctypes.data % alignment
    made = room[begin : begin + array.nbytes]
    made.view(array.dtype).reshape(array.shape)[...] = array
    return made


def _quantized(
    weights: Bytes, scales: Bytes | None, format: Format, shape: tuple[int, int]
) -> tuple[NDArray[Any], Floats | None]:
    """Each q (32 P, G, in / G) and the scales (32 P, G, 1), int8 as one group; in float32 and float16 numbers, None."""
    out, inputs = shape
    panels, groups = -(-out // PANEL), -(-inputs // GROUP)
    if format in ("float32", "float16"):
        numbers = _viewed(weights, format, (panels, inputs, PANEL))
        return numbers.transpose(0, 2, 1).reshape(panels * PANEL, 1, inputs), None
    if scales is None:
        raise ValueError(f"{format} weights have scales")
    if format == "int8":
        quads = _viewed(weights, "int8", (panels, -(-inputs // 4), PANEL, 4))
        scale8: Floats = _viewed(scales, "float32", (panels * PANEL, 1, 1))
        return quads.transpose(0, 2, 1, 3).reshape(panels * PANEL, 1, -(-inputs // 4) * 4), scale8
    both = _viewed(weights, "uint8", (panels, groups, 4, PANEL, 4)).transpose(0, 3, 1, 2, 4)
    q = np.stack((both & 15, both >> 4), axis=3).astype(np.int8) - np.int8(8)  # (P, 32, G, half, 4, 4)
    scale = _float32(_viewed(scales, "uint16", (panels, groups, PANEL // 2, 2)).transpose(0, 3, 2, 1))
    return q.reshape(panels * PANEL, groups, GROUP), scale.reshape(panels * PANEL, groups, 1)


def _viewed(array: Bytes, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """The bytes as numbers of `dtype`; ValueError where they are not those of `shape`."""
    expected = math.prod(shape) * np.dtype(dtype).itemsize
    if array.size != expected:
        raise ValueError(f"{expected} bytes belong to a matrix of this shape, not {array.size}")
    return array.view(dtype).reshape(shape)
