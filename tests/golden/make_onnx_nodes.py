"""Makes tests/golden/onnx_nodes.safetensors: the ONNX standard's own node tests of RNN, GRU and LSTM (Apache-2.0).

In an environment of its own:
    pip install torch==2.13.0 && pip install numpy safetensors onnx==1.23.2
    python tests/golden/make_onnx_nodes.py

Every test of these three operators that the package holds is taken, inputs and expected outputs as they are. Most of
their weights are all alike, which hides the order of gates: so there are nodes with drawn inputs too, in float64, with
what the package's reference evaluator gives. (It ignores `sequence_lens` and `input_forget`, so these are left out.)
"""

from __future__ import annotations

import warnings

import onnx
import torch
from golden_file import draw, generator, write
from onnx.backend.test.loader import load_model_tests
from onnx.reference import ReferenceEvaluator

OPERATORS = {"RNN": 1, "GRU": 3, "LSTM": 4}  # with their blocks of weights
STEPS, ROWS, INPUTS, HIDDEN = 4, 3, 2, 5
DRAWN = {
    "drawn_rnn_bidirectional": ("RNN", {"direction": "bidirectional"}),
    "drawn_gru_bidirectional": ("GRU", {"direction": "bidirectional"}),
    "drawn_gru_linear_before_reset": ("GRU", {"direction": "bidirectional", "linear_before_reset": 1}),
    "drawn_lstm_bidirectional": ("LSTM", {"direction": "bidirectional"}),
    "drawn_lstm_peepholes": ("LSTM", {"direction": "reverse"}),
}


def attributes(node: onnx.NodeProto) -> dict[str, object]:
    values = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}


def evaluate(name: str, rng: torch.Generator) -> tuple[dict[str, object], dict[str, torch.Tensor]]:
    """One of DRAWN: what `about` says of it, and its inputs and outputs."""
    operator, options = DRAWN[name]
    blocks, ways = OPERATORS[operator], 2 if options["direction"] == "bidirectional" else 1
    shapes = {
        "X": (STEPS, ROWS, INPUTS),
        "W": (ways, blocks * HIDDEN, INPUTS),
        "R": (ways, blocks * HIDDEN, HIDDEN),
        "B": (ways, 2 * blocks * HIDDEN),
        "initial_h": (ways, ROWS, HIDDEN),
    }
    if operator == "LSTM":
        shapes["initial_c"] = (ways, ROWS, HIDDEN)
    if name == "drawn_lstm_peepholes":
        shapes["P"] = (ways, 3 * HIDDEN)
    given = {key: draw(rng, *shape, scale=0.5).double() for key, shape in shapes.items()}
    order = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
    inputs = [key if key in given else "" for key in order[: order.index(list(given)[-1]) + 1]]
    outputs = ["Y", "Y_h", "Y_c"][: 3 if operator == "LSTM" else 2]
    attributes = {"hidden_size": HIDDEN, **options}
    node = onnx.helper.make_node(operator, inputs, outputs, **attributes)
    found = ReferenceEvaluator(node).run(None, {key: each.numpy() for key, each in given.items()})
    expected = {key: torch.from_numpy(each) for key, each in zip(outputs, found, strict=True)}
    return {"operator": operator, "outputs": outputs, "attributes": attributes}, given | expected


def main() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other operators' cases divide by zero on purpose
        cases = load_model_tests(kind="node")
    nodes, tensors = {}, {}
    for case in cases:
        graph = case.model.graph
        if len(graph.node) != 1 or graph.node[0].op_type not in OPERATORS:
            continue
        node = graph.node[0]
        [(inputs, outputs)] = case.data_sets
        names = [name for name in node.input if name], [name for name in node.output if name]
        nodes[case.name] = {"operator": node.op_type, "outputs": names[1], "attributes": attributes(node)}
        for name, value in [*zip(names[0], inputs, strict=True), *zip(names[1], outputs, strict=True)]:
            tensors[f"{case.name}.{name}"] = torch.from_numpy(value)
    rng = generator()
    for name in DRAWN:
        nodes[name], found = evaluate(name, rng)
        tensors |= {f"{name}.{key}": each for key, each in found.items()}
    write("onnx_nodes", "onnx", "Apache-2.0", tensors, nodes=nodes)
    print("\n".join(f"  {name}: {node}" for name, node in nodes.items()))


if __name__ == "__main__":
    main()
