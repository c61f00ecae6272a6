"""How large the buffers of an Arrow stream say they are once decompressed.

Asked before anything is decompressed; pyarrow takes whatever memory a stream claims to need.

Source: Arrow columnar format, Message.fbs (Message, RecordBatch, BodyCompression); FlatBuffers,
"Internals".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pyarrow as pa

_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3


def unpacked_sizes(body: bytes) -> Iterator[int]:
    """The sizes of all compressed buffers of a stream once decompressed, as they say themselves."""
    for message in pa.ipc.MessageReader.open_stream(body):
        if message.body is None or not message.body.size:
            continue
        flat, content = memoryview(message.metadata), memoryview(message.body)
        root = _u32(flat, 0)
        kind = _field(flat, root, 1)
        header = _field(flat, root, 2)
        if not kind or not header or flat[kind] not in (_DICTIONARY_BATCH, _RECORD_BATCH):
            continue
        batch = header + _u32(flat, header)
        if flat[kind] == _DICTIONARY_BATCH:
            inner = _field(flat, batch, 1)
            batch = inner + _u32(flat, inner)
        buffers = _field(flat, batch, 2)
        if not buffers or not _field(flat, batch, 3):
            continue
        vector = buffers + _u32(flat, buffers)
        for i in range(_u32(flat, vector)):
            offset, length = struct.unpack_from("<qq", flat, vector + 4 + 16 * i)
            if length:
                yield max(0, struct.unpack_from("<q", content, offset)[0])


def _field(flat: memoryview, table: int, number: int) -> int:
    """Where the field of a FlatBuffers table stands; 0 if it is absent."""
    vtable = table - struct.unpack_from("<i", flat, table)[0]
    slot = 4 + 2 * number
    if slot >= struct.unpack_from("<H", flat, vtable)[0]:
        return 0
    offset = int(struct.unpack_from("<H", flat, vtable + slot)[0])
    return table + offset if offset else 0


def _u32(flat: memoryview, place: int) -> int:
    return int(struct.unpack_from("<I", flat, place)[0])
