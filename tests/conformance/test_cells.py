"""What must hold for every cell. A line in `recurra.cells.CELLS` buys all of it."""

from __future__ import annotations

import gc
from typing import Any, NamedTuple

import pytest
import torch
from cases import B, Case, H, I, T, random_state
from torch import Tensor, nn

from recurra import ops, state
from recurra.cell import Cell, Windowed

LENGTHS = (T, 2, 0, 5)
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-12}

pytestmark = pytest.mark.usefixtures("poisoned_memory")


@pytest.fixture(params=[True, False], ids=["training-float32", "evaluation-float64"])
def cell(case: Case, request: pytest.FixtureRequest) -> Cell:
    return case.make(I, H).to(torch.float32 if request.param else torch.float64).train(request.param)


@pytest.fixture
def dtype(cell: Cell) -> torch.dtype:
    return next(cell.parameters()).dtype


class Run(NamedTuple):
    x: Tensor
    before: Any
    noise: Any


@pytest.fixture
def run(cell: Cell, dtype: torch.dtype) -> Run:
    """Inputs, a state that is not the initial one, and noise where the cell has some and trains."""
    noise = cell.noise(B, T, torch.Generator().manual_seed(2)) if cell.training else None
    return Run(torch.randn(B, T, cell.input_size, dtype=dtype), random_state(cell, B), noise)


def part(noise: Any, start: int, end: int) -> Any:
    return None if noise is None else state.transform(lambda leaf: leaf[:, start:end], noise)


def rows_of(noise: Any, index: Tensor) -> Any:
    return None if noise is None else state.select(noise, index)


def assert_same(found: Any, expected: Any, dtype: torch.dtype) -> None:
    assert type(found) is type(expected)
    tolerance = TOLERANCE[dtype]
    found, expected = state.flatten(found), state.flatten(expected)
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_one_step_after_another_is_the_sequence(cell: Cell, run: Run, dtype: torch.dtype) -> None:
    y, after = cell.sequence(run.x, run.before, noise=run.noise)
    now, steps = run.before, []
    for t in range(T):
        y_t, now = cell.step(run.x[:, t], now, state.at(run.noise, t))
        steps.append(y_t)
    assert y.shape == (B, T, cell.output_size)
    assert_same(torch.stack(steps, 1), y, dtype)
    assert_same(now, after, dtype)


@pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])
def test_a_sequence_may_be_split_anywhere(cell: Cell, run: Run, dtype: torch.dtype, ragged: bool) -> None:
    lengths = torch.tensor(LENGTHS) if ragged else None
    y, after = cell.sequence(run.x, run.before, lengths, run.noise)
    for cut in range(T + 1):
        first = lengths.clamp(max=cut) if ragged else None
        second = (lengths - cut).clamp(min=0) if ragged else None
        y1, middle = cell.sequence(run.x[:, :cut], run.before, first, part(run.noise, 0, cut))
        y2, end = cell.sequence(run.x[:, cut:], middle, second, part(run.noise, cut, T))
        assert_same(torch.cat([y1, y2], 1), y, dtype)
        assert_same(end, after, dtype)


def test_a_row_alone_is_the_row_in_a_ragged_batch(cell: Cell, run: Run, dtype: torch.dtype) -> None:
    y, after = cell.sequence(run.x, run.before, torch.tensor(LENGTHS), run.noise)
    for row, length in enumerate(LENGTHS):
        index = torch.tensor([row])
        alone, end = cell.sequence(
            run.x[index, :length],
            state.select(run.before, index),
            noise=part(rows_of(run.noise, index), 0, length),
        )
        assert_same(y[index, :length], alone, dtype)
        assert_same(state.select(after, index), end, dtype)
        assert (y[row, length:] == 0).all()


def test_a_row_alone_is_the_row_in_a_whole_batch(cell: Cell, run: Run, dtype: torch.dtype) -> None:
    y, after = cell.sequence(run.x, run.before, noise=run.noise)
    for row in range(B):
        index = torch.tensor([row])
        alone, end = cell.sequence(
            run.x[index], state.select(run.before, index), noise=rows_of(run.noise, index)
        )
        assert_same(y[index], alone, dtype)
        assert_same(state.select(after, index), end, dtype)


def test_a_length_of_all_steps_changes_nothing(cell: Cell, run: Run, dtype: torch.dtype) -> None:
    y, after = cell.sequence(run.x, run.before, torch.full((B,), T), run.noise)
    expected, expected_after = cell.sequence(run.x, run.before, noise=run.noise)
    assert_same(y, expected, dtype)
    assert_same(after, expected_after, dtype)


