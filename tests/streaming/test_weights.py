"""Packed matrices, and the engine's products of them: the kernels of every variant against NumPy's definition."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recurra import ops
from recurra.streaming import weights
from recurra.streaming.weights import FORMATS, Format

if not ops.native_available():
    pytest.skip("the extension was not built", allow_module_level=True)

native = importlib.import_module("recurra._native")
every_format = pytest.mark.parametrize("format", FORMATS)

Floats = NDArray[np.float32]


@pytest.fixture(params=native.variants(), scope="module", autouse=True)
def variant(request: pytest.FixtureRequest) -> Iterator[None]:
    before = native.variant()
    native.use(request.param)
    yield
    native.use(before)


class Packed:
    """A matrix in a format, and the engine's kernels on it."""

    def __init__(self, matrix: Floats, format: Format) -> None:
        self.format, self.shape = format, matrix.shape
        self.weights, self.scales = weights.pack(matrix, format)
        self.panels = -(-matrix.shape[0] // weights.PANEL)
        self.bytes = np.zeros(0, np.uint8) if self.scales is None else self.scales

    def into(
        self, y: Floats, x: Floats, bias: Floats | None, add: Floats | None, first: int, last: int
    ) -> None:
        native.product(self.format, self.weights, self.bytes, x, y, bias, add, first, last)

    def product(self, x: Floats, bias: Floats | None = None, add: Floats | None = None) -> Floats:
        y = np.full((len(x), self.shape[0]), np.nan, np.float32)
        self.into(y, x, bias, add, 0, self.panels)
        return y

    def embed(self, row: int) -> Floats:
        y = np.full((1, self.shape[1]), np.nan, np.float32)
        native.embed(self.format, self.weights, self.bytes, self.shape[0], row, y)
        return y[0]

    def unpacked(self) -> Floats:
        return weights.unpack(self.weights, self.scales, self.format, self.shape)

    def defined(
        self, x: Floats, bias: Floats | None = None, add: Floats | None = None
    ) -> NDArray[np.float64]:
        return weights.product(self.weights, self.scales, self.format, self.shape, x, bias, add)

    def tolerance(
        self, x: Floats, bias: Floats | None = None, add: Floats | None = None
    ) -> NDArray[np.float64]:
        """How far float32's rounding, once for every number added, may take a product."""
        sizes = np.abs(x).astype(np.float64) @ np.abs(self.unpacked()).astype(np.float64).T
        sizes += sum(np.abs(each) for each in (bias, add) if each is not None)
        return (self.shape[1] + 4) * 2.0**-24 * sizes * 1.05 + 1e-37


sizes = st.one_of(st.integers(0, 12), st.sampled_from([31, 32, 33, 63, 64, 65, 96, 100, 130, 255, 257, 300]))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Floats, Floats, Floats | None, Floats | None]:
    """A matrix (out, in), rows, a bias and what is added; numbers of one magnitude or of several."""
    out, inputs, rows = (
        draw(sizes),
        draw(sizes),
        draw(st.sampled_from([0, 1, 1, 2, 3, 4, 5, 7, 8, 13, 50, 64, 115])),
    )
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    spread = draw(st.sampled_from([0, 0, 2]))

    def drawn(*shape: int) -> Floats:
        return (generator.standard_normal(shape) * 10.0 ** generator.uniform(-spread, spread, shape)).astype(
            np.float32
        )

    matrix, x = drawn(out, inputs), drawn(rows, inputs)
    x[generator.random(rows) < 0.1] = 0
    bias = drawn(out) if draw(st.booleans()) else None
    return matrix, x, bias, drawn(rows, out) if draw(st.booleans()) else None


@every_format
@given(case=cases())
@settings(max_examples=60)
def test_products_are_those_defined(
    format: Format, case: tuple[Floats, Floats, Floats | None, Floats | None]
) -> None:
    matrix, x, bias, add = case
    packed = Packed(matrix, format)
    error = np.abs(packed.product(x, bias, add) - packed.defined(x, bias, add))
    assert (error <= packed.tolerance(x, bias, add)).all()


@every_format
@given(case=cases(), data=st.data())
@settings(max_examples=60)
def test_a_row_is_the_same_bits_alone_in_a_batch_and_panel_by_panel(
    format: Format, case: tuple[Floats, Floats, Floats | None, Floats | None], data: st.DataObject
) -> None:
    matrix, x, bias, add = case
    packed = Packed(matrix, format)
    whole = packed.product(x, bias, add)
    for row in range(min(len(x), 5)):
        alone = packed.product(x[row : row + 1], bias, None if add is None else add[row : row + 1])
        assert alone.tobytes() == whole[row : row + 1].tobytes()
    inside = sorted(data.draw(st.lists(st.integers(0, packed.panels), max_size=3)))
    parts = np.full_like(whole, np.nan) if add is None else add.copy()  # what is added may be y itself
    for first, last in zip([0, *inside], [*inside, packed.panels], strict=True):
        packed.into(parts, x, bias, None if add is None else parts, first, last)
    assert parts.tobytes() == whole.tobytes()


@every_format
@pytest.mark.parametrize("shape", [(1, 1), (33, 5), (70, 130)])
def test_an_embedding_reads_the_weights_back_to_the_last_bit(format: Format, shape: tuple[int, int]) -> None:
    packed = Packed(np.random.default_rng(0).standard_normal(shape, np.float32), format)
    unpacked = packed.unpacked()
    for row in range(shape[0]):
        assert packed.embed(row).tobytes() == unpacked[row].tobytes()


