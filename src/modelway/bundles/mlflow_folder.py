"""MLflow's model folders, read without MLflow: the file inside, and the signature.

Source: MLflow, "MLmodel file" and "Model Signatures And Input Examples".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from modelway.bundles.confined import confined
from modelway.bundles.inferring import ColumnFacts, SignatureFacts
from modelway.domain.errors import InvalidSignature, InvalidSource
from modelway.domain.signature import Datatype, Signature, TensorSpec

MLMODEL = "MLmodel"

FLAVOR = "modelway"
"""The flavour that Modelway writes: any file that it reads, and the signature in its own words."""

_FILES = {
    FLAVOR: "file",
    "sklearn": "pickled_model",
    "xgboost": "data",
    "lightgbm": "data",
    "catboost": "data",
    "onnx": "data",
}
"""Where each flavour that is read without MLflow names its file."""

_DATATYPES = {
    "boolean": Datatype.BOOL,
    "integer": Datatype.INT32,
    "long": Datatype.INT64,
    "float": Datatype.FP32,
    "double": Datatype.FP64,
    "string": Datatype.STRING,
    "binary": Datatype.BYTES,
    "datetime": Datatype.DATETIME,
}
_DTYPES = {
    "bool": Datatype.BOOL,
    "float16": Datatype.FP16,
    "float32": Datatype.FP32,
    "float64": Datatype.FP64,
    "str": Datatype.STRING,
    "object": Datatype.STRING,
    **{
        f"{sign}int{bits}": Datatype(f"{sign.upper()}INT{bits}")
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
}


@dataclass(frozen=True, slots=True)
class MlflowModel:
    """What an MLflow folder says of itself; ``file`` is None where only MLflow can read it.

    ``entry`` is the name of a function or class where the file is Python.
    """

    file: Path | None
    code: Path | None
    signature: SignatureFacts | None
    entry: str | None = None


class _TensorInfo(msgspec.Struct):
    dtype: str
    shape: tuple[int, ...]


class _Input(msgspec.Struct):
    type: str
    name: str | None = None
    required: bool = True
    tensor: _TensorInfo | None = msgspec.field(name="tensor-spec", default=None)


class _Signature(msgspec.Struct):
    inputs: str | None = None


class _MlModel(msgspec.Struct):
    flavors: dict[str, dict[str, Any]]
    signature: _Signature | None = None


class _Own(msgspec.Struct):
    file: str
    signature: Signature
    entry: str | None = None


def mlflow_model(folder: Path, content: object) -> MlflowModel:
    """What ``content``, that of the folder's MLmodel file, says.

    Raises:
        InvalidSource: it is not what MLflow writes, names a file outside its folder, or has a
            signature that cannot be served.
    """
    try:
        said = msgspec.convert(content, _MlModel)
        signature = _signature(said.signature)
    except msgspec.MsgspecError as error:
        raise InvalidSource(f"{folder / MLMODEL} cannot be read: {error}") from error
    for name, key in _FILES.items():
        flavor = said.flavors.get(name)
        if flavor and isinstance(flavor.get(key), str):
            code = flavor.get("code") or said.flavors.get("python_function", {}).get("code")
            file = _inside(folder, flavor[key])
            inside = _inside(folder, code) if code else None
            if name == FLAVOR:
                return _own(folder, file, inside, flavor)
            return MlflowModel(file, inside, signature)
    if "python_function" not in said.flavors:
        raise InvalidSource(
            f"{folder} has no flavour that is read here: {', '.join(said.flavors)}",
            hint=f"read are: {', '.join(_FILES)}, python_function",
        )
    return MlflowModel(None, None, signature)


def _own(folder: Path, file: Path, code: Path | None, said: Mapping[str, Any]) -> MlflowModel:
    try:
        own = msgspec.convert(said, _Own)
    except (InvalidSignature, msgspec.MsgspecError) as error:
        raise InvalidSource(f"{folder / MLMODEL} cannot be read: {error}") from error
    signature = own.signature
    facts = SignatureFacts(
        MLMODEL,
        columns=tuple(
            msgspec.convert(one, ColumnFacts, from_attributes=True) for one in signature.columns
        ),
        tensors=signature.tensors,
        outputs=signature.outputs,
        label_names=signature.label_names,
        description=signature.description,
    )
    return MlflowModel(file, code, facts, own.entry)


def _inside(folder: Path, name: object) -> Path:
    found = confined(folder, name) if isinstance(name, str) else None
    if found is None:
        raise InvalidSource(
            f"{folder / MLMODEL} names {name!r}, which is no path inside the folder",
            hint="copy what it names into the folder, and name it there",
        )
    return found


def _signature(said: _Signature | None) -> SignatureFacts | None:
    if said is None or not said.inputs:
        return None
    inputs = msgspec.json.decode(said.inputs, type=list[_Input])
    tensors = [one for one in inputs if one.tensor]
    if tensors:
        return _tensors(tensors)
    columns = tuple(
        ColumnFacts(
            one.name if one.name is not None else f"x{i + 1}",
            datatype=_datatype(one.type, _DATATYPES),
            nullable=not one.required,
            optional=not one.required,
        )
        for i, one in enumerate(inputs)
    )
    return SignatureFacts(MLMODEL, columns=columns) if columns else None


def _tensors(inputs: Sequence[_Input]) -> SignatureFacts:
    """Tensors; a single one of rows and columns that has no name is the columns of a matrix."""
    specs = [
        TensorSpec(one.name or "input", _datatype(one.tensor.dtype, _DTYPES), one.tensor.shape)
        for one in inputs
        if one.tensor
    ]
    shape = specs[0].shape
    if len(specs) == 1 and not inputs[0].name and len(shape) == 2 and shape[1] > 0:
        names = [f"x{i + 1}" for i in range(shape[1])]
        columns = tuple(ColumnFacts(name, datatype=specs[0].datatype) for name in names)
        return SignatureFacts(MLMODEL, columns=columns)
    return SignatureFacts(MLMODEL, tensors=tuple(specs))


def _datatype(name: str, known: Mapping[str, Datatype]) -> Datatype:
    found = known.get(name)
    if found is None:
        raise InvalidSource(
            f"the signature in {MLMODEL} has an input of type {name!r}, which cannot be served",
            hint=f"served are: {', '.join(known)}",
        )
    return found
