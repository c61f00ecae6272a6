"""Requests of the Open Inference Protocol, read for one model: its table, and what is asked of it.

How many elements came is compared with the shape before anything is allocated, and every tensor
that is wrong is named.

Source: Open Inference Protocol, "HTTP/REST", Inference; Triton Inference Server, "Binary Tensor
Data Extension" and "Parameters Extension".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

from modelway.domain.errors import (
    InvalidInput,
    MalformedPayload,
    PayloadTooLarge,
    Problem,
    SignatureMismatch,
)
from modelway.domain.signature import Datatype
from modelway.domain.tables import Array
from modelway.inference.decoding import Limits
from modelway.inference.findings import LISTED_PROBLEMS, escaped, shown
from modelway.inference.loading import LoadedModel
from modelway.inference.named_tensors import (
    NamedTensor,
    TensorFace,
    check_wanted,
    inputs_of,
    table_of,
)
from modelway.inference.raw_contents import RAW_DTYPES, Raw, array_of
from modelway.inference.validation import Checked
from modelway.rest.http import Request
from modelway.rest.oip_binary import SIZE, Tail, json_length
from modelway.rest.oip_json import (
    InputTensor,
    Parameters,
    has_data,
    read_data,
    read_envelope,
    shape_text,
)

_DATATYPES: Mapping[str, Datatype] = {one.value: one for one in (*RAW_DTYPES, Datatype.BYTES)}
_MOST_AXES = 32
_MOST_ELEMENTS = 2**40
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_RESERVED = frozenset(
    (
        *("sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "headers"),
        "binary_data_output",
    )
)


@dataclass(frozen=True, slots=True)
class WantedOutput:
    """An output that is asked for, as bytes or as JSON; with ``classes``, its largest so many."""

    name: str
    binary: bool
    classes: int = 0


@dataclass(slots=True)
class Asked:
    """A request that was read.

    ``wanted`` None asks for all outputs, in ``binary`` or not. ``parameters`` are the model's.
    ``patience_s`` is for how long the answer is of use, None for as long as usual.
    """

    checked: Checked
    id: str | None = None
    wanted: Sequence[WantedOutput] | None = None
    binary: bool = False
    parameters: Mapping[str, object] = field(default_factory=dict)
    patience_s: float | None = None


def read_request(request: Request, model: LoadedModel, limits: Limits) -> Asked:
    """What a request's body asks of a model.

    Raises:
        MalformedPayload: it is no JSON, no such request, or its lengths do not go together.
        PayloadTooLarge: it is nested too deeply or has too many rows.
        SignatureMismatch: tensors do not fit what is said of them, or the model.
        InvalidInput: it asks for what is not to be had.
    """
    body = request.body
    length = json_length(request.headers, body)
    if length == 0:
        return Asked(_raw_table(body, model, limits), binary=True)
    if length is None:
        envelope, tail = read_envelope(body, limits.max_json_depth), Tail(None)
    else:
        view = memoryview(body)
        envelope, tail = read_envelope(view[:length], limits.max_json_depth), Tail(view[length:])
    tensors = _tensors(envelope.inputs, tail, limits)
    parameters = envelope.parameters or _NOTHING
    binary = _switch(parameters, "binary_data_output", default=False)
    wanted = None
    if envelope.outputs:
        wanted = [_wanted(one.name, one.parameters or _NOTHING, binary) for one in envelope.outputs]
        check_wanted(model, [one.name for one in wanted])
    return Asked(
        table_of(model, tensors),
        envelope.id,
        wanted,
        binary,
        _of_the_model(parameters) if parameters else _NOTHING,
        _patience_s(parameters),
    )


def _tensors(inputs: Sequence[InputTensor[Any]], tail: Tail, limits: Limits) -> list[NamedTensor]:
    """The inputs of a request in its order, and nothing left behind them."""
    tensors: list[NamedTensor] = []
    problems: list[Problem] = []
    unlisted = 0
    for one in inputs:
        raw = tail.take(one.parameters or _NOTHING, one.name)
        try:
            tensors.append(_tensor(one, raw, limits))
        except SignatureMismatch as found:
            problems.extend(found.problems)
            unlisted += found.total - len(found.problems)
    tail.end()
    if problems:
        total = len(problems) + unlisted
        raise SignatureMismatch(problems[:LISTED_PROBLEMS], total=total)
    return tensors


def _tensor(one: InputTensor[Any], raw: Raw | None, limits: Limits) -> NamedTensor:
    datatype, shape = _DATATYPES.get(one.datatype), tuple(one.shape)
    if datatype is None:
        raise _mismatch(
            one.name, "datatype", shown(one.datatype), f"one of {', '.join(_DATATYPES)}"
        )
    if (
        len(shape) > _MOST_AXES
        or min(shape, default=0) < 0
        or prod(n or 1 for n in shape) > _MOST_ELEMENTS
    ):
        raise _mismatch(
            one.name, "shape", shape_text(shape), "lengths of 0 or more, which data can fill"
        )
    if shape and shape[0] > limits.max_rows:
        raise PayloadTooLarge(
            f"{one.name[:80]} has {shape[0]} rows; at most {limits.max_rows} are taken"
        )
    if raw is not None:
        if has_data(one.data):
            raise MalformedPayload(f"{one.name[:80]} has both data and {SIZE}")
        return NamedTensor(one.name, datatype, _binary(one.name, raw, datatype, shape))
    if not has_data(one.data):
        if "shared_memory_region" in (one.parameters or _NOTHING):
            raise InvalidInput(f"{one.name[:80]}: there is no shared memory here")
        raise _mismatch(one.name, "data", None, f"data, or {SIZE}")
    if datatype is Datatype.FP16:
        raise _mismatch(one.name, "data", "JSON", "FP16 as binary data, which JSON does not have")
    array = read_data(one.data, one.name, datatype, shape, limits.max_json_depth)
    return NamedTensor(one.name, datatype, array)


def _binary(name: str, raw: Raw, datatype: Datatype, shape: tuple[int, ...]) -> Array:
    try:
        return array_of(raw, datatype, prod(shape)).reshape(shape)
    except ValueError as error:
        expected = f"the elements of a tensor of shape {shape_text(shape)} of {datatype.value}"
        raise _mismatch(name, "data", str(error), expected) from None


def _raw_table(body: bytes, model: LoadedModel, limits: Limits) -> Checked:
    """The table of a body that is nothing but the one input of a model; of BYTES, one element."""
    face = _only_input(model)
    if face.shape.count(-1) > 1:
        raise InvalidInput(
            f"{face.name or 'the input'} has several axes of any length; its bytes alone do not "
            f"say its shape",
            hint="send Inference-Header-Content-Length, and JSON of that length before the bytes",
        )
    fixed = prod(n for n in face.shape if n >= 0)
    if face.datatype is Datatype.BYTES:
        count, array = 1, np.array([bytes(body)], dtype=object)
    else:
        count = len(body) // RAW_DTYPES[face.datatype].itemsize
        array = _binary(face.name, body, face.datatype, (count,))
    length = count // max(fixed, 1)
    shape = tuple(length if n < 0 else n for n in face.shape)
    if prod(shape) != count:
        expected = f"elements of a tensor of shape {shape_text(face.shape)}"
        raise _mismatch(face.name, "data", f"{count} elements of {face.datatype.value}", expected)
    if shape and shape[0] > limits.max_rows:
        raise PayloadTooLarge(f"{shape[0]} rows are too many; at most {limits.max_rows} are taken")
    return table_of(model, [NamedTensor(face.name, face.datatype, array.reshape(shape))])


def _only_input(model: LoadedModel) -> TensorFace:
    """The one input of a model: its tensor, or the matrix of its columns where all are alike."""
    faces = inputs_of(model.bundle)
    if len(faces) == 1:
        return faces[0]
    kinds = {face.datatype for face in faces}
    if model.signature.is_tabular and len(kinds) == 1 and Datatype.BYTES not in kinds:
        return TensorFace("", kinds.pop(), (-1, len(faces)))
    raise InvalidInput(
        f"{model.name} has {len(faces)} inputs, and bytes alone are one tensor",
        hint="send Inference-Header-Content-Length, and JSON of that length before the bytes",
    )


def _wanted(name: str, parameters: Parameters, binary: bool) -> WantedOutput:
    classes = parameters.get("classification")
    if classes is not None and (type(classes) is not int or classes < 1):
        raise InvalidInput(f"{name[:80]}: classification is not a number of classes")
    if "shared_memory_region" in parameters:
        raise InvalidInput(f"{name[:80]}: there is no shared memory here")
    binary = _switch(parameters, "binary_data", default=binary)
    return WantedOutput(name, binary, classes or 0)


def _switch(parameters: Parameters, name: str, *, default: bool) -> bool:
    value = parameters.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} is neither true nor false, but {shown(value)}")
    return value


def _patience_s(parameters: Parameters) -> float | None:
    """The parameter ``timeout``, which is in microseconds; 0 is none."""
    timeout_us = parameters.get("timeout")
    return timeout_us / 1e6 if type(timeout_us) is int and timeout_us > 0 else None


def _of_the_model(parameters: Parameters) -> Mapping[str, object]:
    """The parameters that are neither empty nor the protocol's own."""
    return {
        name: value
        for name, value in parameters.items()
        if value is not None and name not in _RESERVED and not name.startswith("triton_")
    }


def _mismatch(name: str, member: str, received: str | None, expected: str) -> SignatureMismatch:
    name = name[:80]
    pointer = f"/inputs/{escaped(name)}/{member}"
    code = "missing" if received is None else f"wrong-{member}"
    return SignatureMismatch([Problem(pointer, name, code, received, expected)])
