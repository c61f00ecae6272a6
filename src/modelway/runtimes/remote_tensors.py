"""The JSON of the Open Inference Protocol, as who asks a model writes and reads it.

Where a model says that it takes one tensor of two axes it is given all columns as a matrix, else
one tensor a column. A value that is missing is null. Nothing that comes is trusted to be an answer.

Source: Open Inference Protocol, "HTTP/REST", Inference and Model Metadata.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from modelway.domain.errors import OutputInvalid, PredictFailed
from modelway.domain.inference import Outputs
from modelway.domain.signature import Datatype
from modelway.domain.tables import NUMPY_DTYPES, Array, Table
from modelway.inference.named_tensors import faces_of


class Face(msgspec.Struct):
    """A tensor that a model says it takes."""

    name: str
    datatype: str
    shape: list[int]


class _Metadata(msgspec.Struct):
    inputs: list[Face] = []


class _Output(Face):
    data: list[Any] = []


class _Answer(msgspec.Struct):
    outputs: list[_Output]


def read_inputs(content: bytes) -> Sequence[Face]:
    """What a model takes by its metadata; nothing where that does not say."""
    try:
        return msgspec.json.decode(content, type=_Metadata).inputs
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()


def write_request(table: Table, inputs: Sequence[Face]) -> bytes:
    """The request for a table's rows. Raises PredictFailed for values that JSON does not have."""
    signature, parameters = table.signature, dict(table.parameters)
    if signature.is_numeric and len(inputs) == 1 and len(inputs[0].shape) == 2:
        tensors = [_tensor(inputs[0].name, inputs[0].datatype, table.matrix)]
    else:
        faces = zip(faces_of(signature), table.arrays, strict=True)
        tensors = [_tensor(face.name, face.datatype, array) for face, array in faces]
    if not inputs and signature.is_tabular:
        # MLServer does not have to say what it takes, and by this reads columns as a DataFrame.
        parameters.setdefault("content_type", "pd")
    try:
        return msgspec.json.encode(
            {"inputs": tensors} | ({"parameters": parameters} if parameters else {})
        )
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise PredictFailed(f"a request cannot be written as JSON: {error}") from error


def read_answer(content: bytes, table: Table) -> Outputs:
    """The outputs by name; one of shape (n_rows, 1) as (n_rows,).

    Raises:
        OutputInvalid: it is no answer of the protocol, or not one to the table's rows.
    """
    try:
        answer = msgspec.json.decode(content, type=_Answer)
        outputs = {one.name: _array(one) for one in answer.outputs}
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise OutputInvalid(f"what was answered cannot be read: {str(error)[:200]}") from error
    if not outputs or len(outputs) < len(answer.outputs):
        raise OutputInvalid("what was answered has no output, or two of one name")
    for name, array in outputs.items():
        if table.signature.is_tabular and array.shape[:1] != (table.n_rows,):
            raise OutputInvalid(f"{name[:80]} has shape {array.shape} for {table.n_rows} rows")
    return outputs


def _tensor(name: str, datatype: str, array: Array) -> dict[str, Any]:
    return {
        "name": name,
        "datatype": datatype,
        "shape": array.shape,
        "data": _elements(array.ravel(), datatype),
    }


def _elements(array: Array, datatype: str) -> list[Any]:
    """The elements as JSON has them, None for one that is missing."""
    if array.dtype.kind == "M":
        texts = np.datetime_as_string(array.astype("datetime64[us]"), timezone="UTC")
        return [
            None if gap else text for gap, text in zip(np.isnat(array), texts.tolist(), strict=True)
        ]
    values: list[Any] = array.tolist()
    if array.dtype == object:
        return [one.decode() if isinstance(one, bytes) else one for one in values]
    if array.dtype.kind == "f" and np.isinf(array).any():
        raise PredictFailed("JSON has no infinity")
    if array.dtype.kind != "f" or datatype.startswith("FP"):
        return values
    # Whole numbers and Booleans of a table lie as floats.
    kind = bool if datatype == Datatype.BOOL else int
    return [None if one != one else kind(one) for one in values]


def _array(output: _Output) -> Array:
    datatype = Datatype(output.datatype)
    dtype = NUMPY_DTYPES[datatype]
    if min(output.shape, default=0) < 0:
        raise ValueError(f"a tensor of shape {output.shape}")
    array = np.array(output.data, dtype).reshape(output.shape)
    if dtype.kind == "O" and not all(isinstance(one, str) for one in array.ravel().tolist()):
        raise TypeError("BYTES that are no text")
    if dtype.kind in "biu" and array.size and np.array(output.data).dtype.kind not in "biu":
        raise TypeError(f"{datatype} that are none")
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
