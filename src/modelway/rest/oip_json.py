"""Requests of the Open Inference Protocol in JSON: the envelope, and the data of its tensors.

A usual request is read by msgspec types, one call for the envelope and one for the data of a
tensor; anything else is looked at again, element by element, to say everything that is wrong with
it. Data may be flat in row order or nested as the shape is; null is a missing value, and so is NaN
to a model of columns, which may stand bare as Python's ``json`` writes it.

Source: Open Inference Protocol, "HTTP/REST", Inference.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import chain
from math import prod
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np

from modelway.bundles.manifest import MISSING_TEXT
from modelway.domain.errors import MalformedPayload, Problem, SignatureMismatch
from modelway.domain.signature import Column, Datatype
from modelway.domain.tables import NUMPY_DTYPES, Array
from modelway.inference.cells import CellReader
from modelway.inference.findings import Findings, escaped, shown
from modelway.inference.json_text import parse_json

Parameter = str | bool | int | float
Parameters = Mapping[str, Parameter | None]
Data = TypeVar("Data")

_NOTHING: Any = None


class InputTensor(msgspec.Struct, Generic[Data]):
    """A tensor as it came; no ``data`` is None or empty."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Parameter | None] | None = None
    data: Data = _NOTHING


class OutputAsked(msgspec.Struct):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Parameter | None] | None = None


class Envelope(msgspec.Struct, Generic[Data]):
    """A request; where ``outputs`` is None or empty, all are asked for."""

    inputs: list[InputTensor[Data]]
    id: str | None = None
    parameters: dict[str, Parameter | None] | None = None
    outputs: list[OutputAsked] | None = None


