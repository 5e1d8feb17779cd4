"""LSTM steps for ONNX Runtime, as graphs of its LSTM node or of a matrix product and activations; float32 or int8."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from recurra.cells import LSTM
from recurra.networks import TokenNetwork

FORMS = ("node", "product")

Array = NDArray[Any]


class Graph:
    """A graph in the making: nodes, constants, and the states that go in and come out."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.states: dict[str, tuple[int, ...]] = {}

    def add(self, kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, outputs, **attributes))
        return outputs[0]

    def constant(self, name: str, value: Array) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def state(self, name: str, *shape: int) -> str:
        self.states[name] = shape
        return name

    def model(self, entering: Any, leaving: Any) -> Any:
        values = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in self.states.items()
        ]
        after = [
            helper.make_tensor_value_info(f"{n}_after", TensorProto.FLOAT, s) for n, s in self.states.items()
        ]
        graph = helper.make_graph(self.nodes, "step", [entering, *values], [leaving, *after], self.constants)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(made)
        return made


def cell_maker(cell: LSTM, form: str, kind: str) -> Callable[[int], Steps]:
    """One LSTM step; what is returned makes it for a number of threads."""
    graph, units = Graph(), cell.hidden_size
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, cell.input_size))
    h = lstm(graph, cell, "x", "l0", form)
    graph.add("Identity", [h], ["y"])
    model = graph.model(x, helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, units)))
    return maker(model, kind, np.zeros((1, cell.input_size), np.float32), "y")


def network_maker(network: TokenNetwork, form: str, kind: str) -> Callable[[int], Steps]:
    """A network of tokens: a number goes in, scores come out."""
    graph, cells = Graph(), list(network.recurrent.layers)
    vocabulary = network.embedding.vocabulary
    table = graph.constant("embedding", network.embedding.weight.detach().numpy())
    x = graph.add("Gather", [table, "word"], ["x"])
    for number, cell in enumerate(cells):
        x = lstm(graph, cell, x, f"l{number}", form)  # type: ignore[arg-type]
    matrix = graph.constant("head", network.head.weight.detach().numpy().T)  # type: ignore[operator]
    bias = graph.constant("head_bias", network.head.bias.detach().numpy())  # type: ignore[operator, union-attr]
    graph.add("Add", [graph.add("MatMul", [x, matrix], ["product"]), bias], ["y"])
    word = helper.make_tensor_value_info("word", TensorProto.INT64, (1,))
    model = graph.model(word, helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, vocabulary)))
    return maker(model, kind, np.zeros(1, np.int64), "y")


def lstm(graph: Graph, cell: LSTM, x: str, name: str, form: str) -> str:
    """Add one LSTM step; the name of its h (1, H)."""
    w, u, bias = (each.detach().numpy() for each in (cell.weight_ih, cell.weight_hh, cell.bias))
    return (node if form == "node" else product)(graph, x, name, w, u, bias)


def node(graph: Graph, x: str, name: str, w: Array, u: Array, bias: Array) -> str:
    units = u.shape[1]

    def gates(matrix: Array) -> Array:
        i, f, g, o = np.split(matrix, 4)
        return np.concatenate([i, o, f, g])[None]

    both = np.concatenate([gates(bias), np.zeros((1, 4 * units), np.float32)], 1)
    axis = graph.constant(f"{name}_axis", np.array([0]))
    step = graph.add("Unsqueeze", [x, axis], [f"{name}_x"])
    weights = [
        graph.constant(f"{name}_{key}", each) for key, each in (("w", gates(w)), ("u", gates(u)), ("b", both))
    ]
    h, c = (graph.state(f"{name}_{key}", 1, 1, units) for key in "hc")
    inputs = [step, *weights, "", h, c]
    graph.add("LSTM", inputs, ["", f"{h}_after", f"{c}_after"], hidden_size=units)
    return graph.add("Squeeze", [f"{h}_after", axis], [f"{name}_y"])


def product(graph: Graph, x: str, name: str, w: Array, u: Array, bias: Array) -> str:
    units = u.shape[1]
    h, c = (graph.state(f"{name}_{key}", 1, units) for key in "hc")
    both = graph.add("Concat", [x, h], [f"{name}_both"], axis=1)
    matrix = graph.constant(f"{name}_matrix", np.concatenate([w, u], 1).T)
    z = graph.add("MatMul", [both, matrix], [f"{name}_product"])
    z = graph.add("Add", [z, graph.constant(f"{name}_bias", bias)], [f"{name}_z"])
    gates = [f"{name}_{key}" for key in "ifgo"]
    graph.add("Split", [z], gates, axis=1)
    i, f, o = (graph.add("Sigmoid", [gates[at]], [f"{gates[at]}_open"]) for at in (0, 1, 3))
    g = graph.add("Tanh", [gates[2]], [f"{name}_candidate"])
    kept, new = graph.add("Mul", [f, c], [f"{name}_kept"]), graph.add("Mul", [i, g], [f"{name}_new"])
    graph.add("Add", [kept, new], [f"{c}_after"])
    out = graph.add("Tanh", [f"{c}_after"], [f"{name}_out"])
    return graph.add("Mul", [o, out], [f"{h}_after"])


def maker(model: Any, kind: str, entering: Array, leaving: str) -> Callable[[int], Steps]:
    """Sessions of the model, quantized where `kind` says int8."""
    return lambda count: Steps(quantized(model) if kind == "int8" else model, entering, leaving, count)


def quantized(model: Any) -> Any:
    """Weights of matrix products and LSTM nodes as signed bytes, activations measured at every call."""
    logging.getLogger().setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "int8.onnx"
        kinds = ["MatMul", "LSTM"]
        # Without VNNI, products of 8 bits saturate: outputs were 40 % off.
        quantize_dynamic(
            model, file, op_types_to_quantize=kinds, weight_type=QuantType.QInt8, reduce_range=True
        )
        return onnx.load(file)


class Steps:
    """A session that keeps its state: two sets of buffers, each step reads one and writes the other."""

    def __init__(self, model: Any, entering: Array, leaving: str, count: int) -> None:
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = count, 1
        settings.log_severity_level = 3
        session = onnxruntime.InferenceSession(model.SerializeToString(), settings, ["CPUExecutionProvider"])
        self.session, self.entering, self.turn = session, entering.copy(), 0
        first, *states = session.get_inputs()
        out, *_ = session.get_outputs()
        self.out = np.zeros(out.shape, np.float32)
        value = onnxruntime.OrtValue.ortvalue_from_numpy
        sets = [{each.name: value(np.zeros(each.shape, np.float32)) for each in states} for _ in range(2)]
        x, y = value(self.entering), value(self.out)
        self.bindings = []
        for before, after in (sets, sets[::-1]):
            binding = session.io_binding()
            binding.bind_ortvalue_input(first.name, x)
            binding.bind_ortvalue_output(leaving, y)
            for name in before:
                binding.bind_ortvalue_input(name, before[name])
                binding.bind_ortvalue_output(f"{name}_after", after[name])
            self.bindings.append(binding)

    def step(self, x: Any) -> Array:
        """What comes out (its memory is used again by the next step)."""
        self.entering[...] = x
        self.session.run_with_iobinding(self.bindings[self.turn])
        self.turn = 1 - self.turn
        out: Array = self.out[0]
        return out
