"""ONNX files of layers and of cells' steps: the standard's nodes, free sizes, ONNX Runtime's numbers."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from peers import KINDS, B, H, I, T, tensors
from torch import Tensor, nn

import recurra.nn
from recurra import state
from recurra.cell import Cell
from recurra.cells import CELLS
from recurra.networks.blocks import BLOCKS
from recurra.nn.onnx import export, export_step

LENGTHS = torch.tensor([T, 2, 0, 5])
STACK = {"num_layers": 2, "bidirectional": True}
SIZES = [(4, 6), (1, 1), (7, 2), (2, 11)]
CASES: list[tuple[str, dict[str, Any]]] = [
    ("RNN", {}),
    ("RNN", {**STACK, "nonlinearity": "relu"}),
    ("GRU", {}),
    ("GRU", STACK),
    ("GRU", {"reset_after": False}),
    ("GRU", {"bias": False}),
    ("LSTM", {}),
    ("LSTM", {**STACK, "bias": False}),
]

pytestmark = pytest.mark.slow  # torch reads its whole table of operators again for every file


def made(kind: str, **options: Any) -> Any:
    return getattr(recurra.nn, kind)(I, H, batch_first=True, **options).eval()


def outputs(layer: Any) -> list[str]:
    return ["y", "h", "c"] if isinstance(layer, recurra.nn.LSTM) else ["y", "h"]


def nodes(file: Path) -> list[onnx.NodeProto]:
    model = onnx.load(file)
    onnx.checker.check_model(model)
    assert [each.domain for each in model.opset_import] == [""]
    return list(model.graph.node)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}


@torch.no_grad()
def assert_same(file: Path, run: Any, *inputs: Tensor) -> None:
    """ONNX Runtime's numbers are torch's."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    fed = dict(zip((each.name for each in session.get_inputs()), inputs, strict=True))
    found = session.run(None, {name: each.numpy() for name, each in fed.items()})
    expected = tensors(run(*inputs))
    assert len(found) == len(expected)
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, two.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "options"), CASES)
@pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])
def test_a_layer_is_nodes_of_the_standard(
    kind: str, options: dict[str, Any], ragged: bool, tmp_path: Path
) -> None:
    layer, file = made(kind, **options), tmp_path / "layer.onnx"
    inputs: dict[str, Any] = {"x": ("rows", "steps")} | ({"lengths": ("rows",)} if ragged else {})
    export(
        layer,
        (torch.randn(B, T, I),),
        file,
        kwargs={"lengths": LENGTHS} if ragged else None,
        inputs=inputs,
        outputs=outputs(layer),
    )
    found = [node for node in nodes(file) if node.op_type in KINDS]
    assert [node.op_type for node in found] == [kind] * (4 if options.get("num_layers") == 2 else 1)
    assert {"Loop", "Scan", "If"}.isdisjoint(node.op_type for node in nodes(file))
    ways = [attributes(node)["direction"] for node in found]
    assert ways == ([b"forward", b"reverse"] * 2 if "bidirectional" in options else [b"forward"])
    assert all(bool(node.input[4]) == ragged for node in found)
    if kind == "GRU":
        assert attributes(found[0])["linear_before_reset"] == int(options.get("reset_after", True))
    for rows, steps in SIZES:
        x, lengths = torch.randn(rows, steps, I), torch.arange(rows) % (steps + 1)
        assert_same(file, lambda x, n=None: layer(x, lengths=n), *((x, lengths) if ragged else (x,)))


