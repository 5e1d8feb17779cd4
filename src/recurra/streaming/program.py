"""A network as a program: a list of instructions over numbers, for one row, that needs neither torch nor the network.

The engine (native/engine) runs such a program for many rows at once; `recurra.streaming.reference` runs it in NumPy.
A row's numbers live in three places: its `frame`, which lasts for one step; its session's `state`; and the
`constants`, which all share. Matrices, which are large, stand apart (`recurra.streaming.weights`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

import numpy as np

from recurra.errors import UsageError

__all__ = ["AXES", "Input", "Instruction", "Leaf", "Place", "Program", "Section", "Space", "places", "row"]

AXES = 4  # an instruction loops over at most as many axes
Space = Literal["frame", "state", "constants"]


class Place(NamedTuple):
    """Numbers somewhere: (i, j, …) of `shape` stands at offset + i·strides[0] + j·strides[1] + … of its space."""

    space: Space
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Instruction(NamedTuple):
    """What is done, to what, and where the result goes; `numbers` say what else the operation needs.

    The operations that loop (`reference.MAPS` and those that reduce) see every place with the same number of axes:
    a stride of 0 repeats a number. The others are

    - linear: `out` = matrix numbers[0] times ins[0], plus ins[1] and ins[2] where they are there;
    - embed: `out` = the row of matrix numbers[0] that the token of input numbers[1] names;
    - attend: `out` = what the query ins[0] reads from memory numbers[0] with numbers[1] heads.
    """

    op: str
    out: Place
    ins: tuple[Place, ...]
    numbers: tuple[int, ...] = ()


class Input(NamedTuple):
    """What a step takes: numbers, written into the frame at `offset`, or a token below `size` where that is None."""

    name: str
    size: int
    offset: int | None


class Leaf(NamedTuple):
    """A tensor of the state: where it stands there, and where in the frame a step leaves what replaces it."""

    name: str
    shape: tuple[int, ...]
    offset: int
    after: int

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


class Section(NamedTuple):
    """Instructions `first` … `last` - 1, and the leaves of the state that are replaced behind them.

    Where there are leaves, the section must be run step by step; else it knows no step but its own. A section whose
    `ends` is true serves only the outputs: of a prompt it is needed for the last token alone.
    """

    first: int
    last: int
    leaves: tuple[int, ...]
    ends: bool


@dataclass
class Program:
    """Instructions in the order of sections, and all that they need."""

    inputs: list[Input]
    outputs: list[Place]
    leaves: list[Leaf]
    instructions: list[Instruction]
    sections: list[Section]
    matrices: list[np.ndarray]  # (out, in), float32
    constants: np.ndarray  # float32
    initial: np.ndarray  # float32: the state of a session that begins
    frame: int  # how many numbers a row's frame holds
    memories: list[tuple[int, int]] = field(default_factory=list)  # how wide keys and values are


def places(instruction: Instruction) -> Sequence[Place]:
    """All places of an instruction, the result's first."""
    return (instruction.out, *instruction.ins)


def row(each: Instruction, op: int) -> list[int]:
    """An instruction as the engine reads it, whole numbers: axes are filled up from the left."""
    if each.op in ("linear", "embed", "attend"):  # vectors that may differ in length
        shape = [1] * AXES
    else:
        shape = [1] * (AXES - len(each.out.shape)) + list(each.out.shape)
    made = [op, len(each.ins), *shape]
    for place in places(each):
        made += _place(place, vector=each.op in ("linear", "embed", "attend"))
    made += [0] * (2 + AXES) * (3 - len(each.ins))
    return [*made, *each.numbers, *[0] * (2 - len(each.numbers))]


def _place(place: Place, vector: bool) -> list[int]:
    strides = [0] * (AXES - len(place.strides)) + list(place.strides)
    if vector:
        if place.shape[:-1] and math.prod(place.shape[:-1]) != 1:
            raise UsageError("a product takes and gives a vector", value=place.shape)
        strides = [0] * (AXES - 1) + [1]
    return [get_args(Space).index(place.space), place.offset, *strides]
