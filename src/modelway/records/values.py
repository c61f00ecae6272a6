"""Arrays as plain bytes: numbers as they lie in memory, texts as their lengths and their UTF-8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from modelway.domain.tables import Array

TEXT = "text"
BYTES = "bytes"

MISSING = -1
"""The length of a text that is missing."""

Lengths = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Texts, or byte strings, of any shape: ``lengths`` in bytes, ``joined`` one after the other.

    ``lengths`` is int64 in C order, flat; ``shape`` has the rows or requests on its first axis.
    """

    lengths: Lengths
    joined: bytes
    shape: tuple[int, ...]
    is_binary: bool = False

    @property
    def offsets(self) -> Lengths:
        """Where each begins, and where the last ends: int64 (n + 1,)."""
        ends = np.zeros(len(self.lengths) + 1, np.int64)
        np.cumsum(np.maximum(self.lengths, 0), out=ends[1:])
        return ends

    def __iter__(self) -> Iterator[str | bytes | None]:
        """Every one, None where it is missing."""
        start = 0
        for length in self.lengths.tolist():
            if length == MISSING:
                yield None
                continue
            raw = self.joined[start : start + length]
            yield raw if self.is_binary else raw.decode()
            start += length


Values = Array | Texts


class ArrayHead(msgspec.Struct, frozen=True, array_like=True):
    """How an array lies in a frame: ``kind`` is numpy's name of the dtype, ``text`` or ``bytes``.

    ``place`` says what the array is for (see ``frames.py``), ``sizes`` the bytes of its buffers.
    """

    place: str
    name: str
    datatype: str
    kind: str
    shape: tuple[int, ...]
    sizes: tuple[int, ...]
    per_row: bool = True


def texts(values: Sequence[Any], *, is_binary: bool = False) -> Texts:
    """Texts of a sequence of ``str``, ``bytes`` or None; other values by their text.

    What UTF-8 cannot hold (half of a surrogate pair) is written as its escape.
    """
    shape = (len(values),)
    try:
        joined = "".join(values)
        raw = joined.encode()
    except (TypeError, UnicodeEncodeError):
        return _each(values, shape, is_binary)
    if len(raw) != len(joined):
        return _each(values, shape, is_binary)
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    return Texts(lengths, raw, shape, is_binary)


def _each(values: Sequence[Any], shape: tuple[int, ...], is_binary: bool) -> Texts:
    raws = [_raw(value) for value in values]
    lengths = [MISSING if raw is None else len(raw) for raw in raws]
    joined = b"".join(raw for raw in raws if raw is not None)
    return Texts(np.array(lengths, np.int64), joined, shape, is_binary)


def _raw(value: object) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return value
    return str(value).encode("utf-8", "backslashreplace")


def values_of(array: Array, *, is_binary: bool = False) -> Values:
    """An array as it is written: texts where it holds objects or texts, else itself."""
    if array.dtype.kind not in "OUS":
        return array
    flat = texts(array.ravel().tolist(), is_binary=is_binary or array.dtype.kind == "S")
    return Texts(flat.lengths, flat.joined, array.shape, flat.is_binary)


def buffers(values: Values) -> tuple[str, list[bytes | memoryview]]:
    """The kind of the values and the bytes that hold them."""
    if isinstance(values, Texts):
        kind = BYTES if values.is_binary else TEXT
        return kind, [values.lengths.tobytes(), values.joined]
    if values.dtype.kind in "mM":
        return values.dtype.str, [np.ascontiguousarray(values).view(np.int64).tobytes()]
    return values.dtype.str, [np.ascontiguousarray(values).tobytes()]


def restored(head: ArrayHead, parts: Sequence[memoryview]) -> Values:
    """The values whose bytes are given, as ``buffers`` wrote them; owns its memory."""
    if head.kind in (TEXT, BYTES):
        lengths = np.frombuffer(parts[0], np.int64).copy()
        return Texts(lengths, bytes(parts[1]), head.shape, head.kind == BYTES)
    return np.frombuffer(parts[0], np.dtype(head.kind)).reshape(head.shape).copy()