class Tagger(nn.Module):
    """A network of words, with a layer, its state and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, I)
        self.layer = recurra.nn.LSTM(I, H, batch_first=True)
        self.head = nn.Linear(H, 3)

    def forward(self, words: Tensor, hx: tuple[Tensor, Tensor], lengths: Tensor) -> Any:
        y, after = self.layer(self.embedding(words), hx, lengths=lengths)
        return self.head(y), after


def test_a_network_with_its_state_goes_into_a_file(tmp_path: Path) -> None:
    network, file = Tagger().eval(), tmp_path / "tagger.onnx"

    def given(rows: int, steps: int) -> Any:
        words, lengths = torch.randint(0, 10, (rows, steps)), torch.arange(rows) % (steps + 1)
        return words, (torch.randn(1, rows, H), torch.randn(1, rows, H)), lengths

    state_axes = (None, "rows")
    export(
        network,
        given(3, 4),
        file,
        inputs={"words": ("rows", "steps"), "h": state_axes, "c": state_axes, "lengths": ("rows",)},
        outputs=["scores", "next_h", "next_c"],
    )
    assert sum(node.op_type == "LSTM" for node in nodes(file)) == 1
    for sizes in SIZES:
        words, (h, c), lengths = given(*sizes)
        assert_same(file, lambda w, h, c, n: network(w, (h, c), n), words, h, c, lengths)


def test_time_may_come_first(tmp_path: Path) -> None:
    layer, file = recurra.nn.GRU(I, H).eval(), tmp_path / "layer.onnx"
    export(layer, (torch.randn(T, B, I),), file, inputs={"x": ("steps", "rows")}, outputs=["y", "h"])
    assert_same(file, layer, torch.randn(9, 2, I))


@pytest.mark.parametrize("kind", [*CELLS, *BLOCKS], ids=lambda kind: kind.__name__)
def test_every_cells_step_goes_into_a_file(kind: Any, tmp_path: Path) -> None:
    generator, file = torch.Generator().manual_seed(1), tmp_path / "step.onnx"
    cell: Cell = kind(*((8,) if kind in BLOCKS else (3, 8)), generator=generator).eval()
    export_step(cell, file)
    names = list(state.flatten(cell.initial_state(1)))
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == ["x", *names]
    assert [each.name for each in session.get_outputs()] == ["y", *(f"next_{name}" for name in names)]
    for rows in (1, 5):
        now = cell.initial_state(rows)
        fed = {name: leaf.numpy() for name, leaf in state.flatten(now).items()}
        for _ in range(6):  # the state goes round in ONNX Runtime
            x = torch.randn(rows, cell.input_size)
            with torch.no_grad():
                y, now = cell.step(x, now)
            found, *after = session.run(None, {"x": x.numpy(), **fed})
            fed = dict(zip(names, after, strict=True))
            np.testing.assert_allclose(found, y.numpy(), rtol=1e-3, atol=1e-4)


X = torch.randn(B, T, I)


@pytest.mark.parametrize(
    ("layer", "call", "message"),
    [
        ("LSTM", {"options": {"proj_size": 2}}, "the standard's LSTM has no projection, so proj_size=2"),
        ("GRU", {"training": True}, r"call its \.eval\(\) first"),
        ("GRU", {"inputs": {"x": (), "h": ()}}, "1 tensors are given, but inputs has 2 names: x, h"),
        ("GRU", {"inputs": {"x": ("a", "b", "c", "d")}}, r"x has 3 axes, \(4, 6, 3\), but 4 names"),
        ("GRU", {"inputs": {"x": ("a", "a")}}, "a is 4 in one input and 6 in x"),
        ("GRU", {"x": X[:1], "inputs": {"x": ("a",)}}, "a is 1 in x: give 2 or more"),
        ("GRU", {"outputs": ["y"]}, "gives 2 tensors, but outputs has 1 names"),
    ],
)
def test_what_cannot_be_exported_is_told(
    layer: str, call: dict[str, Any], message: str, tmp_path: Path
) -> None:
    module = made(layer, **call.get("options", {})).train(call.get("training", False))
    with pytest.raises(ValueError, match=message):
        export(
            module,
            (call.get("x", X),),
            tmp_path / "layer.onnx",
            inputs=call.get("inputs", {"x": ("rows", "steps")}),
            outputs=call.get("outputs", outputs(module)),
        )
    assert list(tmp_path.iterdir()) == []


class Forgetful(nn.Module):
    """Counts its calls, which no file can: other numbers come out of it each time."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


def test_a_file_that_gives_other_numbers_is_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "network.onnx"
    file.write_bytes(b"the one before")
    with pytest.raises(ValueError, match=r"ONNX Runtime's y differs from torch's by up to .*, at rows \d"):
        export(Forgetful().eval(), (X,), file, inputs={"x": ("rows",)}, outputs=["y"])
    assert file.read_bytes() == b"the one before"
    assert list(tmp_path.iterdir()) == [file]


def test_missing_packages_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "recurra.nn.onnx")
    with pytest.raises(ImportError, match=r"pip install 'recurra\[onnx\]'"):
        importlib.import_module("recurra.nn.onnx")