def read_envelope(body: bytes | memoryview, max_depth: int) -> Envelope[Any]:
    """A request whose data is still JSON text (``msgspec.Raw``), or already values.

    Raises:
        MalformedPayload: it is no JSON, or no such request.
        PayloadTooLarge: it is nested too deeply.
    """
    try:
        return _quick(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        value = _values(bytes(body), max_depth)
    try:
        return msgspec.convert(value, Envelope[Any])
    except msgspec.ValidationError as error:
        raise MalformedPayload(f"the request cannot be read: {error}") from None


_quick = msgspec.json.Decoder(Envelope[msgspec.Raw]).decode


def has_data(data: Any) -> bool:
    """Whether a tensor has data beside it."""
    if isinstance(data, msgspec.Raw):
        return bytes(memoryview(data)[:5]) not in (b"", b"null")
    return data is not None


def read_data(
    data: Any, name: str, datatype: Datatype, shape: tuple[int, ...], max_depth: int
) -> Array:
    """The data of a tensor as an array of its shape; of objects where a null is among them.

    Raises:
        SignatureMismatch: it is of another shape, or elements are not of the datatype.
        MalformedPayload: it is no JSON.
        PayloadTooLarge: it is nested too deeply.
    """
    if isinstance(data, msgspec.Raw):
        if memoryview(data).nbytes > _SMALL_BYTES and datatype is not Datatype.BYTES:
            _check_count(bytes(data), name, shape)
        array = _quickly(data, datatype, shape)
        if array is not None:
            return array
        data = _values(bytes(data), max_depth)
    return _typed(_flattened(data, name, shape), name, datatype, shape)


def _check_count(text: bytes, name: str, shape: tuple[int, ...]) -> None:
    """Refuse numbers that are more or fewer than the shape says, before they are read.

    Between two numbers of a JSON text there is one comma, however they are nested.
    """
    count = text.count(b",") + 1
    if count != prod(shape):
        expected = f"data of length {prod(shape)}, as its shape {shape_text(shape)} says"
        raise _mismatch(name, "wrong-shape", f"length {count}", expected)


def _quickly(data: msgspec.Raw, datatype: Datatype, shape: tuple[int, ...]) -> Array | None:
    """The array of usual data; None for any other, right or wrong."""
    depth = len(shape) if bytes(memoryview(data)[:2]) == b"[[" else 1
    if depth > _MOST_TYPED:
        return None
    try:
        values = _decoder(_kind(datatype), depth)(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    for length in shape[1:depth]:
        if any(n != length for n in set(map(len, values))):
            return None
        values = list(chain.from_iterable(values))
    if len(values) != prod(shape):
        return None
    if datatype is Datatype.BYTES:
        return None if any(MISSING_TEXT in text for text in values) else _objects(values, shape)
    if datatype is Datatype.FP32:
        return _singles(values, shape)
    try:
        return np.array(values, dtype=NUMPY_DTYPES[datatype]).reshape(shape)
    except OverflowError:
        return None


def _singles(values: list[float], shape: tuple[int, ...]) -> Array | None:
    """Numbers as FP32; None where one of them is too large for it."""
    with np.errstate(over="ignore"):
        array = np.array(values, dtype=np.float32)
    return array.reshape(shape) if np.isfinite(array).all() else None


@cache
def _decoder(kind: type, depth: int) -> Callable[[msgspec.Raw], Any]:
    nested: Any = kind
    for _ in range(depth):
        nested = list[nested]  # a type made at run time
    decode: Callable[[msgspec.Raw], Any] = msgspec.json.Decoder(nested).decode
    return decode


def _kind(datatype: Datatype) -> type:
    """What the elements of a datatype are in JSON."""
    if datatype is Datatype.BYTES:
        return str
    if datatype is Datatype.BOOL:
        return bool
    return float if datatype.is_float else int


def _values(body: bytes, max_depth: int) -> Any:
    """The value of a JSON text. Raises MalformedPayload, PayloadTooLarge."""
    try:
        return parse_json(body, max_depth)
    except MalformedPayload:
        if b"NaN" not in body and b"Infinity" not in body:
            raise
    try:
        value = json.loads(body.decode())
        msgspec.json.encode(value)  # finds half surrogates, which json lets through
    except (ValueError, RecursionError) as error:
        raise MalformedPayload(f"the body cannot be read: {error}") from None
    return value


def _flattened(data: Any, name: str, shape: tuple[int, ...]) -> list[Any]:
    """The elements in row order, of an array that is flat or nested as the shape is."""
    if not isinstance(data, list):
        raise _mismatch(name, "wrong-type", shown(data), "an array")
    if not any(isinstance(element, list) for element in data):
        count = prod(shape)
        if len(data) != count:
            expected = f"data of length {count}, as its shape {shape_text(shape)} says"
            raise _mismatch(name, "wrong-shape", f"length {len(data)}", expected)
        return data
    level: list[Any] = [data]
    for length in shape:
        for element in level:
            if not isinstance(element, list) or len(element) != length:
                came = f"one of {len(element)}" if isinstance(element, list) else shown(element)
                expected = f"arrays of {length} on an axis of its shape {shape_text(shape)}"
                raise _mismatch(name, "ragged", came, expected)
        level = list(chain.from_iterable(level))
    return level


def _typed(flat: list[Any], name: str, datatype: Datatype, shape: tuple[int, ...]) -> Array:
    """The elements as an array. Raises SignatureMismatch."""
    kinds = set(map(type, flat))
    dtype = NUMPY_DTYPES[datatype]
    if datatype.is_integer and kinds == {int}:
        try:
            # Straight to the tensor's own dtype: a float64 in between loses large whole numbers.
            return np.array(flat, dtype=dtype).reshape(shape)
        except OverflowError:
            pass  # said below, with its row
    row_size = max(1, prod(shape[1:]))
    findings = Findings([name], lambda row, _: f"{_pointer(name)}/{row}", several=len(flat) > 1)
    findings.only([k // row_size for k in range(len(flat))])
    reader = CellReader(Column(name, name, datatype, nullable=True), 0, strict=False)
    values = reader.values(flat, findings)
    findings.check()
    if type(None) in kinds:
        return _objects(flat, shape)
    return values.astype(dtype).reshape(shape)


def _objects(values: Sequence[Any], shape: tuple[int, ...]) -> Array:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found.reshape(shape)


def shape_text(shape: Sequence[int]) -> str:
    """A shape as JSON has it, long ones cut short."""
    more = ", ..." if len(shape) > _LISTED_AXES else ""
    return f"[{', '.join(map(str, shape[:_LISTED_AXES]))}{more}]"


def _pointer(name: str) -> str:
    return f"/inputs/{escaped(name[:80])}/data"


def _mismatch(name: str, code: str, received: str, expected: str) -> SignatureMismatch:
    return SignatureMismatch([Problem(_pointer(name), name[:80], code, received, expected)])


_SMALL_BYTES = 4096
_MOST_TYPED = 8
"""Axes up to which nested data is read by a type of its own."""

_LISTED_AXES = 10
