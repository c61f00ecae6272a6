"""Frames: what a segment is made of, each the records of some requests as columns of plain bytes.

    magic 4 | length 4 | CRC32 4 | head length 4 | head (MessagePack) | buffers

``length`` counts what comes after the CRC, which is over the same bytes. Numbers are little-endian.
A frame says everything about itself, so one that is torn takes no other with it. Its arrays are for

- ``request``: one value a request. ``ids``, ``event_at`` (µs since 1970), ``latency``; and where it
  is not as usual ``rows`` (else 1), ``first`` (number of its first row, else 0), ``status`` (else
  ok), ``principal``, ``parameters`` (JSON), ``batch_id`` with ``batch_place`` and ``batch_rows``
- ``matrix``: the columns that are kept and lie in one float64 matrix (n_rows, n_columns)
- ``input`` and ``output``: one array each; where not ``per_row``, one value a request

How the format may change: another magic, and the old one is still read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from modelway.domain.tables import Array
from modelway.records.identity import Identity
from modelway.records.values import ArrayHead, Texts, Values, buffers, restored

MAGIC = b"MWR1"
OK = "ok"

_PREFIX = struct.Struct("<4sII")
_LENGTH = struct.Struct("<I")


class ColumnHead(msgspec.Struct, frozen=True, array_like=True):
    """A column or tensor of the signature; ``form`` is ``kept``, ``hashed`` or ``dropped``."""

    name: str
    datatype: str
    form: str = "kept"
    is_text: bool = False


class Head(msgspec.Struct, frozen=True):
    """What all records of a frame share; ``recorded_at`` in µs since 1970.

    ``columns`` are all of the signature in its order, also those of which nothing is kept.
    """

    endpoint: str
    identity: Identity
    recorded_at: int
    sampling_rate: float
    n_requests: int
    n_rows: int
    is_tabular: bool
    columns: tuple[ColumnHead, ...]
    arrays: tuple[ArrayHead, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """Values and what they are for; ``place`` is one of those in the module's list."""

    place: str
    name: str
    values: Values
    datatype: str = ""
    per_row: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The records of some requests."""

    head: Head
    arrays: Sequence[Named]

    def request(self, name: str) -> Values | None:
        """What is said of each request under a name, None where it is as usual."""
        for one in self.arrays:
            if one.place == "request" and one.name == name:
                return one.values
        return None

    def inputs(self) -> Iterator[Named]:
        """The columns or tensors that are kept, in the signature's order."""
        found = {one.name: one for one in self.arrays if one.place == "input"}
        matrix = next((one.values for one in self.arrays if one.place == "matrix"), None)
        place = 0
        for column in self.head.columns:
            if column.name in found:
                yield found[column.name]
            elif column.form == "kept" and matrix is not None and not isinstance(matrix, Texts):
                cells: Array = matrix[:, place]
                place += 1
                yield Named("input", column.name, cells, column.datatype)

    def outputs(self) -> Iterator[Named]:
        """What the model gave; nothing where it gave no answer."""
        return (one for one in self.arrays if one.place == "output")


def encoded(head: Head, arrays: Sequence[Named]) -> bytes:
    """The frame as bytes; ``head.arrays`` is filled in here."""
    heads: list[ArrayHead] = []
    parts: list[bytes | memoryview] = []
    for one in arrays:
        kind, its = buffers(one.values)
        sizes = tuple([len(part) for part in its])
        shape = one.values.shape
        heads.append(ArrayHead(one.place, one.name, one.datatype, kind, shape, sizes, one.per_row))
        parts.extend(its)
    raw = msgspec.msgpack.encode(msgspec.structs.replace(head, arrays=tuple(heads)))
    body = b"".join([_LENGTH.pack(len(raw)), raw, *parts])
    return _PREFIX.pack(MAGIC, len(body), zlib.crc32(body)) + body


def decoded(body: memoryview) -> Frame:
    """The frame of the bytes after its CRC."""
    (length,) = _LENGTH.unpack_from(body)
    start = _LENGTH.size + length
    head = msgspec.msgpack.decode(body[_LENGTH.size : start], type=Head)
    arrays = []
    for one in head.arrays:
        parts = []
        for size in one.sizes:
            parts.append(body[start : start + size])
            start += size
        values = restored(one, parts)
        arrays.append(Named(one.place, one.name, values, one.datatype, one.per_row))
    return Frame(head, arrays)


@dataclass(slots=True)
class Torn:
    """How many stretches of a segment were no frame."""

    stretches: int = 0


def frames_in(data: bytes, torn: Torn | None = None) -> Iterator[Frame]:
    """Every whole frame of a segment, in order; what lies between them is skipped and counted."""
    view = memoryview(data)
    start = 0
    while start < len(data):
        end = _end(view, start)
        if end is not None:
            yield decoded(view[start + _PREFIX.size : end])
            start = end
            continue
        if torn is not None:
            torn.stretches += 1
        start = _next(data, view, start + 1)


def _end(view: memoryview, start: int) -> int | None:
    """Where the frame that begins at ``start`` ends; None where none does."""
    if len(view) - start < _PREFIX.size:
        return None
    magic, length, crc = _PREFIX.unpack_from(view, start)
    end = start + _PREFIX.size + length
    if magic != MAGIC or end > len(view):
        return None
    return end if zlib.crc32(view[start + _PREFIX.size : end]) == crc else None


def _next(data: bytes, view: memoryview, start: int) -> int:
    """Where the next whole frame begins, or the end."""
    while True:
        start = data.find(MAGIC, start)
        if start < 0:
            return len(data)
        if _end(view, start) is not None:
            return start
        start += 1
