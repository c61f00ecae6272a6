"""CSV for bulk scoring: files of text in parts, rows whose cells are text."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from modelway.backends.csv_quoting import LINE_END, NewlineEnds
from modelway.backends.csv_records import Block, Record, blocks, header_of, read_record, read_whole
from modelway.backends.text_files import lines_of, listed, text_of
from modelway.batch.faults import Fault, damaged
from modelway.batch.parts import USUAL, PartSize, Span
from modelway.batch.ports import Columns, Values
from modelway.inference.validation import Checked, Validator

Typed = Callable[[str, list[str]], Values]
"""The cells of a column as its values."""


@dataclass(frozen=True)
class CsvSplitter:
    """Divides CSV files where records end."""

    size: PartSize = USUAL

    def names(self, path: Path) -> Sequence[str]:
        """The header. Raises MalformedPayload."""
        return header_of(path).names

    def spans(self, path: Path) -> Iterator[Span]:
        """Spans of whole records. Raises MalformedPayload."""
        header = header_of(path)
        span = Span(header.end, header.end, 1, 0, header.line)
        line = header.line
        for block in blocks(path, header.end, None, len(header.names), self.size.bytes):
            end, n_rows = block.start + len(block.data), span.n_rows + block.n_records
            span = msgspec.structs.replace(span, end=end, n_rows=n_rows)
            line += block.n_lines
            if self.size.is_reached(n_rows, end - span.start):
                yield span
                span = Span(end, end, span.first_row + n_rows, 0, line)
        if span.n_rows:
            yield span


@dataclass(frozen=True)
class CsvReader:
    """Reads CSV; the ``kept`` columns become values by ``typed``, or stay text where it is None."""

    kept: Sequence[str] | None
    known: Mapping[str, int]
    typed: Typed | None

    def read(self, path: Path, span: Span, batch_rows: int) -> Iterator[CsvRows]:
        """The rows of a span. Raises MalformedPayload."""
        names = header_of(path).names
        kept = names if self.kept is None else self.kept
        row, line = span.first_row, span.first_line
        for block in blocks(path, span.start, span.end, len(names)):
            for held in _held(block, len(names), row, line, batch_rows):
                yield self._rows(names, kept, held)
            row += block.n_records
            line += block.n_lines

    def _rows(self, names: Sequence[str], kept: Sequence[str], held: _Held) -> CsvRows:
        return CsvRows(
            *(names, kept, self.known, self.typed),
            *(held.cells, held.numbers, held.lines, held.damaged),
        )


@dataclass(frozen=True, slots=True)
class _Held:
    cells: list[Sequence[str]]
    numbers: list[int]
    lines: list[int]
    damaged: list[Fault]

    def add(self, cells: Sequence[str], number: int, line: int) -> None:
        """One row more."""
        self.cells.append(cells)
        self.numbers.append(number)
        self.lines.append(line)

    def add_all(self, rows: Sequence[Sequence[str]], number: int, line: int) -> None:
        """Rows more, each a line; the first is this one."""
        self.cells.extend(rows)
        self.numbers.extend(range(number, number + len(rows)))
        self.lines.extend(range(line, line + len(rows)))


@dataclass(frozen=True)
class CsvRows:
    """Rows of text, all as long as ``names``; the model is shown those it has in ``known``."""

    names: Sequence[str]
    keeps: Sequence[str]
    known: Mapping[str, int]
    typed: Typed | None
    cells: Sequence[Sequence[str]]
    numbers: Sequence[int]
    lines: Sequence[int]
    damaged: Sequence[Fault] = ()

    def check(self, validator: Validator) -> Checked:
        """The rows as a table. Raises SignatureMismatch."""
        places = [place for place, name in enumerate(self.names) if name in self.known]
        names = [self.names[place] for place in places]
        if len(names) == len(self.names):
            return validator.texts(names, self.cells)
        columns = list(zip(*self.cells, strict=True))
        rows = list(zip(*(columns[place] for place in places), strict=True))
        return validator.texts(names, rows or [()] * len(self.cells))

    def picked(self, places: Sequence[int]) -> CsvRows:
        """The rows at these places."""
        return replace(
            self,
            cells=[self.cells[place] for place in places],
            numbers=[self.numbers[place] for place in places],
            lines=[self.lines[place] for place in places],
            damaged=(),
        )

    def kept(self) -> Columns:
        """The columns that are kept."""
        found: dict[str, Values] = {}
        for name in self.keeps:
            place = self.names.index(name)
            cells = [row[place] for row in self.cells]
            found[name] = cells if self.typed is None else self.typed(name, cells)
        return found

    def fault(self, place: int) -> Fault:
        """A fault of a row, with its cells."""
        values = dict(zip(self.names, self.cells[place], strict=True))
        return Fault(self.numbers[place], self.lines[place], values=values)


def _held(block: Block, width: int, row: int, line: int, most_rows: int) -> Iterator[_Held]:
    """What a block has, so many rows at a time; its first record is this row and this line."""
    whole = read_whole(block, width)
    if block.plain and whole is not None:  # each line is a row
        for k in range(0, len(whole), most_rows):
            held = _Held([], [], [], [])
            held.add_all(whole[k : k + most_rows], row + k, line + k)
            yield held
        return
    held = _Held([], [], [], [])
    for record, cells, why in _records(block, whole, width):
        if cells is None:
            held.damaged.append(damaged(row, line, "malformed-line", why, record.text))
        elif cells:
            held.add(cells, row, line)
        row += not record.is_empty
        line += record.n_lines
        if len(held.cells) == most_rows:
            yield held
            held = _Held([], [], [], [])
    if held.cells or held.damaged:
        yield held


def _records(
    block: Block, whole: list[list[str]] | None, width: int
) -> Iterator[tuple[Record, Sequence[str] | None, str]]:
    """The records of a block, their cells, and what is wrong where there are none.

    ``whole`` has all cells, where none are damaged. An empty record has no cells, and nothing is
    wrong with it.
    """
    records = block.records
    if block.plain:
        records = [Record(line, 1) for line in lines_of(block.data)]
    cells = iter(whole or ())
    for record in records:
        if record.is_empty:
            yield record, (), ""
        elif whole is not None:
            yield record, next(cells), ""
        else:
            yield record, *read_record(record.text, width)


class CsvWriter:
    """Writes a part as CSV; the ``first`` one has the header."""

    def __init__(self, path: Path, names: Sequence[str], *, first: bool) -> None:
        self._stream = path.open("w", newline="", encoding="utf-8", errors="replace")
        self._writer = csv.writer(NewlineEnds(self._stream), lineterminator=LINE_END)
        if first:
            self._writer.writerow(names)

    def write(self, columns: Columns) -> None:
        """Some rows more."""
        cells = [[_cell(one) for one in listed(values)] for values in columns.values()]
        self._writer.writerows(zip(*cells, strict=True))

    def close(self) -> None:
        """Write what is left."""
        self._stream.close()


def _cell(value: Any) -> Any:
    """A value as text or number; Booleans as in JSON, what is nested as JSON."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return _encode(value).decode()
    return text_of(value)


_PLAIN = frozenset((str, int, float, type(None)))
_encode = msgspec.json.Encoder(enc_hook=str).encode
