"""The ONNX standard's own node tests for RNN, GRU and LSTM, run on recurra's cells (tests/golden/README.md).

Beside them nodes with drawn weights (`drawn_…`): the standard's are mostly alike, which hides the order of gates.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from recurra.cell import Cell
from recurra.cells import GRU, LSTM, Elman
from recurra.ops import ragged

FILE = Path(__file__).parents[1] / "golden" / "onnx_nodes.safetensors"
with safe_open(FILE, "pt") as opened:
    NODES: dict[str, dict[str, Any]] = json.loads(opened.metadata()["about"])["nodes"]


def gates(tensor: Tensor, order: tuple[int, ...]) -> Tensor:
    """The blocks of the first axis in another order."""
    blocks = tensor.chunk(len(order))
    return torch.cat([blocks[i] for i in order])


@torch.no_grad()
def cell_of(operator: str, attributes: dict[str, Any], given: dict[str, Tensor], way: int) -> Cell:
    """The cell of one direction, its gates brought from the standard's order into torch's."""
    w, r = given["W"][way], given["R"][way]
    wb, rb = given["B"][way].chunk(2) if "B" in given else w.new_zeros(2, w.shape[0])
    sizes = w.shape[1], r.shape[1]
    if operator == "RNN":
        cell, order, bias = Elman(*sizes).to(w), (0,), wb + rb
    elif operator == "GRU":  # z, r, h
        after = bool(attributes.get("linear_before_reset", 0))
        cell, order = GRU(*sizes, reset_after=after).to(w), (1, 0, 2)
        bias = torch.cat([(wb + rb)[: 2 * sizes[1]], wb[2 * sizes[1] :]])
        cell.bias_hn.copy_(rb[2 * sizes[1] :])
    else:  # i, o, f, c; peepholes i, o, f
        cell, order, bias = LSTM(*sizes, peephole="P" in given).to(w), (0, 2, 3, 1), wb + rb
        if "P" in given:
            cell.weight_peephole.copy_(given["P"][way].view(3, -1)[[0, 2, 1]])
    cell.weight_ih.copy_(gates(w, order))
    cell.weight_hh.copy_(gates(r, order))
    cell.bias.copy_(gates(bias, order))
    return cell.eval()


def run(operator: str, attributes: dict[str, Any], given: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the node gives, in the standard's shapes: Y (T, ways, B, H), Y_h and Y_c (ways, B, H); layout 1: B first."""
    x = given["X"] if attributes.get("layout") else given["X"].transpose(0, 1)
    direction = attributes.get("direction", "forward")
    backwards = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}[direction]
    lengths = given.get("sequence_lens")
    outputs, states = [], []
    for way, back in enumerate(backwards):
        cell = cell_of(operator, attributes, given, way)
        state = cell.initial_state(x.shape[0])
        if "initial_h" in given:
            named = [given[name][way] for name in ("initial_h", "initial_c") if name in given]
            state = type(state)(*named) if isinstance(state, tuple) else named[0]
        y, state = cell.sequence(ragged.reverse(x, lengths) if back else x, state, lengths)
        outputs.append(ragged.reverse(y, lengths) if back else y)
        states.append(state if isinstance(state, tuple) else (state,))
    axis = 1 if attributes.get("layout") else 0
    y = torch.stack(outputs, 2)
    found = {"Y": y if axis else y.permute(1, 2, 0, 3)}
    last = (torch.stack(each, axis) for each in zip(*states, strict=True))
    return found | dict(zip(("Y_h", "Y_c"), last, strict=False))


def test_all_of_them_are_here() -> None:
    operators = [node["operator"] for name, node in NODES.items() if name.startswith("test_")]
    assert {name: operators.count(name) for name in set(operators)} == {"RNN": 6, "GRU": 6, "LSTM": 6}


@pytest.mark.parametrize("name", NODES)
def test_node(name: str) -> None:
    node = NODES[name]
    tensors = {
        key.split(".")[1]: value for key, value in load_file(FILE).items() if key.startswith(f"{name}.")
    }
    expected = {key: tensors.pop(key) for key in node["outputs"]}
    with torch.no_grad():
        found = run(node["operator"], node["attributes"], tensors)
    for key, value in expected.items():
        slack = (
            {"rtol": 1e-5, "atol": 1e-6} if value.dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-12}
        )
        torch.testing.assert_close(found[key], value, **slack, msg=lambda text, key=key: f"{key}: {text}")