@pytest.mark.parametrize("padding", [float("nan"), float("inf"), 1e30])
def test_what_stands_in_the_padding_never_matters(cell: Cell, run: Run, padding: float) -> None:
    lengths = torch.tensor(LENGTHS)
    mask = ops.ragged.valid(lengths, T).unsqueeze(-1)

    def results(x: Tensor) -> list[Tensor]:
        x = x.clone().requires_grad_()
        y, after = cell.sequence(x, run.before, lengths, run.noise)
        leaves = list(state.flatten(after).values())
        total = y.square().sum() + sum(leaf.square().sum() for leaf in leaves)
        return [y, *leaves, *torch.autograd.grad(total, [x, *cell.parameters()])]

    expected = results(torch.where(mask, run.x, 0.0))
    assert all(tensor.isfinite().all() for tensor in expected)
    for found, wanted in zip(results(torch.where(mask, run.x, padding)), expected, strict=True):
        assert torch.equal(found, wanted)


def test_a_row_of_nan_leaves_the_others_alone(cell: Cell, run: Run) -> None:
    def others(x: Tensor) -> list[Tensor]:
        x = x.clone().requires_grad_()
        y, after = cell.sequence(x, run.before, noise=run.noise)
        step, _ = cell.step(x[:, 0], run.before, state.at(run.noise, 0))
        (gradient,) = torch.autograd.grad(y[1:].sum(), x)
        return [each[1:] for each in (y, step, gradient, *state.flatten(after).values())]

    poisoned = run.x.clone()
    poisoned[0] = float("nan")
    assert cell.sequence(poisoned, run.before, noise=run.noise)[0][0].isnan().any()
    for found, wanted in zip(others(poisoned), others(run.x), strict=True):
        assert torch.equal(found, wanted)


def test_a_state_goes_through_names_and_back(cell: Cell, run: Run) -> None:
    _, after = cell.sequence(run.x, run.before, noise=run.noise)
    tensors = state.flatten(after)
    back = state.unflatten(cell.initial_state(1), tensors)
    assert type(back) is type(after)
    assert all(torch.equal(leaf, tensors[path]) for path, leaf in state.flatten(back).items())


def test_no_steps_leave_the_state_as_it_was(cell: Cell, run: Run, dtype: torch.dtype) -> None:
    y, after = cell.sequence(run.x[:, :0], run.before, noise=part(run.noise, 0, 0))
    assert y.shape == (B, 0, cell.output_size)
    assert_same(after, run.before, dtype)


def test_no_rows_give_no_rows(cell: Cell) -> None:
    noise = cell.noise(0, T, None)
    y, after = cell.sequence(
        torch.zeros(0, T, cell.input_size, dtype=next(cell.parameters()).dtype),
        cell.initial_state(0),
        noise=noise,
    )
    assert y.shape == (0, T, cell.output_size)
    assert all(len(leaf) == 0 for leaf in state.flatten(after).values())