@every_format
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_in_its_row_and_is_seen(format: Format, bad: float) -> None:
    generator = np.random.default_rng(0)
    packed = Packed(generator.standard_normal((70, 40), np.float32), format)
    x = generator.standard_normal((7, 40), np.float32)
    expected = packed.product(x)
    x[3, 39] = bad
    y = packed.product(x)
    assert not np.isfinite(y[3]).any()
    assert np.isnan(y[3]).all() or format in ("float32", "float16")
    assert np.array_equal(np.delete(y, 3, 0), np.delete(expected, 3, 0))


@every_format
@pytest.mark.parametrize(
    "exponents", [(60, 60), (-60, 90), (90, -60), (-60, -60), (0, -148), (90, 0), (-90, 0)]
)
def test_numbers_may_be_very_large_or_small(format: Format, exponents: tuple[int, int]) -> None:
    if format == "float16":
        exponents = (0, exponents[1])
    generator = np.random.default_rng(0)
    matrix = (generator.standard_normal((40, 70)) * 2.0 ** exponents[0]).astype(np.float32)
    x = (generator.standard_normal((4, 70)) * 2.0 ** exponents[1]).astype(np.float32)
    packed = Packed(matrix, format)
    error = np.abs(packed.product(x) - packed.defined(x))
    assert (error <= packed.tolerance(x)).all()


@pytest.mark.parametrize("size", [2.0**-100, 2.0**-101, 1e-45])
def test_what_is_too_small_for_a_scale_is_zero(size: float) -> None:
    ones = np.ones((1, 1), np.float32)
    tiny = np.full((1, 1), size, np.float32)
    kept = size >= 2.0**-100
    for format in ("int8", "int4"):
        assert (Packed(ones, format).product(tiny)[0, 0] > 0) == kept
        assert (Packed(tiny, format).unpacked()[0, 0] > 0) == kept


@given(case=cases())
@settings(max_examples=60)
def test_int8_is_off_by_half_a_step_at_most(
    case: tuple[Floats, Floats, Floats | None, Floats | None],
) -> None:
    matrix = case[0]
    step = np.abs(matrix).max(axis=1, initial=0.0, keepdims=True) / 127
    assert (np.abs(Packed(matrix, "int8").unpacked() - matrix) <= step * 0.501).all()


def test_int4_is_better_than_rounding_and_off_by_a_sixteenth() -> None:
    matrix = np.random.default_rng(0).standard_normal((64, 512), np.float32)
    groups = matrix.reshape(64, 16, 32)
    scale = np.abs(groups).max(axis=2, keepdims=True) / 7
    rounded = np.sqrt(np.square(np.rint(groups / scale) * scale - groups).mean())
    error = Packed(matrix, "int4").unpacked() - matrix
    assert np.sqrt(np.square(error).mean()) < 0.94 * rounded
    assert (np.abs(error).reshape(groups.shape) <= np.abs(groups).max(axis=2, keepdims=True) * 0.21).all()


@pytest.mark.parametrize(("format", "most"), [("float16", 0.0005), ("int8", 0.015), ("int4", 0.1)])
def test_products_are_near_those_of_the_matrix(format: Format, most: float) -> None:
    generator = np.random.default_rng(0)
    matrix, x = (
        generator.standard_normal((100, 512), np.float32),
        generator.standard_normal((9, 512), np.float32),
    )
    expected = x @ matrix.T
    error = Packed(matrix, format).product(x) - expected
    assert np.sqrt(np.square(error).mean() / np.square(expected).mean()) < most


@every_format
def test_a_matrix_with_what_the_format_cannot_hold_is_refused(format: Format) -> None:
    for number in (np.nan, np.inf, 1e38):
        matrix = np.full((2, 3), number, np.float32)
        if format == "float32" or (format == "float16" and number != 1e38):
            assert np.array_equal(Packed(matrix, format).unpacked(), matrix, equal_nan=True)
        else:
            with pytest.raises(ValueError, match=f"{format} has no place for"):
                weights.pack(matrix, format)
    with pytest.raises(ValueError, match="a matrix is"):
        weights.pack(np.zeros((1, weights.MOST_IN + 1), np.float32), format)


@every_format
def test_bytes_of_another_matrix_are_refused(format: Format) -> None:
    packed = Packed(np.zeros((40, 40), np.float32), format)
    for shape in ((65, 40), (40, 73)):
        with pytest.raises(ValueError, match="bytes belong"):
            weights.unpack(packed.weights, packed.scales, format, shape)
        with pytest.raises(ValueError, match="count of weights"):
            native.product(
                format, packed.weights, packed.bytes, np.zeros((1, shape[1]), np.float32),
                np.zeros((1, shape[0]), np.float32), None, None, 0, 1,
            )  # fmt: skip


def test_the_longest_rows_of_int8_do_not_overflow() -> None:
    matrix = np.ones((1, weights.MOST_IN), np.float32)
    for sign in (1, -1):
        assert Packed(sign * matrix, "int8").product(matrix)[0, 0] == pytest.approx(
            sign * weights.MOST_IN, rel=1e-6
        )
