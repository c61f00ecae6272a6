"""What a worker and the process of a model say to each other.

A message is its length in eight bytes, big-endian, and that many bytes of MessagePack. Nothing in
it is code and nothing is unpickled: numbers travel as the bytes of their array with dtype and
shape, text and other objects as JSON. The process runs the code of others, so its words are checked
like a stranger's before memory is taken for them.

Source: MessagePack specification; NumPy, array protocol type strings.
"""

from __future__ import annotations

import math
import re
import socket
import struct
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
import numpy as np

from modelway.domain.inference import Outputs
from modelway.domain.signature import Signature
from modelway.domain.tables import Array, Table

LONGEST_BYTES = 2**32
"""No message is longer."""

_LENGTH = struct.Struct(">Q")
_RAW = re.compile(r"[<>|]?(?:b1|[iu][1248]|f[248]|c(?:8|16)|[mM]8\[[a-zA-Z0-9]{1,8}\])")
_BINARY = "B"
"""The dtype of objects that are bytes, or None; in JSON they are base64."""

_JOINED_BYTES = 65536
_MOST_AXES = 16
_MOST_CHARACTERS = 2**28
_WORDS = 2000
_MALFORMED = (
    *(TypeError, ValueError, OverflowError, MemoryError, RecursionError),
    msgspec.MsgspecError,
)


class WireArray(msgspec.Struct, array_like=True, frozen=True):
    """An array: ``raw`` are the bytes of its values in row order, or JSON where dtype says so."""

    dtype: str
    shape: tuple[int, ...]
    raw: bytes


class Opening(msgspec.Struct, frozen=True, tag="opening"):
    """Open the bundle in ``folder``."""

    folder: str
    allow_pickle: bool


class Question(msgspec.Struct, frozen=True, tag="question"):
    """Answer the rows of a table; one array where it is a matrix; ``parameters`` are JSON."""

    n_rows: int
    is_matrix: bool
    arrays: tuple[WireArray, ...]
    parameters: bytes = b"{}"


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """The bundle is open."""


