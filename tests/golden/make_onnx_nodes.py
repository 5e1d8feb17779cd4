"""Makes tests/golden/onnx_nodes.safetensors: the ONNX standard's own node tests of RNN, GRU and LSTM (Apache-2.0).

In an environment of its own:
    pip install torch==2.13.0 && pip install numpy safetensors onnx==1.23.2
    python tests/golden/make_onnx_nodes.py

Every test of these three operators that the package holds is taken, inputs and expected outputs as they are.
"""

from __future__ import annotations

import warnings

import onnx
import torch
from golden_file import write
from onnx.backend.test.loader import load_model_tests

OPERATORS = {"RNN", "GRU", "LSTM"}


def attributes(node: onnx.NodeProto) -> dict[str, object]:
    values = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}


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
        nodes[case.name]["rtol"], nodes[case.name]["atol"] = case.rtol, case.atol
    write("onnx_nodes", "onnx", "Apache-2.0", tensors, nodes=nodes)
    print("\n".join(f"  {name}: {node}" for name, node in nodes.items()))


if __name__ == "__main__":
    main()
