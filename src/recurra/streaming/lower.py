"""From a network to its program: the network runs once on stand-ins for one row, and what it does is written down.

torch traces the step into its elementary operations. What depends on parameters alone is computed at once; what only
looks at numbers from another side (views) costs nothing, for a place has strides; the rest becomes instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functionalize
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

from recurra.streaming import operators
from recurra.streaming.arrange import arrange
from recurra.streaming.program import AXES, Input, Instruction, Leaf, Place, Program, Space

__all__ = ["Lowering", "lower"]

ALIGNMENT = 16  # numbers: a value begins at a cache line


def lower(
    step: Callable[..., tuple[Tensor, ...]],
    inputs: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    vocabulary: int | Mapping[str, int] = 0,
    memory: Sequence[Tensor] | None = None,
) -> Program:
    """The program of `step(*inputs, *state, *memory) -> (*outputs, *state after)`, for one row.

    Every tensor has one row. An integer input is a token below `vocabulary`, one number for all or one for each name;
    `memory` is what attention reads, keys, values and their number. Raises NotImplementedError for an operation that
    the engine does not know, naming it.
    """
    memory = memory or ()
    with torch.no_grad():
        traced = make_fx(functionalize(step, remove="mutations"))(*inputs.values(), *state.values(), *memory)
    traced.graph.eliminate_dead_code()
    lowering = Lowering()
    sizes = dict.fromkeys(inputs, vocabulary) if isinstance(vocabulary, int) else vocabulary
    entering = [lowering.input(name, each, sizes.get(name, 0)) for name, each in inputs.items()]
    entering += [lowering.leaf(name, each) for name, each in state.items()]
    entering += [each.to("meta") for each in memory]
    leaving = lowering.run(traced, entering)
    outputs, after = leaving[: len(leaving) - len(state)], leaving[len(leaving) - len(state) :]
    widths = [(memory[0].shape[-1], memory[1].shape[-1])] if memory else []
    return lowering.finish(outputs, list(state.items()), after, widths)


class Lowering:
    """The program as it grows: where the numbers behind each stand-in are, and what was written down.

    A stand-in is a tensor on torch's device `meta`: it has a shape and strides, and no numbers.
    """

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []
        self.matrices: list[np.ndarray] = []
        self.inputs: list[Input] = []
        self._frame = 0
        self._state = 0
        self._constants: list[np.ndarray] = []
        self._shared: dict[Any, int] = {}  # constants and matrices that are there already
        self._homes: dict[int, tuple[Space, int]] = {}  # of the storage of each stand-in
        self._tokens: dict[int, int] = {}
        self._alive: list[Tensor] = []  # a storage's address is its name as long as it lives

    def input(self, name: str, example: Tensor, vocabulary: int) -> Tensor:
        """A stand-in for an input."""
        if example.is_floating_point():
            value = self.new(example.shape)
            self.inputs.append(Input(name, example.numel(), self.place(value).offset))
            return value
        value = torch.empty_like(example, device="meta")
        self._alive.append(value)
        self._tokens[_storage(value)] = len(self.inputs)
        self.inputs.append(Input(name, vocabulary, None))
        return value

    def leaf(self, name: str, example: Tensor) -> Tensor:
        """A stand-in for a tensor of the state."""
        value = torch.empty(example.shape, device="meta")
        self._alive.append(value)
        self._homes[_storage(value)] = ("state", self._state)
        self._state += _filled_up(example.numel())
        return value

    def new(self, shape: Sequence[int]) -> Tensor:
        """A stand-in for numbers that an instruction is to write into the frame."""
        value = torch.empty(tuple(shape), device="meta")
        self._alive.append(value)
        self._homes[_storage(value)] = ("frame", self._frame)
        self._frame += _filled_up(value.numel())
        return value

    def token(self, value: Tensor) -> int | None:
        """Which input's token this is, if it is one."""
        return self._tokens.get(_storage(value))

    def place(self, value: Tensor | float) -> Place:
        """Where the numbers of a stand-in are; a tensor with numbers becomes constants."""
        if not isinstance(value, Tensor) or not value.is_meta:
            value = self.constant(torch.as_tensor(value))
        space, offset = self._homes[_storage(value)]
        return Place(space, offset + int(value.storage_offset()), tuple(value.shape), value.stride())

    def constant(self, value: Tensor) -> Tensor:
        """A stand-in for constants; the same ones stand once."""
        numbers = value.detach().to(torch.float32).contiguous().cpu().numpy()
        key = ("constant", numbers.shape, numbers.tobytes())
        if key not in self._shared:
            self._shared[key] = sum(_filled_up(each.size) for each in self._constants)
            self._constants.append(numbers.ravel())
        stand_in = torch.empty(numbers.shape, device="meta")
        self._alive.append(stand_in)
        self._homes[_storage(stand_in)] = ("constants", self._shared[key])
        return stand_in

    def matrix(self, weight: Tensor) -> int:
        """The number of a matrix (out, in); one that is used twice stands once."""
        key = ("matrix", weight.data_ptr(), tuple(weight.shape), weight.stride())
        if key not in self._shared:
            self._shared[key] = len(self.matrices)
            self.matrices.append(weight.detach().to(torch.float32).contiguous().cpu().numpy())
            self._alive.append(weight)
        return self._shared[key]

    def emit(self, op: str, out: Tensor, ins: Sequence[Tensor | float], numbers: Sequence[int] = ()) -> None:
        """Write an instruction down whose places have the axes that they have."""
        self.instructions.append(
            Instruction(op, self.place(out), tuple(self.place(each) for each in ins), tuple(numbers))
        )

    def loop(self, op: str, out: Tensor, ins: Sequence[Tensor | float], keep: int = 0) -> None:
        """Write an instruction down that loops: the axes of all its places are those of `out`, as few as can be.

        The last `keep` axes are left as they are.
        """
        found = [self.place(out)]
        for each in ins:
            place = self.place(each)
            twin = torch.empty_strided(place.shape, place.strides, device="meta").expand(out.shape)
            found.append(place._replace(shape=tuple(twin.shape), strides=twin.stride()))
        merged = _merged(found, keep)
        if len(merged[0].shape) > AXES:
            raise NotImplementedError(
                f"the engine loops over at most {AXES} axes, and {op} needs {merged[0].shape}"
            )
        self.instructions.append(Instruction(op, merged[0], tuple(merged[1:])))

    def map(self, op: str, *ins: Tensor | float) -> Tensor:
        """What an operation makes of each number (of each pair of numbers, …)."""
        shapes = [tuple(each.shape) if isinstance(each, Tensor) else () for each in ins]
        out = self.new(np.broadcast_shapes(*shapes))
        self.loop(op, out, ins)
        return out

    def straight(self, value: Tensor) -> Tensor:
        """The same numbers one after another, copied where they are not so."""
        return value if value.is_contiguous() else self.map("copy", value)

    def run(self, traced: GraphModule, entering: list[Tensor]) -> list[Tensor]:
        """Follow the graph of operations; what comes out of it."""
        known: dict[Node, Any] = {}
        feed = iter(entering)
        for node in traced.graph.nodes:
            if node.op == "placeholder":
                known[node] = next(feed)
            elif node.op == "get_attr":
                known[node] = getattr(traced, node.target)
            elif node.op == "output":
                return list(torch.fx.node.map_arg(node.args[0], known.__getitem__))
            else:
                arguments = torch.fx.node.map_arg(node.args, known.__getitem__)
                options = torch.fx.node.map_arg(node.kwargs, known.__getitem__)
                known[node] = operators.apply(self, node.target, arguments, options)
                if node.target.__name__.split(".")[0].endswith(
                    "_"
                ):  # in place, and values are never overwritten
                    known[node.args[0]] = known[node]
        raise AssertionError("a graph ends with its output")

    def finish(
        self,
        outputs: list[Tensor],
        state: list[tuple[str, Tensor]],
        after: list[Tensor],
        memories: list[tuple[int, int]],
    ) -> Program:
        """The whole program, once everything is written down."""
        places = [self.place(self.straight(self._in_frame(each))) for each in outputs]
        leaves, initial, offset = [], np.zeros(self._state, np.float32), 0
        for (name, example), new in zip(state, after, strict=True):
            new = self.straight(self._in_frame(new))
            leaves.append(Leaf(name, tuple(example.shape[1:]), offset, self.place(new).offset))
            initial[offset : offset + example.numel()] = example.detach().float().cpu().numpy().ravel()
            offset += _filled_up(example.numel())
        constants = np.zeros(sum(_filled_up(each.size) for each in self._constants), np.float32)
        at = 0
        for each in self._constants:
            constants[at : at + each.size] = each
            at += _filled_up(each.size)
        instructions, sections = arrange(self.instructions, places, leaves)
        return Program(
            self.inputs,
            places,
            leaves,
            instructions,
            sections,
            self.matrices,
            constants,
            initial,
            self._frame,
            memories,
        )

    def _in_frame(self, value: Tensor) -> Tensor:
        if value.is_meta and self._homes[_storage(value)][0] == "frame":
            return value
        return self.map("copy", value)


def _storage(value: Tensor) -> int:
    return int(value.untyped_storage()._cdata)


def _filled_up(numbers: int) -> int:
    return -(-numbers // ALIGNMENT) * ALIGNMENT


def _merged(places: list[Place], keep: int = 0) -> list[Place]:
    """The same places with axes of one left out, and neighbors joined wherever all places allow it."""
    shape = places[0].shape
    loose = len(shape) - keep
    axes: list[tuple[int, tuple[int, ...]]] = []
    for axis, size in enumerate(shape):
        strides = tuple(place.strides[axis] for place in places)
        if size == 1 and axis < loose:
            continue
        if axes and axis < loose:
            before, wide = axes[-1]
            if all(w == s * size for w, s in zip(wide, strides, strict=True)):
                axes[-1] = (before * size, strides)
                continue
        axes.append((size, strides))
    return [
        place._replace(shape=tuple(size for size, _ in axes), strides=tuple(s[number] for _, s in axes))
        for number, place in enumerate(places)
    ]