class Answered(msgspec.Struct, frozen=True, tag="answered"):
    """The outputs of a table."""

    outputs: Mapping[str, WireArray]


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Why there is no answer: the code of an error of ours, or none where the model raised."""

    code: str | None
    message: str
    hint: str | None = None


Heard = Opening | Question
Said = Opened | Answered | Failed
Message = TypeVar("Message")


class BadMessage(ValueError):
    """What came is no message of the other side."""


def send(connection: socket.socket, message: Heard | Said) -> None:
    """Send a message whole. Raises OSError."""
    body = msgspec.msgpack.encode(message)
    head = _LENGTH.pack(len(body))
    if len(body) < _JOINED_BYTES:
        connection.sendall(head + body)
        return
    connection.sendall(head)
    connection.sendall(body)


def heard(connection: socket.socket) -> Heard | None:
    """The next thing to do; None where the other side is gone. Raises OSError, BadMessage."""
    body = _received(connection)
    return None if body is None else _decoded(_HEARD, body)


def said(connection: socket.socket) -> Said | None:
    """The next answer; None where the process is gone. Raises OSError, BadMessage."""
    body = _received(connection)
    return None if body is None else _decoded(_SAID, body)


_HEARD: msgspec.msgpack.Decoder[Heard] = msgspec.msgpack.Decoder(Heard)
_SAID: msgspec.msgpack.Decoder[Said] = msgspec.msgpack.Decoder(Said)


def _decoded(decoder: msgspec.msgpack.Decoder[Message], body: bytearray) -> Message:
    try:
        return decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise BadMessage(str(error)) from error


def _received(connection: socket.socket) -> bytearray | None:
    """The bytes of the next message, None at the end. Raises OSError, BadMessage."""
    head = _exactly(connection, _LENGTH.size)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > LONGEST_BYTES:
        raise BadMessage(f"a message of {length} bytes")
    return _exactly(connection, length)


def _exactly(connection: socket.socket, n_bytes: int) -> bytearray | None:
    """So many bytes; memory is taken as they come, whatever length was claimed."""
    found = bytearray()
    while len(found) < n_bytes:
        part = connection.recv(min(n_bytes - len(found), 1 << 20))
        if not part:
            return None
        found += part
    return found


def question_of(table: Table) -> Question:
    """The table, as it travels."""
    said = msgspec.json.encode(dict(table.parameters))
    if table.signature.is_numeric:
        return Question(table.n_rows, True, (packed(table.matrix),), said)
    return Question(table.n_rows, False, tuple(packed(array) for array in table.arrays), said)


def table_of(question: Question, signature: Signature) -> Table:
    """The table that travelled. Raises BadMessage."""
    arrays = [unpacked(one) for one in question.arrays]
    if question.is_matrix:
        table = Table(signature, question.n_rows, matrix=arrays[0])
    else:
        table = Table(signature, question.n_rows, arrays=arrays)
    try:
        table.parameters = msgspec.json.decode(question.parameters, type=dict[str, Any])
    except _MALFORMED as error:
        raise BadMessage(f"parameters: {error}") from error
    return table


def answer_of(outputs: Outputs) -> Answered:
    """The outputs, as they travel. Raises TypeError, ValueError for what has no form in JSON."""
    return Answered({str(name): packed(np.asarray(array)) for name, array in outputs.items()})


def outputs_of(answer: Answered) -> Outputs:
    """The outputs that travelled. Raises BadMessage."""
    return {name: unpacked(one) for name, one in answer.outputs.items()}


def packed(array: Array) -> WireArray:
    """The array, as it travels. Raises TypeError, ValueError for what has no form in JSON."""
    if _RAW.fullmatch(array.dtype.str):
        return WireArray(array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes())
    kind: str = array.dtype.kind if array.dtype.kind in "US" else "O"
    values = array.ravel().tolist()
    if kind == "O" and any(type(value) is bytes for value in values):
        kind = _BINARY
    if kind == "S":
        values = [value.decode("latin-1") for value in values]
    return WireArray(kind, array.shape, msgspec.json.encode(values, enc_hook=_plain))


def unpacked(wire: WireArray) -> Array:
    """The array that travelled, with memory of its own.

    Raises:
        BadMessage: dtype, shape and bytes do not go together.
    """
    size = math.prod(wire.shape)
    if len(wire.shape) > _MOST_AXES or any(n < 0 for n in wire.shape) or size > LONGEST_BYTES:
        raise BadMessage(f"an array of shape {wire.shape}")
    try:
        if _RAW.fullmatch(wire.dtype):
            return _numbers(np.dtype(wire.dtype), wire.raw).reshape(wire.shape)
        return _objects(wire, size).reshape(wire.shape)
    except _MALFORMED as error:
        raise BadMessage(f"an array of {wire.dtype[:20]}: {error}") from error


def _numbers(dtype: np.dtype[Any], raw: bytes) -> Array:
    if dtype.kind == "b":  # any other byte than 0 and 1 would be a Boolean that equals neither
        return np.frombuffer(raw, np.uint8).astype(np.bool_)
    # Libraries write to what they are given, or want to be able to.
    return np.frombuffer(raw, dtype).copy()


def _objects(wire: WireArray, size: int) -> Array:
    kinds: Any = list[bytes | None] if wire.dtype == _BINARY else list[Any]
    values = msgspec.json.decode(wire.raw, type=kinds)
    if len(values) != size:
        raise ValueError(f"{len(values)} values for {size}")
    if wire.dtype in ("O", _BINARY):
        array = np.empty(size, dtype=object)
        array[:] = values
        return array
    if wire.dtype not in ("U", "S") or not all(isinstance(value, str) for value in values):
        raise ValueError("nothing that travels")
    if size * max(map(len, values), default=0) > _MOST_CHARACTERS:
        raise ValueError("one long text among many short ones")
    if wire.dtype == "S":
        return np.array([value.encode("latin-1") for value in values], dtype="S")
    return np.array(values, dtype="U")


def _plain(value: object) -> object:
    """What JSON does not know, in words it does: numpy's own values."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def clipped(text: str) -> str:
    """Words of a stranger, in a length that fits a log."""
    return text[:_WORDS]
