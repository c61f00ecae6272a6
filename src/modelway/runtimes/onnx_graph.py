"""What an ONNX graph says of itself: its inputs as a signature, its outputs, its classes.

A graph whose first output is a label and that holds a list of class labels is a classifier. Inputs
that are all (n_rows, 1) are columns under their own names; a single (n_rows, k) input of a model
that answers one value or one label a row is k columns; everything else is tensors.

Source: ONNX-ML operators with ``classlabels_*`` and ``cats_*`` attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from modelway.bundles.manifest import Layout, Task
from modelway.bundles.ports import Description
from modelway.domain.errors import LoadFailed, MissingExtra
from modelway.domain.signature import Column, Datatype, Scalar, Signature, TensorSpec

_MOST_COLUMNS = 2000


@dataclass(frozen=True, slots=True)
class Element:
    """An element type of a graph, as numpy and as the signature have it."""

    dtype: np.dtype[Any]
    datatype: Datatype


ELEMENTS = {
    "tensor(bool)": Element(np.dtype(np.bool_), Datatype.BOOL),
    "tensor(uint8)": Element(np.dtype(np.uint8), Datatype.UINT8),
    "tensor(uint16)": Element(np.dtype(np.uint16), Datatype.UINT16),
    "tensor(uint32)": Element(np.dtype(np.uint32), Datatype.UINT32),
    "tensor(uint64)": Element(np.dtype(np.uint64), Datatype.UINT64),
    "tensor(int8)": Element(np.dtype(np.int8), Datatype.INT8),
    "tensor(int16)": Element(np.dtype(np.int16), Datatype.INT16),
    "tensor(int32)": Element(np.dtype(np.int32), Datatype.INT32),
    "tensor(int64)": Element(np.dtype(np.int64), Datatype.INT64),
    "tensor(float16)": Element(np.dtype(np.float16), Datatype.FP16),
    "tensor(float)": Element(np.dtype(np.float32), Datatype.FP32),
    "tensor(double)": Element(np.dtype(np.float64), Datatype.FP64),
    "tensor(string)": Element(np.dtype(object), Datatype.STRING),
}


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """A file and the session that is open over it."""

    path: Path
    session: Any


def describe(model: OnnxModel) -> Description:
    """The signature, task and classes of a graph.

    Raises:
        LoadFailed: an input is of a type that requests cannot hold.
    """
    inputs = [_spec(one) for one in model.session.get_inputs()]
    outputs = model.session.get_outputs()
    classes = _classes(model.path) if outputs[0].type in _LABELS else None
    libraries = {"onnxruntime": onnxruntime.__version__}
    per_row = classes is not None or (
        len(outputs) == 1 and outputs[0].type in _VALUES and len(outputs[0].shape) <= 2
    )
    if per_row and (columns := _columns(inputs)):
        layout: Layout = "matrix" if len(inputs) == 1 else "columns"
        task = Task.REGRESSION if classes is None else Task.CLASSIFICATION
        probabilities = classes is not None and len(outputs) > 1
        signature = Signature(columns=columns)
        return Description(task, layout, classes, probabilities, signature, libraries=libraries)
    signature = Signature(
        tensors=tuple(inputs),
        outputs=tuple(_spec(one) for one in outputs if one.type in ELEMENTS),
    )
    return Description(Task.FUNCTION, "tensors", signature=signature, libraries=libraries)


_LABELS = ("tensor(int64)", "tensor(string)")
_VALUES = ("tensor(float)", "tensor(double)", "tensor(int64)")


def _spec(port: Any) -> TensorSpec:
    if port.type not in ELEMENTS:
        raise LoadFailed(f"the graph's {port.name!r} is a {port.type}, which cannot be served")
    shape = tuple(n if isinstance(n, int) else -1 for n in port.shape)
    # The first axis is the rows, whatever number of them the graph was exported with.
    return TensorSpec(port.name, ELEMENTS[port.type].datatype, shape)


def _columns(inputs: Sequence[TensorSpec]) -> tuple[Column, ...]:
    """The columns that the inputs amount to; none where they are tensors."""
    if any(len(spec.shape) != 2 or spec.shape[0] != -1 for spec in inputs):
        return ()
    if len(inputs) == 1 and 1 <= inputs[0].shape[1] <= _MOST_COLUMNS:
        names = [f"x{i + 1}" for i in range(inputs[0].shape[1])]
        kinds = [inputs[0].datatype] * len(names)
    elif all(spec.shape[1] == 1 for spec in inputs):
        names, kinds = [spec.name for spec in inputs], [spec.datatype for spec in inputs]
    else:
        return ()
    return tuple(Column(name, name, kind) for name, kind in zip(names, kinds, strict=True))


def _classes(path: Path) -> tuple[Scalar, ...] | None:
    """The labels of the graph's classifier node; None where it has none."""
    try:
        import onnx
    except ImportError:
        raise MissingExtra("onnx", "sklearn", "reading the labels of an ONNX model") from None

    for node in reversed(onnx.load(path).graph.node):
        for attribute in node.attribute:
            if attribute.name.startswith(("classlabels_", "classes_")):
                if attribute.ints:
                    return tuple(attribute.ints)
                if attribute.strings:
                    return tuple(text.decode() for text in attribute.strings)
    return None
