"""recurra.nn's layers in compiled and exported programs: one whole graph, sizes free, the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from peers import KINDS, LENGTHS, B, H, I, T, everything, tensors
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap

import recurra.nn

every_kind = pytest.mark.parametrize("kind", KINDS)
ragged = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
STACK = {"num_layers": 2, "bidirectional": True}
VARIED = {"layer_norm": True, "recurrent_dropout": 0.3}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """No memory of what other tests compiled."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def made(kind: str, **options: Any) -> Any:
    return getattr(recurra.nn, kind)(I, H, batch_first=True, **options)


def compiled(function: Any, backend: str = "aot_eager", **options: Any) -> Any:
    return torch.compile(function, fullgraph=True, backend=backend, **options)


def assert_same(layer: Any, lengths: Tensor | None, backend: str = "aot_eager") -> None:
    """The compiled layer gives the layer's outputs and gradients, from the same seed."""
    x = torch.randn(B, T, I, requires_grad=True)
    torch.manual_seed(5)
    expected = everything(layer, x, lengths=lengths)
    torch.manual_seed(5)
    found = everything(layer, x, None, compiled(layer, backend), lengths=lengths)
    # Options run on the extension outside of a compiled program and on the reference inside.
    torch.testing.assert_close(found, expected, rtol=5e-5, atol=5e-6)


@every_kind
@ragged
@pytest.mark.parametrize(
    "options",
    [{}, {"bias": False}, STACK, {**STACK, "dropout": 0.4}, VARIED],
    ids=["plain", "unbiased", "stack", "dropout", "varied"],
)
def test_a_compiled_layer_gives_the_same(kind: str, options: dict[str, Any], lengths: Tensor | None) -> None:
    assert_same(made(kind, **options), lengths)


@ragged
def test_a_compiled_projection_gives_the_same(lengths: Tensor | None) -> None:
    assert_same(made("LSTM", proj_size=2, bidirectional=True), lengths)


# What inductor imports warns in ways that depend on what was imported before: torch.jit, distutils, setuptools.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
@every_kind
@ragged
def test_inductor_gives_the_same(kind: str, lengths: Tensor | None) -> None:
    assert_same(made(kind, **STACK, dropout=0.4), lengths, "inductor")


@pytest.mark.parametrize("cell", ["RNNCell", "GRUCell", "LSTMCell"])
def test_a_compiled_cell_gives_the_same(cell: str) -> None:
    layer, x = getattr(recurra.nn, cell)(I, H), torch.randn(B, I)
    torch.testing.assert_close(compiled(layer)(x), layer(x), rtol=1e-5, atol=1e-6)


@every_kind
@ragged
def test_other_numbers_of_steps_and_rows_compile_nothing_anew(kind: str, lengths: Tensor | None) -> None:
    layer = made(kind, **STACK)
    program = compiled(layer, dynamic=True)
    for steps, rows in ((6, 4), (9, 3), (17, 8)):
        x = torch.randn(rows, steps, I)
        counted = None if lengths is None else torch.arange(rows) % (steps + 1)
        with torch.compiler.set_stance("default" if steps == 6 else "fail_on_recompile"):
            found = program(x, lengths=counted)
        torch.testing.assert_close(found, layer(x, lengths=counted), rtol=1e-5, atol=1e-6)


def test_a_compiled_program_refuses_a_generator() -> None:
    layer = made("GRU", num_layers=2, dropout=0.4)
    program = torch.compile(layer, backend="aot_eager", fullgraph=True)
    with pytest.raises(Exception, match="draws from torch's default generator"):
        program(torch.randn(B, T, I), generator=torch.Generator())


# torch itself uses torch.jit.script when forward mode first runs.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@every_kind
@pytest.mark.parametrize("what", ["grad", "vmap", "jvp", "rows"])
def test_torch_func_may_stand_in_a_compiled_program(kind: str, what: str) -> None:
    layer = made(kind)
    weights = {name: each.detach() for name, each in layer.named_parameters()}

    def loss(weights: dict[str, Tensor], row: Tensor) -> Tensor:
        return functional_call(layer, weights, (row.unsqueeze(0),))[0].square().sum()

    asked: dict[str, Any] = {
        "grad": grad(lambda x: layer(x)[0].square().sum()),
        "vmap": vmap(lambda row: layer(row.unsqueeze(0))[0]),
        "jvp": lambda x: jvp(lambda x: layer(x)[0], (x,), (x.cos(),)),
        "rows": lambda x: vmap(grad(loss), (None, 0))(weights, x),
    }
    x = torch.randn(B, 2, I)
    found, expected = compiled(asked[what])(x), asked[what](x)
    # Options run on the extension outside of a compiled program and on the reference inside.
    torch.testing.assert_close(found, expected, rtol=5e-5, atol=5e-6)


class Tagger(nn.Module):
    """A layer in a network."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.layer = made(kind, **STACK)
        self.head = nn.Linear(2 * H, 3)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.head(self.layer(x, lengths=lengths)[0])


@every_kind
def test_an_exported_network_takes_any_number_of_rows_and_steps(kind: str) -> None:
    network = Tagger(kind).eval()
    rows, steps = torch.export.Dim("rows"), torch.export.Dim("steps")
    program = torch.export.export(
        network,
        (torch.randn(B, T, I), LENGTHS),
        dynamic_shapes={"x": {0: rows, 1: steps}, "lengths": {0: rows}},
    ).module()
    for count, length in ((4, 6), (2, 9), (7, 3)):
        x, lengths = torch.randn(count, length, I), torch.arange(count) % (length + 1)
        torch.testing.assert_close(program(x, lengths), network(x, lengths), rtol=1e-5, atol=1e-6)


@every_kind
def test_a_varied_layer_is_exported_for_its_number_of_steps(kind: str) -> None:
    layer = made(kind, layer_norm=True).eval()
    x = torch.randn(B, T, I)
    program = torch.export.export(layer, (x,)).module()
    torch.testing.assert_close(tensors(program(x)), tensors(layer(x)), rtol=1e-5, atol=1e-6)
