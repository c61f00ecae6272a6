"""The records of a CSV file, found from wherever one begins, however damaged others are.

A record is a line; it goes on over the next lines while a quote is open, if it has as many cells as
the header once that is closed. Where it has not, the quote is the damage of that line alone, and
the next line is a record again: one broken quote must not swallow what follows it. What a record is
therefore depends on its own lines and never on where reading began.

Source: RFC 4180.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelway.backends.text_files import LONGEST_BYTES, line_read, lines_of, too_long
from modelway.domain.errors import MalformedPayload

BLOCK_BYTES = 1024 * 1024
_MOST_LINES = 100
"""Over no more lines does a record go."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Record:
    """The text of one record, of ``n_lines``; ``read_record`` reads it."""

    text: bytes
    n_lines: int

    @property
    def is_empty(self) -> bool:
        """Whether it is a line without any cell, which is no row."""
        return not self.text.strip(b"\r\n")


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records. ``plain`` ones are lines without quotes, one record each, none empty."""

    start: int
    data: bytes
    records: Sequence[Record]
    plain: bool

    @property
    def n_lines(self) -> int:
        """How many lines there are."""
        if not self.plain:
            return sum(one.n_lines for one in self.records)
        return self.data.count(b"\n") + (not self.data.endswith(b"\n"))

    @property
    def n_records(self) -> int:
        """How many records there are; empty lines are none."""
        return self.n_lines if self.plain else sum(not one.is_empty for one in self.records)


@dataclass(frozen=True, slots=True)
class Header:
    """The names of the columns; the first record after them is at byte ``end``, line ``line``."""

    names: Sequence[str]
    end: int
    line: int


def header_of(path: Path) -> Header:
    """The header of a file. Raises MalformedPayload."""
    text, lines = b"", 0
    with path.open("rb") as stream:
        while line := line_read(stream, path):
            text, lines = text + line, lines + 1
            if text.removeprefix(_BOM).strip() and (
                text.count(b'"') % 2 == 0 or lines == _MOST_LINES
            ):
                break
    bare = text.removeprefix(_BOM).lstrip(b"\r\n")
    try:
        names = _cells(bare)
    except (csv.Error, UnicodeDecodeError) as error:
        raise MalformedPayload(f"the header of {path} is not CSV: {error}") from None
    if not names:
        raise MalformedPayload(f"{path} is empty", hint="its first line must name the columns")
    if len(set(names)) != len(names):
        raise MalformedPayload(f"{path} names a column twice")
    return Header(names, len(text), lines + 1)


def blocks(
    path: Path, start: int, end: int | None, width: int, most_bytes: int = BLOCK_BYTES
) -> Iterator[Block]:
    """The records from byte ``start`` to before ``end``, where others begin.

    About ``most_bytes`` are read at a time, ``BLOCK_BYTES`` at most.

    Raises:
        MalformedPayload: a record is too long.
    """
    most_bytes = min(most_bytes, BLOCK_BYTES)
    with path.open("rb") as stream:
        stream.seek(start)
        left, at = b"", start
        while True:
            # Of a record that goes on, as much again: it is not looked through at each byte.
            room = min(max(most_bytes, len(left)), BLOCK_BYTES)
            if end is not None:
                room = min(room, end - at - len(left))
            more = stream.read(max(0, room))
            data = left + more
            if not data:
                return
            cut = len(data) if not more else data.rfind(b"\n") + 1
            if cut:
                found = _block(at, data[:cut], width, is_last=not more)
                if found.data:
                    yield found
                at += len(found.data)
                left = data[len(found.data) :]
            else:
                left = data
            if len(left) > LONGEST_BYTES:
                raise too_long(path, at)


def _block(start: int, data: bytes, width: int, *, is_last: bool) -> Block:
    if b'"' not in data and not _has_odd_lines(data):
        return Block(start, data, (), plain=True)
    records = list(_walked(lines_of(data), width, is_last=is_last))
    n_bytes = sum(len(one.text) for one in records)
    return Block(start, data[:n_bytes], records, plain=False)


def _has_odd_lines(data: bytes) -> bool:
    """Whether there may be an empty line, or a carriage return within one."""
    starts = data[:1] in (b"\n", b"\r")
    return starts or b"\n\n" in data or b"\n\r" in data or data.count(b"\r") != data.count(b"\r\n")


def _walked(lines: Sequence[bytes], width: int, *, is_last: bool) -> Iterator[Record]:
    """The records of lines; unless these are the last, without one that may go on after them."""
    at = 0
    while at < len(lines):
        record = _longer(lines, at, width) if lines[at].count(b'"') % 2 else None
        if record is None:
            if lines[at].count(b'"') % 2 and not is_last and len(lines) - at < _MOST_LINES:
                return
            record = Record(lines[at], 1)
        yield record
        at += record.n_lines


def _longer(lines: Sequence[bytes], at: int, width: int) -> Record | None:
    """The record that begins in a line with an open quote, if it is closed in a later one."""
    n_quotes = 0
    for n_lines, line in enumerate(lines[at : at + _MOST_LINES], start=1):
        n_quotes += line.count(b'"')
        if line.count(b'"') and n_quotes % 2 == 0:
            text = b"".join(lines[at : at + n_lines])
            return Record(text, n_lines) if read_record(text, width)[0] is not None else None
    return None


def read_record(text: bytes, width: int) -> tuple[Sequence[str] | None, str]:
    """The cells of a record that is not empty; None where it is damaged, and why."""
    try:
        cells = _cells(text)
    except UnicodeDecodeError as error:
        return None, f"it is not UTF-8: {error.reason}"
    except csv.Error as error:
        return None, f"it is not CSV: {error}"
    if len(cells) != width:
        return None, f"expected {width} cells, as in the header, got {len(cells)}"
    return cells, ""


def read_whole(block: Block, width: int) -> list[list[str]] | None:
    """The cells of all records of a block that are not empty; None where any may be damaged."""
    try:
        text = block.data.decode()
        if block.plain:
            lines = text.removesuffix("\n").split("\n")
            rows = [line.removesuffix("\r").split(",") for line in lines]
        else:
            rows = _rows_of(text, block.records)
    except (UnicodeDecodeError, csv.Error):
        return None
    return rows if all(len(row) == width for row in rows) else None


def _rows_of(text: str, records: Sequence[Record]) -> list[list[str]]:
    """The cells of the records that are not empty. Raises csv.Error where a row is no record."""
    reader = _reader(text)
    rows: list[list[str]] = []
    line = 0
    for record in records:
        row: list[str] = next(reader, [])
        line += record.n_lines
        if reader.line_num != line or bool(row) == record.is_empty:
            raise csv.Error("a row ends elsewhere")
        if row:
            rows.append(row)
    if next(reader, None) is not None:
        raise csv.Error("there are more rows than records")
    return rows


def _cells(text: bytes) -> list[str]:
    rows: list[list[str]] = list(_reader(text.decode()))
    if len(rows) > 1:
        raise csv.Error("a line ends within it")
    return rows[0] if rows else []


def _reader(text: str) -> Any:
    """What reads cells as long as a record may be; the module's limit is one of the process."""
    csv.field_size_limit(LONGEST_BYTES + BLOCK_BYTES)
    return csv.reader(io.StringIO(text, newline=""), strict=True)
