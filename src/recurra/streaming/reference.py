"""What a program means, in NumPy: slow, obvious, and what the engine is tested against."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from recurra.streaming.program import Instruction, Place, Program

__all__ = ["ALONG", "MAPS", "REDUCTIONS", "Reference"]

Numbers = NDArray[np.floating[Any]]

_erf = np.vectorize(math.erf, otypes=[np.float64])

MAPS: dict[str, Callable[..., Any]] = {
    "copy": lambda x: x,
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "less": np.less,
    "greater": np.greater,
    "where": lambda condition, x, y: np.where(condition != 0, x, y),
    "negative": np.negative,
    "absolute": np.abs,
    "sign": lambda x: np.sign(np.nan_to_num(x)),  # as torch: 0 of NaN
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "erf": _erf,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "reciprocal": np.reciprocal,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "softplus": lambda x: np.logaddexp(x, 0),
}


def _softmax(x: Numbers) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _log_softmax(x: Numbers) -> Any:
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _normalize(x: Numbers, eps: Numbers) -> Any:
    centered = x - x.mean(-1, keepdims=True)
    return centered / np.sqrt((centered**2).mean(-1, keepdims=True) + eps[..., :1])


# Of the numbers along the last axis: as many others …
ALONG: dict[str, Callable[..., Any]] = {
    "cumulate": lambda x: np.cumsum(x, -1),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "normalize": _normalize,
}
# … or one.
REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": lambda x: x.sum(-1),
    "greatest": lambda x: x.max(-1),
    "contract": lambda x, y: (x * y).sum(-1),
}


class Reference:
    """Rows of a program, each with a state of its own, all moved on together.

    `dtype` is the type that everything is computed in. Raises ValueError for inputs that do not fit.
    """

    def __init__(self, program: Program, rows: int, dtype: Any = np.float32) -> None:
        self.program = program
        self._frame = np.full((rows, program.frame), np.nan, dtype)
        self._constants = np.broadcast_to(program.constants.astype(dtype), (rows, program.constants.size))
        self._matrices = [each.astype(dtype) for each in program.matrices]
        self.state = np.tile(program.initial.astype(dtype), (rows, 1))
        self.memories: list[tuple[Numbers, Numbers, NDArray[np.int64]]] = []
        self._tokens: dict[int, NDArray[np.int64]] = {}

    def step(self, *inputs: Any) -> list[Numbers]:
        """One step of all rows: of each input (rows, …), then the outputs (rows, …)."""
        for number, (known, value) in enumerate(zip(self.program.inputs, inputs, strict=True)):
            value = np.asarray(value)
            if known.offset is None:
                if value.min(initial=0) < 0 or value.max(initial=0) >= known.size:
                    raise ValueError(f"{known.name} takes tokens 0 … {known.size - 1}, not {value}")
                self._tokens[number] = value
            else:
                flat = value.reshape(len(value), -1)
                self._frame[:, known.offset : known.offset + known.size] = flat
        for each in self.program.instructions:
            self._run(each)
        for leaf in self.program.leaves:
            self.state[:, leaf.offset : leaf.offset + leaf.size] = self._frame[
                :, leaf.after : leaf.after + leaf.size
            ]
        return [self._at(each).copy() for each in self.program.outputs]

    def _at(self, place: Place) -> Numbers:
        numbers = {"frame": self._frame, "state": self.state, "constants": self._constants}[place.space]
        size = numbers.itemsize
        return as_strided(
            numbers[:, place.offset :],
            (len(numbers), *place.shape),
            (numbers.strides[0], *(stride * size for stride in place.strides)),
        )

    def _run(self, each: Instruction) -> None:
        ins = [self._at(place) for place in each.ins]
        out = self._at(each.out)
        if each.op in MAPS:
            out[...] = MAPS[each.op](*ins)
        elif each.op in ALONG:
            out[...] = ALONG[each.op](*ins)
        elif each.op in REDUCTIONS:
            out[..., 0] = REDUCTIONS[each.op](*ins)
        elif each.op == "linear":
            y = ins[0] @ self._matrices[each.numbers[0]].T
            out[...] = sum(ins[1:], start=y)
        elif each.op == "embed":
            matrix, number = each.numbers
            out[...] = self._matrices[matrix][self._tokens[number]]
        elif each.op == "attend":
            self._attend(out, ins[0], *each.numbers)
        else:
            raise ValueError(f"there is no operation {each.op}")

    def _attend(self, out: Numbers, query: Numbers, memory: int, heads: int) -> None:
        keys, values, lengths = self.memories[memory]
        for row, length in enumerate(lengths):
            out[row] = _read(query[row], keys[row, :length], values[row, :length], heads)


def _read(query: Numbers, keys: Numbers, values: Numbers, heads: int) -> Numbers:
    """Scaled dot-product attention of one query (Q,) over keys (M, Q) and values (M, V); zeros where there are none."""
    if not len(keys):
        return np.zeros(values.shape[1], values.dtype)
    read: Sequence[Numbers] = [
        _softmax(k @ q / math.sqrt(len(q))) @ v
        for q, k, v in zip(
            np.split(query, heads), np.split(keys, heads, 1), np.split(values, heads, 1), strict=True
        )
    ]
    return np.concatenate(read)
