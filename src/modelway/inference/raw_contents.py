"""The elements of a tensor as bytes: numbers little-endian in row order, BYTES after their lengths.

Numbers stay where they came: their arrays are read-only views of the bytes, unless these begin at
an address that is none of their dtype. How many elements there must be is known before anything is
allocated.

Source: Open Inference Protocol, "GRPC", tensor data; Triton Inference Server, "Binary Tensor Data
Extension".
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from struct import Struct
from typing import Any

import numpy as np

from modelway.domain.errors import OutputInvalid
from modelway.domain.signature import Datatype
from modelway.domain.tables import NUMPY_DTYPES, Array

Raw = bytes | memoryview

RAW_DTYPES: Mapping[Datatype, np.dtype[Any]] = {
    one: dtype.newbyteorder("<")
    for one, dtype in NUMPY_DTYPES.items()
    if one not in (Datatype.BYTES, Datatype.STRING, Datatype.DATETIME)
}
_LENGTH = Struct("<I")


def array_of(raw: Raw, datatype: Datatype, count: int) -> Array:
    """``count`` elements as an array of shape (count,); BYTES as an object array of ``bytes``.

    Raises:
        ValueError: the bytes are not those of so many elements; the message says what they are.
    """
    if datatype is Datatype.BYTES:
        return _texts(raw, count)
    dtype = RAW_DTYPES[datatype]
    if len(raw) != count * dtype.itemsize:
        raise ValueError(f"{len(raw)} bytes, not {count * dtype.itemsize}")
    if datatype is Datatype.BOOL and np.frombuffer(raw, np.uint8).max(initial=0) > 1:
        raise ValueError("a byte that is neither 0 nor 1")
    array = np.frombuffer(raw, dtype)
    return array if array.flags.aligned else array.copy()


def raw_of(datatype: Datatype, array: Array) -> Raw:
    """The elements of an array as bytes, numbers not copied; text among BYTES is in UTF-8.

    Raises:
        OutputInvalid: a text has no form in UTF-8.
    """
    if datatype is not Datatype.BYTES:
        numbers = np.ascontiguousarray(array, dtype=RAW_DTYPES[datatype])
        return numbers.reshape(-1).view(np.uint8).data
    texts = [one if isinstance(one, bytes) else _encoded(one) for one in array.ravel().tolist()]
    heads = map(_LENGTH.pack, map(len, texts))
    return b"".join(chain.from_iterable(zip(heads, texts, strict=True)))


def _encoded(text: object) -> bytes:
    try:
        return str(text).encode()
    except UnicodeEncodeError as error:
        raise OutputInvalid(f"an output cannot be written: {error}") from error


def _texts(raw: Raw, count: int) -> Array:
    if count * _LENGTH.size > len(raw):
        raise ValueError(f"{len(raw)} bytes, too few for {count} lengths")
    found = np.empty(count, dtype=object)
    at = 0
    for k in range(count):
        start = at + _LENGTH.size
        at = start + _LENGTH.unpack_from(raw, at)[0] if start <= len(raw) else start
        if at > len(raw):
            raise ValueError(f"an end within element {k}")
        found[k] = bytes(raw[start:at])
    if at != len(raw):
        raise ValueError(f"{len(raw) - at} bytes after the last element")
    return found
