"""The diagonal cells' gates, fused into the scan, against their definition in double; ragged rows, limits, misfits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scans import VARIANTS, assert_alike, in_layout, needs_extension, results, shapes, using
from torch import Tensor

from recurra import ops
from recurra.ops.diagonal import cpu, reference
from recurra.ops.diagonal.reference import GATES

STEEP = ("rg_lru",)  # whose √(1 - a²) has no bound on its slope: large inputs bring float32 to its end


def run(scan: Any, gates: str, lengths: Tensor | None) -> Any:
    """`scan` as a function of tensors alone: z, h0 and, where the gates take it, shared."""
    return lambda z, h0, shared=None: scan(gates, z, h0, shared, lengths)


def inputs(gates: str, rows: int, steps: int, units: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(rows, steps, GATES[gates].blocks * units, generator=generator)
    h0 = torch.randn(rows, units, generator=generator)
    shared = [-0.02 - 0.5 * torch.rand(units, generator=generator)] if gates == "rg_lru" else []
    return [z, h0, *shared]


def in_double(gates: str, lengths: Tensor | None, arguments: list[Tensor]) -> list[Tensor]:
    return results(run(reference.gated_scan, gates, lengths), [each.double() for each in arguments])


@needs_extension
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("gates", GATES)
@pytest.mark.usefixtures("poisoned_memory")
@given(st.data())
def test_the_extension_is_the_definition(gates: str, variant: str, data: st.DataObject) -> None:
    rows, steps, units, lengths = data.draw(shapes())
    arguments = inputs(gates, rows, steps, units, data.draw(st.integers(0, 1000)))
    arguments[0] *= data.draw(
        st.sampled_from([1e-20, 0.1, 1.0] if gates in STEEP else [1e-20, 1.0, 10.0, 200.0])
    )
    layout = data.draw(st.sampled_from(["contiguous", "transposed", "strided"]))
    arguments = [in_layout(layout, each) for each in arguments]
    with using(variant):
        found = results(run(cpu.gated_scan, gates, lengths), arguments)
    # A gate that is all but shut is what rounding leaves.
    assert_alike(found, in_double(gates, lengths, arguments), 1e-5, floor=0.1)
    with using(variant), torch.no_grad():
        y, last = run(cpu.gated_scan, gates, lengths)(*arguments)
    assert torch.equal(y, found[0])
    assert torch.equal(last, found[1])


@needs_extension
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("gates", GATES)
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, 3e38, -3e38])
def test_nan_and_infinity_appear_where_the_definition_has_them(
    gates: str, variant: str, value: float
) -> None:
    units, arguments = 9, inputs(gates, 2, 5, 9)
    for block in range(GATES[gates].blocks):
        arguments[0][0, 1 + block % 2, block * units + 3 + block] = value
    with using(variant):
        found = run(cpu.gated_scan, gates, None)(*arguments)
    wanted = run(reference.gated_scan, gates, None)(*arguments)
    for one, two in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6, equal_nan=True)


@needs_extension
@pytest.mark.parametrize("gates", GATES)
def test_what_stands_past_a_rows_length_never_matters(gates: str) -> None:
    arguments, lengths = inputs(gates, 3, 6, 11), torch.tensor([6, 2, 0])
    wanted = results(run(cpu.gated_scan, gates, lengths), arguments)
    arguments[0][1, 2:], arguments[0][2] = torch.nan, torch.inf
    for one, two in zip(results(run(cpu.gated_scan, gates, lengths), arguments), wanted, strict=True):
        assert torch.equal(one, two)
    assert (wanted[0][1, 2:] == 0).all()
    assert torch.equal(wanted[1][2], arguments[1][2])


@needs_extension
@pytest.mark.usefixtures("poisoned_memory")
@pytest.mark.parametrize("gates", GATES)
@pytest.mark.parametrize(("rows", "lengths"), [(4, None), (3, None), (3, [400, 0, 57])])
def test_threads_change_no_bit(gates: str, rows: int, lengths: list[int] | None) -> None:
    arguments = inputs(gates, rows, 400, 37)
    alone = run(cpu.gated_scan, gates, None if lengths is None else torch.tensor(lengths))
    one = results(alone, arguments)
    torch.set_num_threads(2)
    two = results(alone, arguments)
    assert all(torch.equal(x, y) for x, y in zip(one, two, strict=True))


@needs_extension
@pytest.mark.usefixtures("poisoned_memory")
@pytest.mark.parametrize(("gates", "steps"), [("min_gru", 250), ("sru", 125)])
def test_large_gradients_are_written_around_the_caches_alike(gates: str, steps: int) -> None:
    """19 MB."""
    arguments, lengths = inputs(gates, 9, steps, 1040), torch.arange(steps, steps - 9, -1)
    found = results(run(cpu.gated_scan, gates, lengths), arguments)
    assert_alike(found, in_double(gates, lengths, arguments), 1e-5)


@needs_extension
@pytest.mark.parametrize("gates", GATES)
def test_second_derivatives_are_the_definitions(gates: str) -> None:
    def penalty(scan: Any, arguments: list[Tensor]) -> tuple[Tensor, ...]:
        leaves = [each.clone().requires_grad_() for each in arguments]
        y, last = run(scan, gates, torch.tensor([5, 3]))(*leaves)
        first = torch.autograd.grad(y.sin().sum() + last.square().sum(), leaves, create_graph=True)
        return torch.autograd.grad(sum(each.square().sum() for each in first), leaves)

    arguments = inputs(gates, 2, 5, 7)
    wanted = penalty(reference.gated_scan, [each.double() for each in arguments])
    assert_alike(penalty(ops.gated_scan, arguments), wanted, 1e-5)


@needs_extension
def test_only_the_last_state_may_be_used() -> None:
    z, h0 = (each.requires_grad_() for each in inputs("qrnn", 2, 5, 3))
    _, last = ops.gated_scan("qrnn", z, h0)
    found = torch.autograd.grad(last.sum(), [z, h0])
    _, last = reference.gated_scan("qrnn", z, h0)
    assert_alike(found, torch.autograd.grad(last.sum(), [z, h0]), 1e-6)


@pytest.mark.parametrize("gates", GATES)
def test_half_precision_is_computed_in_single(gates: str) -> None:
    halves = [each.bfloat16() for each in inputs(gates, 2, 6, 5)]
    found = run(ops.gated_scan, gates, None)(*halves)
    wanted = run(ops.gated_scan, gates, None)(*(each.float() for each in halves))
    for one, two in zip(found, wanted, strict=True):
        assert one.dtype == torch.bfloat16
        assert torch.equal(one, two.bfloat16())


@needs_extension
def test_compiled_it_gives_the_same() -> None:
    arguments = inputs("min_gru", 2, 6, 5)
    compiled = torch.compile(
        lambda z, h0: ops.gated_scan("min_gru", z, h0), backend="aot_eager", fullgraph=True
    )
    assert_alike(results(compiled, arguments), results(run(ops.gated_scan, "min_gru", None), arguments), 1e-6)


def test_misfits_are_told() -> None:
    z, h0 = inputs("min_gru", 2, 3, 4)
    with pytest.raises(ValueError, match=r"one of min_gru, .*, not 'gru'"):
        ops.gated_scan("gru", z, h0)
    with pytest.raises(
        ValueError, match=r"min_gru takes z \(B, T, 2 D\) and h0 \(B, D\), not \(2, 3, 7\) and"
    ):
        ops.gated_scan("min_gru", z[..., 1:], h0)
    with pytest.raises(ValueError, match="takes z"):
        ops.gated_scan("min_gru", z, h0[:1])
    with pytest.raises(ValueError, match=r"shared \(D,\), not \(3,\)"):
        ops.gated_scan("rg_lru", torch.zeros(2, 3, 12), h0, torch.zeros(3))
    with pytest.raises(ValueError, match="one type of number"):
        ops.gated_scan("min_gru", z, h0.double())
    with pytest.raises(ValueError, match="lengths"):
        ops.gated_scan("min_gru", z, h0, lengths=torch.tensor([4, 0]))