def test_the_fast_path_gives_the_reference_and_its_gradients(
    cell: Cell, run: Run, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    def results(sequence: Any) -> dict[str, Tensor]:
        x = run.x.clone().requires_grad_()
        before = state.transform(lambda leaf: leaf.clone().requires_grad_(), run.before)
        y, after = sequence(x, before, None, run.noise)
        leaves = state.flatten(after)
        total = y.square().sum() + sum(leaf.square().sum() for leaf in leaves.values())
        inputs = {"x": x, **state.flatten(before), **dict(cell.named_parameters())}
        gradients = torch.autograd.grad(total, list(inputs.values()))
        return {"y": y, **leaves} | {f"d{name}": g for name, g in zip(inputs, gradients, strict=True)}

    def assert_near(wanted: dict[str, Tensor]) -> None:
        # Gradients add up over steps and rows, so a small one may be the difference of large ones.
        tolerance = 10 * TOLERANCE[dtype]
        for name, tensor in wanted.items():
            scale = max(1.0, tensor.abs().max().item())
            torch.testing.assert_close(fast[name], tensor, rtol=tolerance, atol=tolerance * scale)

    fast = results(cell.sequence)
    monkeypatch.setenv("RECURRA_OPS", "reference")
    assert_near(results(cell.sequence))
    assert_near(results(lambda *arguments: Cell.sequence(cell, *arguments)))


@pytest.mark.slow
def test_ten_thousand_steps_stay_finite(case: Case) -> None:
    cell = case.make(I, H).eval()
    with torch.no_grad():
        y, after = cell.sequence(3 * torch.randn(2, 10_000, cell.input_size), cell.initial_state(2))
    assert y.isfinite().all()
    assert all(leaf.isfinite().all() for leaf in state.flatten(after).values())


class Step(nn.Module):
    """A module whose forward is a cell's step: what torch.export takes."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor, before: Any) -> tuple[Tensor, Any]:
        return self.cell.step(x, before)


def test_a_step_can_be_exported(case: Case) -> None:
    cell = case.make(I, H).eval()
    before = random_state(cell, B)
    x = torch.randn(B, cell.input_size)
    exported = torch.export.export(Step(cell), (x, before)).module()
    found, expected = exported(x, before), cell.step(x, before)
    assert_same(found[0], expected[0], torch.float32)
    assert_same(found[1], expected[1], torch.float32)


def test_nothing_is_kept_on_the_module(cell: Cell, run: Run) -> None:
    held, buffers = set(vars(cell)), list(cell.buffers())
    cell.sequence(run.x, run.before, torch.tensor(LENGTHS), run.noise)
    cell.step(run.x[:, 0], run.before)
    assert set(vars(cell)) == held
    assert list(cell.buffers()) == buffers


@pytest.mark.parametrize(
    "units", [6, 32]
)  # an extension fills odd widths up and may return whole ones as they are
def test_a_training_step_lets_go_of_all_it_made(case: Case, units: int) -> None:
    """A result that its own node of the graph holds would stay until the process ends, with all it was made of."""
    cell = case.make(units, units)
    x = torch.randn(3, 4, units)

    def alive() -> int:
        gc.collect()
        return sum(issubclass(type(each), Tensor) for each in gc.get_objects())

    def step() -> None:
        y, _ = cell.sequence(x, cell.initial_state(3), noise=cell.noise(3, 4, None))
        y.sum().backward()

    step()
    before = alive()
    for _ in range(3):
        step()
    assert alive() == before


def test_a_generator_decides_the_parameters(case: Case) -> None:
    one, two = (case.make(I, H, seed=7).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    other = case.make(I, H, seed=8).state_dict()
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_the_initial_state_follows_the_cell_and_the_wishes(cell: Cell, dtype: torch.dtype) -> None:
    assert {leaf.dtype for leaf in state.flatten(cell.initial_state(2)).values()} == {dtype}
    wished = cell.initial_state(2, dtype=torch.float16, device=torch.device("meta"))
    assert {(leaf.dtype, leaf.device.type, len(leaf)) for leaf in state.flatten(wished).values()} == {
        (torch.float16, "meta", 2)
    }
    assert isinstance(wished, Windowed) == (cell.window > 0)


@pytest.mark.parametrize(
    ("shape", "lengths", "message"),
    [
        ((B, T, 1), None, r"takes x of shape \(B, T, {inputs}\), not \(4, 6, {wrong}\)"),
        ((B, 0), None, r"takes x of shape \(B, T, {inputs}\)"),
        ((B, T, 0), [1, 2], r"lengths must have shape \(4,\)"),
        ((B, T, 0), [1.0] * B, "lengths must be integers"),
        ((B, T, 0), [1, 2, 3, T + 1], r"0 … 6 .*\[1, 2, 3, 7\]"),
        ((B, T, 0), [1, 2, 3, -1], "lengths must lie in"),
    ],
)
def test_misfits_are_told(
    case: Case, shape: tuple[int, ...], lengths: list[float] | None, message: str
) -> None:
    cell = case.make(I, H)
    x = torch.zeros(*shape[:-1], cell.input_size + shape[-1])
    counted = None if lengths is None else torch.tensor(lengths)
    with pytest.raises(ValueError, match=message.format(inputs=cell.input_size, wrong=cell.input_size + 1)):
        cell.sequence(x, cell.initial_state(B), counted)


@pytest.mark.parametrize("rows", [1, B + 1])
def test_a_state_of_other_rows_is_told(case: Case, rows: int) -> None:
    cell = case.make(I, H)
    with pytest.raises(ValueError, match=f"must have {B} rows"):
        cell.sequence(torch.zeros(B, T, cell.input_size), cell.initial_state(rows))
    with pytest.raises(ValueError, match=f"must have {B} rows"):
        cell.step(torch.zeros(B, cell.input_size), cell.initial_state(rows))


def test_a_cell_that_lacks_its_recurrence_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="recur"):
        Cell()  # type: ignore[abstract]


def test_a_state_does_not_hold_the_sequence_in_memory(cell: Cell) -> None:
    x = torch.randn(1, 500, cell.input_size, dtype=next(cell.parameters()).dtype)
    with torch.no_grad():
        _, after = cell.sequence(x, cell.initial_state(1))
    held = sum(leaf.untyped_storage().nbytes() for leaf in state.flatten(after).values())
    assert held < x.nbytes / 4
