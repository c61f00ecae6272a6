"""A signature in MLflow's form, so that its pages show it and its own loader checks inputs by it.

Source: MLflow, "Model Signatures And Input Examples".
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from modelway.bundles.inferring import is_counted
from modelway.bundles.manifest import Manifest, Task
from modelway.domain.signature import Column, Datatype, Scalar, Signature, TensorSpec
from modelway.domain.tables import NUMPY_DTYPES

_TYPES = {
    Datatype.BOOL: "boolean",
    Datatype.INT8: "integer",
    Datatype.INT16: "integer",
    Datatype.INT32: "integer",
    Datatype.INT64: "long",
    Datatype.UINT8: "integer",
    Datatype.UINT16: "integer",
    Datatype.UINT32: "long",
    Datatype.UINT64: "long",
    Datatype.FP16: "float",
    Datatype.FP32: "float",
    Datatype.FP64: "double",
    Datatype.BYTES: "binary",
    Datatype.STRING: "string",
    Datatype.DATETIME: "datetime",
}
_LABELS: tuple[tuple[type[Scalar], str], ...] = (
    (bool, "boolean"),
    (int, "long"),
    (float, "double"),
    (str, "string"),
)


def mlflow_signature(signature: Signature, manifest: Manifest) -> dict[str, Any]:
    """The signature as an MLmodel file has it.

    A matrix whose columns have no names of their own is one tensor, as whoever trained the model
    gave it. Whole numbers that were never missing in training are ``long``, as pandas reads them.
    """
    outputs = _outputs(signature, manifest)
    return {
        "inputs": _json(_inputs(signature, set(manifest.whole_numbers))),
        "outputs": _json(outputs) if outputs else None,
        "params": None,
    }


def _inputs(signature: Signature, whole: Collection[str]) -> list[dict[str, Any]]:
    if not signature.is_tabular:
        return [_tensor(one) for one in signature.tensors]
    columns = signature.columns
    if signature.is_numeric and is_counted([one.name for one in columns]):
        return [_tensor(TensorSpec("", Datatype.FP64, (-1, len(columns))))]
    return [
        {"type": _type(one, whole), "name": one.name, "required": not one.nullable}
        for one in columns
    ]


def _type(column: Column, whole: Collection[str]) -> str:
    if column.datatype is Datatype.CATEGORICAL:
        return "string" if column.is_text else "long"
    if column.name in whole and column.datatype is Datatype.FP64 and column.was_never_missing:
        return "long"
    return _TYPES[column.datatype]


def _outputs(signature: Signature, manifest: Manifest) -> list[dict[str, Any]]:
    """What the model itself gives; nothing where that is not known."""
    if signature.outputs:
        return [_tensor(one) for one in signature.outputs]
    if manifest.classes:
        first = manifest.classes[0]
        return [{"type": next(name for kind, name in _LABELS if isinstance(first, kind))}]
    return [{"type": "double"}] if manifest.task is Task.REGRESSION else []


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    dtype = NUMPY_DTYPES[spec.datatype].name
    described = {"dtype": dtype, "shape": list(spec.shape)}
    named = {"name": spec.name} if spec.name else {}
    return {"type": "tensor", "tensor-spec": described, **named}


def _json(entries: list[dict[str, Any]]) -> str:
    return msgspec.json.encode(entries).decode()
