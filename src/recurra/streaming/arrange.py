"""The order of a program's instructions: sums joined to products, then split into sections.

A section that the state goes round in must be run step by step; all others know one step only, so that a whole prompt
goes through each of them at once, many rows of a matrix product in place of one.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from recurra.streaming.program import Instruction, Leaf, Place, Section

__all__ = ["arrange"]


def arrange(
    instructions: Sequence[Instruction], outputs: Sequence[Place], leaves: Sequence[Leaf]
) -> tuple[list[Instruction], list[Section]]:
    """The instructions in the order of their sections, and the sections."""
    wanted = [_span(each) for each in outputs] + [(each.after, each.after + each.size) for each in leaves]
    instructions = _without_idle(_with_sums(list(instructions), wanted), wanted)
    return _sections(instructions, leaves)


Span = tuple[int, int]  # of a space: the first number, and the one behind the last


def _span(place: Place) -> Span:
    reach = sum((size - 1) * stride for size, stride in zip(place.shape, place.strides, strict=True))
    return place.offset, place.offset + reach + 1


def _touch(a: Span, b: Span) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def _read(instruction: Instruction) -> list[Span]:
    """What an instruction reads of the frame."""
    return [_span(each) for each in instruction.ins if each.space == "frame"]


def _with_sums(instructions: list[Instruction], wanted: Sequence[Span]) -> list[Instruction]:
    """Where a product is only added to something, let the product do that."""
    reads = [_read(each) for each in instructions]
    kept: list[Instruction | None] = list(instructions)
    products = {each.out: number for number, each in enumerate(instructions) if each.op == "linear"}
    for number, each in enumerate(instructions):
        if each.op != "add" or len(each.out.shape) > 1:
            continue
        for one, other in (each.ins, each.ins[::-1]):
            product = kept[products[one]] if one in products else None
            users = sum(_touch(_span(one), span) for spans in (*reads, wanted) for span in spans)
            if product is None or users > 1 or len(product.ins) > 1 or other.strides not in ((1,), ()):
                continue
            kept[products[one]] = None
            kept[number] = product._replace(out=each.out, ins=(*product.ins, other))
            products[each.out] = number
            break
    return [each for each in kept if each is not None]


def _without_idle(instructions: list[Instruction], wanted: Sequence[Span]) -> list[Instruction]:
    """Only the instructions that something comes of."""
    needed = list(wanted)
    kept = []
    for each in reversed(instructions):
        if any(_touch(_span(each.out), span) for span in needed):
            kept.append(each)
            needed += _read(each)
    return kept[::-1]


def _sections(
    instructions: list[Instruction], leaves: Sequence[Leaf]
) -> tuple[list[Instruction], list[Section]]:
    """Instructions that the state goes round in stand together; what serves only the outputs stands last."""
    count = len(instructions)
    after = _edges(instructions, leaves)
    parts = _strongly_connected(after)
    part_of = {node: number for number, nodes in enumerate(parts) for node in nodes}
    # Tarjan's algorithm finds what comes after first.
    feeds = [False] * len(parts)
    for number, nodes in enumerate(parts):
        feeds[number] = any(node >= count for node in nodes) or any(
            feeds[part_of[to]] for node in nodes for to in after[node] if part_of[to] != number
        )
    order: list[Instruction] = []
    sections: list[Section] = []
    for number in _topological(parts, part_of, after, feeds, count):
        nodes = sorted(parts[number])
        own = tuple(node - count for node in nodes if node >= count)
        first = len(order)
        order += [instructions[node] for node in nodes if node < count]
        ends = not feeds[number]
        if sections and not own and not sections[-1].leaves and sections[-1].ends == ends:
            sections[-1] = sections[-1]._replace(last=len(order))
        elif own or len(order) > first:
            sections.append(Section(first, len(order), own, ends))
    return order, sections


def _edges(instructions: Sequence[Instruction], leaves: Sequence[Leaf]) -> list[list[int]]:
    """What must come after each instruction, and after each leaf, whose numbers follow the instructions'.

    A leaf is what a step leaves of it; whoever reads it must have done so before it is replaced, so the two belong
    to one section.
    """
    count = len(instructions)
    after: list[list[int]] = [[] for _ in range(count + len(leaves))]
    writes = [_span(each.out) for each in instructions]
    for number, each in enumerate(instructions):
        for span in _read(each):
            for writer in range(number):
                if _touch(writes[writer], span):
                    after[writer].append(number)
        for place in each.ins:
            if place.space != "state":
                continue
            for leaf, known in enumerate(leaves):
                if _touch(_span(place), (known.offset, known.offset + known.size)):
                    after[count + leaf].append(number)
                    after[number].append(count + leaf)
    for leaf, known in enumerate(leaves):
        for writer in range(count):
            if _touch(writes[writer], (known.after, known.after + known.size)):
                after[writer].append(count + leaf)
    return after


def _strongly_connected(after: Sequence[Sequence[int]]) -> list[list[int]]:
    """Tarjan 1972, without recursion: the parts in which every node leads to every other, the last first."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    standing: set[int] = set()
    parts: list[list[int]] = []
    for root in range(len(after)):
        if root in index:
            continue
        work = [(root, iter(after[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        standing.add(root)
        while work:
            node, rest = work[-1]
            to = next(rest, None)
            if to is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    at = stack.index(node)
                    parts.append(stack[at:])
                    standing.difference_update(stack[at:])
                    del stack[at:]
            elif to not in index:
                index[to] = low[to] = len(index)
                stack.append(to)
                standing.add(to)
                work.append((to, iter(after[to])))
            elif to in standing:
                low[node] = min(low[node], index[to])
    return parts


def _topological(
    parts: Sequence[Sequence[int]],
    part_of: dict[int, int],
    after: Sequence[Sequence[int]],
    feeds: Sequence[bool],
    count: int,
) -> list[int]:
    """An order of the parts: what knows no state as early as can be, what serves only the outputs as late."""
    followers = [{part_of[to] for node in nodes for to in after[node]} - {n} for n, nodes in enumerate(parts)]
    waiting = [0] * len(parts)
    for each in followers:
        for to in each:
            waiting[to] += 1

    def rank(number: int) -> tuple[bool, bool, int, int]:
        stateful = any(node >= count for node in parts[number])
        return not feeds[number], stateful, min(parts[number]), number

    ready = [rank(number) for number, left in enumerate(waiting) if left == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        number = heapq.heappop(ready)[-1]
        order.append(number)
        for to in followers[number]:
            waiting[to] -= 1
            if waiting[to] == 0:
                heapq.heappush(ready, rank(to))
    return order
