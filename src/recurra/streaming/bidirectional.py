"""Stacks with bidirectional layers, run without torch: each layer is one program or a pair of them.

    layers = Layers(pack_layers(network))          # recurra.streaming.pack_layers; the programs are saved with a model
    outputs = layers.read([x, ...])                # whole sequences, each as long as it is

A layer that reads from both ends needs the whole sequence, so it has no sessions: its programs run over all of it, the
second from the end. `recurra.networks.Recurrent` says what a stack is.

Legend: T steps, I inputs, O outputs of the last layer, R rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import ModelError, UsageError
from recurra.streaming.packed import Packed
from recurra.streaming.run import Engine

__all__ = ["Layers"]

Floats = NDArray[np.float32]

ROWS = 64  # that go through a layer together: a bound on memory
PARTS = ("ahead", "back", "norm")  # forwards, from the end, and what normalizes what leaves the layer
_AGAIN = "Pack the model again with: recurra pack."


class Layers:
    """The packed layers of a stack.

    Parameters
    ----------
    programs: what `recurra.streaming.pack_layers.pack_layers` gave, by its names.
    threads: of each layer's engine; a step of a small network is over before threads have met.

    Raises ModelError where they are not the layers of one stack.
    """

    def __init__(self, programs: Mapping[str, Packed], *, threads: int = 1) -> None:
        self.programs = dict(programs)
        self._count, self._threads = _check(programs), threads
        self.input_size = _sizes(programs["0.ahead"])[0]
        last = [f"{self._count - 1}.{part}" for part in PARTS[:2]]
        self.output_size = sum(_sizes(programs[name])[1] for name in last if name in programs)

    @cached_property
    def _engines(self) -> dict[str, Engine]:
        return {name: Engine(each, threads=self._threads) for name, each in self.programs.items()}

    def __getstate__(self) -> dict[str, Any]:
        """All but the engines: each process, and each copy, has its own."""
        return {name: value for name, value in vars(self).items() if name != "_engines"}

    def read(self, sequences: Sequence[Floats]) -> list[Floats]:
        """The outputs (T, O) of whole sequences (T, I), which may have no steps.

        A sequence's outputs are the same to the last bit whatever stands beside it. Raises UsageError for a sequence of
        another width.
        """
        found = [np.ascontiguousarray(each, np.float32) for each in sequences]
        for each in found:
            if each.ndim != 2 or each.shape[1] != self.input_size:
                raise UsageError(f"a sequence is (T, {self.input_size})", value=each.shape)
        order = sorted(range(len(found)), key=lambda row: -len(found[row]))
        outputs: list[Floats] = [np.empty((0, self.output_size), np.float32)] * len(found)
        for start in range(0, len(order), ROWS):
            rows = order[start : start + ROWS]
            for row, y in zip(rows, self._read([found[row] for row in rows]), strict=True):
                outputs[row] = y
        return outputs

    def _read(self, xs: list[Floats]) -> list[Floats]:
        """`read` of sequences by falling length."""
        for number in range(self._count):
            ys = _run(self._engines[f"{number}.ahead"], xs)
            if f"{number}.back" in self._engines:
                back = _run(self._engines[f"{number}.back"], [x[::-1] for x in xs])
                ys = [np.concatenate([y, z[::-1]], 1) for y, z in zip(ys, back, strict=True)]
            if number and self.programs[f"{number}.ahead"].description["about"]["residual"]:
                ys = [x + y for x, y in zip(xs, ys, strict=True)]
            if f"{number}.norm" in self._engines:
                ys = _run(self._engines[f"{number}.norm"], ys)
            xs = ys
        return xs


def _run(engine: Engine, xs: Sequence[Floats]) -> list[Floats]:
    """A program's outputs (T, …) over sequences by falling length: one alone at once, more of them step by step."""
    if len(xs) == 1:
        with engine.session() as session:
            return [session.read(xs[0], every=True)]
    lengths = np.array([len(x) for x in xs])
    steps = int(lengths[0]) if len(lengths) else 0
    entering = np.zeros((steps, len(xs), xs[0].shape[1]), np.float32)
    for row, x in enumerate(xs):
        entering[: len(x), row] = x
    leaving = np.zeros((steps, len(xs), _sizes(engine.packed)[1]), np.float32)
    sessions = [engine.session() for _ in xs]
    try:
        for t in range(steps):
            n = int(np.count_nonzero(lengths > t))
            leaving[t, :n] = engine.step(sessions[:n], entering[t, :n])
    finally:
        for each in sessions:
            each.close()
    return [np.ascontiguousarray(leaving[:length, row]) for row, length in enumerate(lengths)]


def _sizes(packed: Packed) -> tuple[int, int]:
    """How many numbers a step takes and gives."""
    known = packed.description
    return known["inputs"][0][1], math.prod(known["outputs"][0][1])


def _check(programs: Mapping[str, Packed]) -> int:
    """How many layers there are; ModelError unless the programs fit together."""
    count = sum(name.endswith(".ahead") for name in programs)
    known = {f"{number}.{part}" for number in range(count) for part in PARTS}
    if strange := sorted(programs.keys() - known):
        raise ModelError("this is no layer of a stack", value=strange[0], hint=_AGAIN)
    if not count or any(f"{number}.ahead" not in programs for number in range(count)):
        raise ModelError("a stack has layers 0, 1, …", value=", ".join(sorted(programs)), hint=_AGAIN)
    for name, each in programs.items():
        shapes = each.description
        if [offset is None for _, _, offset in shapes["inputs"]] != [False] or len(shapes["outputs"]) != 1:
            raise ModelError(f"layer {name} is not one of numbers to numbers", hint=_AGAIN)
        if type(shapes["about"].get("residual")) is not bool:
            raise ModelError(f"layer {name} does not say whether it is residual", hint=_AGAIN)
    width = _sizes(programs["0.ahead"])[0]
    for number in range(count):
        sizes = [_sizes(programs[f"{number}.{p}"]) for p in PARTS[:2] if f"{number}.{p}" in programs]
        given = sum(out for _, out in sizes)
        norm = programs.get(f"{number}.norm")
        residual = number > 0 and programs[f"{number}.ahead"].description["about"]["residual"]
        fits = all(taken == width for taken, _ in sizes) and (not residual or given == width)
        if not fits or (norm is not None and _sizes(norm) != (given, given)):
            raise ModelError(f"layer {number} does not fit the one below", value=sizes, hint=_AGAIN)
        width = given
    return count
