"""The model ``simple_string`` that Triton's example clients expect, as an ONNX graph.

INPUT0 and INPUT1 are whole numbers as text, BYTES [n, 16]; OUTPUT0 is their sum and OUTPUT1 their
difference, as text too. A text that is no number counts as 0.
"""

from __future__ import annotations

from pathlib import Path

from onnx import NodeProto, TensorProto, checker, helper

_SHAPE = ["n", 16]
_WHOLE_NUMBER = r"[+-]?[0-9]{1,9}"
_OPSET, _IR = 20, 9


def write_simple_string(path: Path) -> Path:
    """The graph as a file."""
    inputs, outputs = ("INPUT0", "INPUT1"), ("OUTPUT0", "OUTPUT1")
    nodes = [_text("zero", "0")]
    for name in inputs:
        nodes += [
            helper.make_node("RegexFullMatch", [name], [f"{name}_fits"], pattern=_WHOLE_NUMBER),
            helper.make_node("Where", [f"{name}_fits", name, "zero"], [f"{name}_text"]),
            helper.make_node("Cast", [f"{name}_text"], [f"{name}_number"], to=TensorProto.INT32),
        ]
    numbers = [f"{name}_number" for name in inputs]
    for kind, name in zip(("Add", "Sub"), outputs, strict=True):
        nodes.append(helper.make_node(kind, numbers, [f"{name}_number"]))
        nodes.append(helper.make_node("Cast", [f"{name}_number"], [name], to=TensorProto.STRING))
    graph = helper.make_graph(
        nodes,
        "simple_string",
        [helper.make_tensor_value_info(name, TensorProto.STRING, _SHAPE) for name in inputs],
        [helper.make_tensor_value_info(name, TensorProto.STRING, _SHAPE) for name in outputs],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR
    )
    checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def _text(name: str, content: str) -> NodeProto:
    value = helper.make_tensor(name, TensorProto.STRING, [], [content.encode()])
    return helper.make_node("Constant", [], [name], value=value)
