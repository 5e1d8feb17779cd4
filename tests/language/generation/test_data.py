from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recurra.language.generation.data import Line, Pieces


def pieces(lengths: list[int], width: int = 2) -> Pieces:
    ends = np.cumsum(lengths)
    tokens = np.arange(100, 100 + ends[-1], dtype=np.uint16)
    heads = np.arange(3 * width).reshape(3, width)
    return Pieces(tokens, ends - lengths, ends, heads, np.arange(len(lengths)) % 3)


def whole(parts: Pieces, order: list[int]) -> list[int]:
    """All tokens of the pieces in this order, each behind its head."""
    found: list[int] = []
    for number in order:
        found += parts.heads[parts.head[number]].tolist()
        found += parts.tokens[parts.start[number] : parts.stop[number]].tolist()
    return found


lengths = st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(sum)


@given(lengths, st.data())
def test_a_line_is_its_pieces_in_order_round_and_round(sizes: list[int], data: st.DataObject) -> None:
    parts = pieces(sizes)
    order = data.draw(st.permutations(range(len(sizes))))
    line, expected = Line(parts, np.array(order)), whole(parts, order)
    assert len(line) == len(expected) == parts.size
    place, count = data.draw(st.integers(0, 3 * len(line))), data.draw(st.integers(0, 3 * len(line)))
    assert line.read(place, count).tolist() == [expected[(place + i) % len(expected)] for i in range(count)]


@given(lengths)
def test_a_line_knows_where_pieces_begin(sizes: list[int]) -> None:
    line = Line(pieces(sizes))
    begins = np.cumsum([0, *(size + 2 for size in sizes)])[:-1]
    places = np.arange(2 * len(line))
    assert line.begins_at(places).tolist() == [place % len(line) in begins for place in places]
