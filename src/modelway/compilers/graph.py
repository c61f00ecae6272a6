"""An ONNX graph under construction: values are names, operations append nodes.

The bytes depend on nothing but the calls made: names are counted, equal constants are shared,
nodes that no output needs are left out.

Source: ONNX IR specification; operators of ai.onnx opset 21 and ai.onnx.ml opset 5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from modelway.compilers.leaf_tables import add_leaf_tables

Array = npt.NDArray[Any]
Operand = str | Array | np.float32 | float | int
"""A value's name, or a constant: numpy's keep their dtype, a float is float64, an int is int64."""

ElementType = Literal["double", "float", "int64", "string", "bool"]

OPSET = 21
ML_OPSET = 5
IR_VERSION = 10
ML = "ai.onnx.ml"
ROUNDING = "float32 and back"

_ELEMENT_CODES: dict[ElementType, int] = {
    "float": 1,
    "int64": 7,
    "string": 8,
    "bool": 9,
    "double": 11,
}


@dataclass(frozen=True, slots=True)
class _Port:
    name: str
    element: ElementType
    shape: tuple[str | int, ...]


class Step(NamedTuple):
    """How columns come of others: by an operation with a constant each, or by ``ROUNDING``."""

    kind: str
    source: str
    constants: Array | None


_INEXACT = frozenset(("Pow", "Log", "Exp", "Tanh", "Erf", "Sigmoid", "Softmax"))


class Graph:
    """Nodes, constants, inputs and outputs of one ONNX model."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._constant_names: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._steps: dict[str, Step] = {}
        self._farthest: dict[str, float] = {}
        self._inputs: list[_Port] = []
        self._outputs: list[_Port] = []
        self._count = 0

    def input(self, name: str, element: ElementType, width: int) -> str:
        """An input of shape (n_rows, width)."""
        self._inputs.append(_Port(name, element, ("n_rows", width)))
        return name

    def constant(self, value: Array | np.float32 | float | int) -> str:
        """The name of a constant; text arrays (dtype U or object) become string tensors."""
        from onnx import helper, numpy_helper

        array = np.asarray(value)
        if array.dtype.kind in "UO":
            texts = [str(v).encode() for v in array.ravel().tolist()]
            key = ("string", array.shape, b"\x00".join(texts) + str(len(texts)).encode())
        else:
            array = np.ascontiguousarray(array).reshape(array.shape)
            key = (array.dtype.str, array.shape, array.tobytes())
        name = self._constant_names.get(key)
        if name is None:
            name = f"k{len(self._constant_names)}"
            self._constant_names[key] = name
            self._constants[name] = (
                helper.make_tensor(name, _ELEMENT_CODES["string"], array.shape, texts)
                if key[0] == "string"
                else numpy_helper.from_array(array, name)
            )
        return name

    def op(
        self, kind: str, *operands: Operand, domain: str = "", outputs: int = 1, **attributes: Any
    ) -> str:
        """Append a node and return the name of its first output.

        The others, of a node with several, are that name with ``_1``, ``_2`` behind.
        """
        from onnx import helper

        names = [o if isinstance(o, str) else self.constant(o) for o in operands]
        first = f"v{self._count}"
        self._count += 1
        produced = [first, *(f"{first}_{i}" for i in range(1, outputs))]
        given = {k: v for k, v in attributes.items() if v is not None}
        self._nodes.append(helper.make_node(kind, names, produced, domain=domain, **given))
        return first

    def is_inexact(self, value: str) -> bool:
        """Whether a value comes of an operator whose last bit libraries do not agree on."""
        by_output = {name: node for node in self._nodes for name in node.output}
        left, seen = [value], {value}
        while left:
            node = by_output.get(left.pop())
            if node is None:
                continue
            if node.op_type in _INEXACT:
                return True
            new = set(node.input) - seen
            seen |= new
            left += new
        return False

    def cast(self, value: str, element: ElementType) -> str:
        """``value`` in another element type, rounded to nearest."""
        return self.op("Cast", value, to=_ELEMENT_CODES[element])

    def columnwise(self, kind: str, value: str, constants: Array) -> str:
        """An operation of every column of (n_rows, n_columns) with its own constant."""
        made = self.op(kind, value, constants)
        self._steps[made] = Step(kind, value, constants)
        return made

    def float32_rounded(self, value: str) -> str:
        """A double value rounded to float32 and back, as scikit-learn's trees take their inputs."""
        rounded = self.cast(self.cast(value, "float"), "double")
        self._steps[rounded] = Step(ROUNDING, value, None)
        return rounded

    def step_to(self, value: str) -> Step | None:
        """How the columns of ``value`` were made of as many others, each by itself."""
        return self._steps.get(value)

    def note_farthest(self, value: str, farthest: float) -> None:
        """Remember that no element of ``value`` is farther from 0 than this, NaN aside."""
        self._farthest[value] = farthest

    def farthest(self, value: str) -> float:
        """How far from 0 an element of ``value`` may be; infinity where nobody knows."""
        return self._farthest.get(value, math.inf)

    def columns(self, value: str, index: Sequence[int] | Array) -> str:
        """The columns of a matrix that ``index`` names, in its order."""
        return self.op("Gather", value, np.asarray(index, dtype=np.int64), axis=1)

    def concatenate(self, values: Sequence[str]) -> str:
        """Matrices side by side."""
        return values[0] if len(values) == 1 else self.op("Concat", *values, axis=1)

    def flatten(self, value: str) -> str:
        """An (n_rows, 1) value as (n_rows,)."""
        return self.op("Reshape", value, np.array([-1], dtype=np.int64))

    def column(self, value: str) -> str:
        """An (n_rows,) value as (n_rows, 1)."""
        return self.op("Reshape", value, np.array([-1, 1], dtype=np.int64))

    def argmax(self, value: str) -> str:
        """Position of the first largest value of each row of a matrix, int64 (n_rows,)."""
        return self.op("ArgMax", value, axis=1, keepdims=0)

    def sum_rows(self, value: str) -> str:
        """The sum of each row of a matrix, (n_rows, 1)."""
        return self.op("ReduceSum", value, np.array([1], dtype=np.int64), keepdims=1)

    def output(
        self, name: str, value: str, element: ElementType, shape: tuple[str | int, ...]
    ) -> None:
        """Give ``value`` out as ``name``; the first axis of ``shape`` is ``n_rows``."""
        from onnx import helper

        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(_Port(name, element, shape))

    def serialized(self) -> bytes:
        """The model's bytes, with nothing in it that no output needs."""
        from onnx import helper

        nodes, used = self._needed()
        graph = helper.make_graph(
            nodes,
            "modelway",
            [_value_info(p) for p in self._inputs],
            [_value_info(p) for p in self._outputs],
            [tensor for name, tensor in self._constants.items() if name in used],
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_OPSET)],
            ir_version=IR_VERSION,
            producer_name="modelway",
        )
        add_leaf_tables(model)
        serialized: bytes = model.SerializeToString(deterministic=True)
        return serialized

    def _needed(self) -> tuple[list[Any], set[str]]:
        used = {p.name for p in self._outputs}
        kept = []
        for node in reversed(self._nodes):
            if used.intersection(node.output):
                used.update(node.input)
                kept.append(node)
        kept.reverse()
        return kept, used


def _value_info(port: _Port) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(port.name, _ELEMENT_CODES[port.element], list(port.shape))
