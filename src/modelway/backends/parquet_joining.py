"""Parquet files of one schema made one, without a value being decoded.

The pages of all files are copied one behind the other, and the footer of the whole lists the row
groups of all footers, with their places moved. A footer is a struct of Thrift's compact protocol;
every field is carried over, also those that are not known here.

Source: Parquet format, FileMetaData; Thrift compact protocol.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from modelway.domain.errors import LoadFailed

_MAGIC = b"PAR1"
_TAIL = struct.Struct("<I4s")
_COPIED_BYTES = 1024 * 1024

_TRUE, _FALSE, _BYTE, _INTEGERS, _DOUBLE, _BINARY = 1, 2, 3, (4, 5, 6), 7, 8
_LISTS, _STRUCT = (9, 10), 12

# Fields of FileMetaData, RowGroup, ColumnChunk and ColumnMetaData.
_SCHEMA, _NUM_ROWS, _ROW_GROUPS = 2, 3, 4
_COLUMNS, _GROUP_OFFSET, _ORDINAL = 1, 5, 7
_CHUNK_OFFSET, _META = 2, 3
_PAGE_OFFSETS = (9, 10, 11)
_MOST_ORDINAL = 2**15 - 1

Fields = dict[int, tuple[int, Any]]
"""A struct: the type and the value of each field, by its number."""


class ParquetJoiner:
    """Makes one Parquet file of several that were written alike, without indexes of pages."""

    def join(self, parts: Sequence[Path], output: Path) -> None:
        """Write ``output``, with the row groups of all parts. Raises LoadFailed."""
        whole: Fields = {}
        groups: list[Fields] = []
        with output.open("wb") as out:
            out.write(_MAGIC)
            for part in parts:
                with part.open("rb") as stream:
                    n_bytes, footer = _footer(stream, part)
                    if whole and footer[_SCHEMA] != whole[_SCHEMA]:
                        raise LoadFailed(f"{part} has other columns than the parts before it")
                    whole = whole or footer
                    for group in footer[_ROW_GROUPS][1][1]:
                        _move(group, out.tell() - len(_MAGIC), len(groups))
                        groups.append(group)
                    _copy(stream, out, n_bytes)
            rows = sum(group[_NUM_ROWS][1] for group in groups)
            whole[_NUM_ROWS] = (whole[_NUM_ROWS][0], rows)
            whole[_ROW_GROUPS] = (_LISTS[0], (_STRUCT, groups))
            text = bytearray()
            _write_struct(text, whole)
            out.write(bytes(text) + _TAIL.pack(len(text), _MAGIC))


def _footer(stream: IO[bytes], path: Path) -> tuple[int, Fields]:
    """How many bytes of pages a file has behind its first four, and its footer."""
    size = stream.seek(0, 2)
    stream.seek(-_TAIL.size, 2)
    n_bytes, magic = _TAIL.unpack(stream.read(_TAIL.size))
    if magic != _MAGIC:
        raise LoadFailed(f"{path} is no Parquet file")
    start = size - _TAIL.size - n_bytes
    stream.seek(start)
    return start - len(_MAGIC), _Reading(stream.read(n_bytes)).struct()


def _copy(stream: IO[bytes], out: IO[bytes], n_bytes: int) -> None:
    stream.seek(len(_MAGIC))
    while n_bytes:
        block = stream.read(min(n_bytes, _COPIED_BYTES))
        out.write(block)
        n_bytes -= len(block)


def _move(group: Fields, by: int, ordinal: int) -> None:
    """Have a row group and its columns lie ``by`` bytes further on."""
    _add(group, _GROUP_OFFSET, by)
    if ordinal <= _MOST_ORDINAL and _ORDINAL in group:
        group[_ORDINAL] = (group[_ORDINAL][0], ordinal)
    else:
        group.pop(_ORDINAL, None)
    for chunk in group[_COLUMNS][1][1]:
        # Writers of today leave the offset of a chunk at 0.
        if chunk[_CHUNK_OFFSET][1]:
            _add(chunk, _CHUNK_OFFSET, by)
        for field in _PAGE_OFFSETS:
            _add(chunk[_META][1], field, by)


def _add(fields: Fields, field: int, by: int) -> None:
    if field in fields:
        kind, value = fields[field]
        fields[field] = (kind, value + by)


class _Reading:
    """Reads the compact protocol from the start of some bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def struct(self) -> Fields:
        found: Fields = {}
        number = 0
        while (head := self._byte()) != 0:
            kind, step = head & 15, head >> 4
            number = number + step if step else _unzigzag(self._varint())
            found[number] = (kind, None if kind in (_TRUE, _FALSE) else self._value(kind))
        return found

    def _value(self, kind: int) -> Any:
        if kind in _INTEGERS:
            return _unzigzag(self._varint())
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind == _DOUBLE:
            return self._bytes(8)
        if kind in _LISTS:
            head = self._byte()
            inner, size = head & 15, head >> 4
            size = self._varint() if size == 15 else size
            return inner, [self._value(inner) for _ in range(size)]
        if kind == _STRUCT:
            return self.struct()
        raise LoadFailed(f"a footer of Parquet has a field of type {kind}, which is not known here")

    def _byte(self) -> int:
        self._at += 1
        return self._content[self._at - 1]

    def _bytes(self, n: int) -> bytes:
        self._at += n
        return self._content[self._at - n : self._at]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7


def _write_struct(out: bytearray, fields: Fields) -> None:
    before = 0
    for number, (kind, value) in fields.items():
        step = number - before
        if 0 < step < 16:
            out.append(step << 4 | kind)
        else:
            out.append(kind)
            _write_varint(out, _zigzag(number))
        before = number
        if kind not in (_TRUE, _FALSE):
            _write_value(out, kind, value)
    out.append(0)


def _write_value(out: bytearray, kind: int, value: Any) -> None:
    if kind in _INTEGERS:
        _write_varint(out, _zigzag(value))
    elif kind in (_TRUE, _FALSE, _BYTE):
        out.append(value)
    elif kind == _BINARY:
        _write_varint(out, len(value))
        out += value
    elif kind == _DOUBLE:
        out += value
    elif kind == _STRUCT:
        _write_struct(out, value)
    else:
        inner, values = value
        if len(values) < 15:
            out.append(len(values) << 4 | inner)
        else:
            out.append(15 << 4 | inner)
            _write_varint(out, len(values))
        for one in values:
            _write_value(out, inner, one)


def _write_varint(out: bytearray, value: int) -> None:
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _unzigzag(value: int) -> int:
    return value >> 1 if value % 2 == 0 else -(value + 1 >> 1)
