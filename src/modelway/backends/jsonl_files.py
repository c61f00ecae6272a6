"""JSON lines for bulk scoring: one object a line."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from modelway.backends.text_files import line_read, lines_of, listed
from modelway.batch.faults import Fault, ValueProblem, damaged
from modelway.batch.parts import USUAL, PartSize, Span
from modelway.batch.ports import Columns
from modelway.domain.errors import Problem, SignatureMismatch
from modelway.inference.findings import RowProblem
from modelway.inference.validation import Checked, Validator

_BLOCK_BYTES = 1024 * 1024

Object = dict[str, Any]


@dataclass(frozen=True)
class JsonlSplitter:
    """Divides files of JSON lines where lines end."""

    size: PartSize = USUAL

    def names(self, path: Path) -> Sequence[str]:
        """The keys of the first object that can be read; none where there is no object."""
        return list(next(objects_of(path), {}))

    def spans(self, path: Path) -> Iterator[Span]:
        """Spans of whole lines."""
        span, line = Span(0, 0, 1, 0, 1), 1
        for start, lines in _blocks(path, 0, None, self.size.bytes):
            end = start + sum(map(len, lines))
            n_rows = span.n_rows + sum(not one.isspace() for one in lines)
            span = msgspec.structs.replace(span, end=end, n_rows=n_rows)
            line += len(lines)
            if self.size.is_reached(n_rows, end - span.start):
                yield span
                span = Span(end, end, span.first_row + n_rows, 0, line)
        if span.n_rows:
            yield span


def objects_of(path: Path) -> Iterator[Object]:
    """The objects of a file, as many as are asked for. Raises MalformedPayload."""
    with path.open("rb") as stream:
        line = _without_mark(line_read(stream, path))
        while line:
            with suppress(*_NO_JSON):
                found = _decode(line)
                if isinstance(found, dict):
                    yield found
            line = line_read(stream, path)


@dataclass(frozen=True)
class JsonlReader:
    """Reads JSON lines; ``kept`` None keeps every key.

    Where ``is_all``, these are all that a row may have.
    """

    kept: Sequence[str] | None
    known: Mapping[str, int]
    is_all: bool = False

    def read(self, path: Path, span: Span, batch_rows: int) -> Iterator[JsonlRows]:
        """The rows of a span."""
        row, line = span.first_row, span.first_line
        only = frozenset(self.kept) if self.is_all and self.kept is not None else None
        none = JsonlRows(self.kept, self.known, [], [], [], [], only)
        for _, lines in _blocks(path, span.start, span.end):
            held = replace(none, objects=[], numbers=[], lines=[], damaged=[])
            for text in lines:
                if not text.isspace():
                    held.add(text, row, line)
                    row += 1
                line += 1
                if len(held.objects) == batch_rows:
                    yield held
                    held = replace(none, objects=[], numbers=[], lines=[], damaged=[])
            if held.objects or held.damaged:
                yield held


@dataclass(frozen=True)
class JsonlRows:
    """Rows that are objects; the model is shown the keys that it has in ``known``.

    One with a key that is not in ``only`` is damaged.
    """

    keeps: Sequence[str] | None
    known: Mapping[str, int]
    objects: list[Object]
    numbers: list[int]
    lines: list[int]
    damaged: list[Fault]
    only: Set[str] | None = None

    def add(self, text: bytes, number: int, line: int) -> None:
        """One line more."""
        why = "expected a JSON object"
        try:
            found = _decode(text)
        except _NO_JSON as error:
            found, why = None, f"{why}: {error}"
        if isinstance(found, dict):
            if self.only is not None and not found.keys() <= self.only:
                self.damaged.append(_strange(number, line, found, self.only))
                return
            self.objects.append(found)
            self.numbers.append(number)
            self.lines.append(line)
        else:
            self.damaged.append(damaged(number, line, "malformed-line", why, text))

    def check(self, validator: Validator) -> Checked:
        """The rows as a table. Raises SignatureMismatch."""
        known = self.known
        rows = [{key: row[key] for key in row if key in known} for row in self.objects]
        try:
            return validator.rows(rows)
        except SignatureMismatch as error:
            raise SignatureMismatch(list(map(_of_row, error.problems)), total=error.total) from None

    def picked(self, places: Sequence[int]) -> JsonlRows:
        """The rows at these places."""
        objects = [self.objects[place] for place in places]
        numbers = [self.numbers[place] for place in places]
        lines = [self.lines[place] for place in places]
        return JsonlRows(self.keeps, self.known, objects, numbers, lines, [])

    def kept(self) -> Columns:
        """The columns that are kept; a row that lacks one has None there."""
        names = self.keeps
        if names is None:
            names = list(dict.fromkeys(key for row in self.objects for key in row))
        return {name: [row.get(name) for row in self.objects] for name in names}

    def fault(self, place: int) -> Fault:
        """A fault of a row, with its values."""
        return Fault(self.numbers[place], self.lines[place], values=self.objects[place])


class JsonlWriter:
    """Writes a part as JSON lines."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("wb")

    def write(self, columns: Columns) -> None:
        """Some rows more."""
        names, values = list(columns), [listed(one) for one in columns.values()]
        rows = (dict(zip(names, row, strict=True)) for row in zip(*values, strict=True))
        self._stream.write(b"".join(_encode(row) + b"\n" for row in rows))

    def close(self) -> None:
        """Write what is left."""
        self._stream.close()


def _blocks(
    path: Path, start: int, end: int | None, most_bytes: int = _BLOCK_BYTES
) -> Iterator[tuple[int, list[bytes]]]:
    """Whole lines from byte ``start`` to before ``end``, with the byte where the first begins.

    Raises:
        MalformedPayload: a line is too long.
    """
    at, most_bytes = start, min(most_bytes, _BLOCK_BYTES)
    with path.open("rb") as stream:
        stream.seek(start)
        while end is None or at < end:
            room = most_bytes if end is None else min(most_bytes, end - at)
            data = stream.read(room)
            if not data:
                return
            if not data.endswith(b"\n"):
                whole = data.rfind(b"\n") + 1
                data = data[:whole] + line_read(stream, path, data[whole:])
            yield at, lines_of(data if at else _without_mark(data))
            at += len(data)


def _of_row(problem: Problem) -> RowProblem:
    """The problem with its row, which is first in the pointer of each."""
    row = int(problem.pointer.split("/")[1])
    about = (problem.pointer, problem.column, problem.code, problem.received, problem.expected)
    return RowProblem(*about, row)


def _strange(number: int, line: int, found: Object, only: Set[str]) -> Fault:
    """The fault of a row with a column for which the output has no place."""
    name = next(key for key in found if key not in only)
    why = f"{name[:80]}: not a column of the first row; name the columns to keep with --columns"
    problem = ValueProblem(name[:80], "unknown-column", why)
    return Fault(number, line, problems=(problem,), values=found)


def _without_mark(begin: bytes) -> bytes:
    """How a file begins, as long as it was, with blanks for the mark that some begin UTF-8 with."""
    if begin.startswith(BOM_UTF8):
        return b" " * len(BOM_UTF8) + begin.removeprefix(BOM_UTF8)
    return begin


_NO_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(enc_hook=str).encode
