"""Parquet for bulk scoring: row groups read as Arrow batches, and a row group written a part."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modelway.backends.text_files import text_of
from modelway.batch.faults import Fault
from modelway.batch.parts import USUAL, PartSize, Span
from modelway.batch.ports import ArrowColumn, Columns, Values
from modelway.domain.errors import InvalidInput, MalformedPayload
from modelway.domain.tables import Array
from modelway.inference.validation import Checked, Validator

_FAULTS = (pa.ArrowException, OSError, MemoryError)
_BUFFER_BYTES = 1024 * 1024
"""So much of a column is read at once, and not all of its row group."""

_GROUP_BYTES = 32 * 1024 * 1024
"""A row group ends where its values take so much memory."""

_PLAIN = {float: pa.float64(), int: pa.int64(), bool: pa.bool_(), str: pa.string()}
_TAKEN = frozenset((float, int, bool, str, type(None), list, dict, tuple))
"""Types of values that become arrays as they are."""

ReadTable = Callable[[Any, Validator], Checked]
"""Checks a table of Arrow. Raises SignatureMismatch."""

MakeArray = Callable[[Any], Any]
"""Values of Python or numpy as an array of Arrow."""


@dataclass(frozen=True)
class ParquetSplitter:
    """Divides Parquet files between row groups."""

    size: PartSize = USUAL

    def names(self, path: Path) -> Sequence[str]:
        """The columns of a file. Raises MalformedPayload."""
        names: Sequence[str] = schema_of(path).names
        if len(set(names)) != len(names):
            raise MalformedPayload(f"{path} names a column twice")
        return list(names)

    def spans(self, path: Path) -> Iterator[Span]:
        """Spans of row groups that are as many as it takes. Raises MalformedPayload."""
        with _opened(path) as file:
            found = file.metadata
        span, n_bytes = Span(0, 0, 1, 0), 0
        for number in range(found.num_row_groups):
            group = found.row_group(number)
            n_rows = span.n_rows + group.num_rows
            n_bytes += group.total_byte_size
            span = msgspec.structs.replace(span, end=number + 1, n_rows=n_rows)
            if self.size.is_reached(n_rows, n_bytes):
                yield span
                span, n_bytes = Span(number + 1, number + 1, span.first_row + n_rows, 0), 0
        if span.n_rows:
            yield span


def schema_of(path: Path) -> Any:
    """The schema of a file, as Arrow has it. Raises MalformedPayload."""
    with _opened(path) as file:
        return file.schema_arrow


@dataclass(frozen=True)
class ParquetReader:
    """Reads Parquet; of its columns, the ``kept`` ones and those that the model has in ``known``.

    ``texts`` are those of the latter that are text, which is held once for all rows that have it.
    """

    kept: Sequence[str] | None
    known: Mapping[str, int]
    texts: frozenset[str]
    read_table: ReadTable
    make_array: MakeArray

    def read(self, path: Path, span: Span, batch_rows: int) -> Iterator[ArrowRows]:
        """The rows of a span. Raises MalformedPayload."""
        row = span.first_row
        with _opened(path, sorted(self.texts)) as file:
            names = file.schema_arrow.names
            kept = names if self.kept is None else self.kept
            wanted = [name for name in names if name in self.known or name in kept]
            batches = file.iter_batches(
                batch_rows,
                row_groups=range(span.start, span.end),
                columns=wanted,
                use_threads=False,
            )
            try:
                for batch in batches:
                    table = pa.Table.from_batches([batch])
                    numbers = range(row, row + table.num_rows)
                    yield ArrowRows(self, kept, table, numbers)
                    row += table.num_rows
            except _FAULTS as error:
                raise MalformedPayload(f"{path} cannot be read: {error}") from error


@dataclass(frozen=True)
class ArrowRows:
    """Rows of a table of Arrow; none of them is damaged."""

    reader: ParquetReader
    keeps: Sequence[str]
    table: Any
    numbers: Sequence[int]
    damaged: Sequence[Fault] = ()

    def check(self, validator: Validator) -> Checked:
        """The rows as a table. Raises SignatureMismatch."""
        known = [name for name in self.table.schema.names if name in self.reader.known]
        return self.reader.read_table(self.table.select(known), validator)

    def picked(self, places: Sequence[int]) -> ArrowRows:
        """The rows at these places."""
        index = self.reader.make_array(np.array(places, dtype=np.int64))
        numbers = [self.numbers[place] for place in places]
        return replace(self, table=self.table.take(index), numbers=numbers)

    def kept(self) -> Columns:
        """The columns that are kept."""
        return {name: self.table.column(name) for name in self.keeps}

    def fault(self, place: int) -> Fault:
        """A fault of a row, with its values."""
        (values,) = self.table.slice(place, 1).to_pylist()
        return Fault(self.numbers[place], values=values)


class ParquetWriter:
    """Writes a part as one row group, or several where it is large.

    ``types`` are of Python or Arrow, by the names of the columns.
    """

    def __init__(self, path: Path, types: Mapping[str, Any], make_array: MakeArray) -> None:
        fields = [pa.field(name, _PLAIN.get(kind, kind)) for name, kind in types.items()]
        self._schema = pa.schema(fields)
        self._make_array = make_array
        self._held: list[Any] = []
        self._held_bytes = 0
        # A dictionary of numbers that are all different is made to be thrown away.
        texts = [one.name for one in fields if not _is_float(one.type)]
        self._writer = pq.ParquetWriter(path, self._schema, use_dictionary=texts)

    def write(self, columns: Columns) -> None:
        """Some rows more. Raises InvalidInput."""
        arrays = [self._array(columns[one.name], one) for one in self._schema]
        self._held.append(pa.Table.from_arrays(arrays, schema=self._schema))
        self._held_bytes += self._held[-1].nbytes
        if self._held_bytes >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is left."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._held:
            table = pa.concat_tables(self._held)
            self._writer.write_table(table, row_group_size=table.num_rows)
        self._held, self._held_bytes = [], 0

    def _array(self, values: Values, field: Any) -> Any:
        found: Any = values
        if not isinstance(values, ArrowColumn):
            found = self._make_array(_told(values, field.type))
            if found.null_count == len(found) and field.type not in _PLAIN.values():
                found = pa.nulls(len(found), field.type)  # nothing says which type they are not of
        try:
            return found if found.type == field.type else found.cast(field.type)
        except pa.ArrowException as error:
            raise InvalidInput(
                f"column {field.name!r} does not keep the type it has first: {error}",
                hint="write .csv or .jsonl, or leave the column out",
            ) from error


def _told(values: Sequence[Any] | Array, kind: Any) -> Sequence[Any] | Array:
    """The values, with those that are neither numbers nor text as text, of which Arrow makes its
    own; what is not a number is none.
    """
    if isinstance(values, np.ndarray) or _TAKEN.issuperset(map(type, values)):
        return values
    return [one if type(one) in _TAKEN else _text(one, kind) for one in values]


def _text(value: Any, kind: Any) -> str | None:
    if pa.types.is_timestamp(kind) and getattr(value, "tzinfo", None) is not None:
        value = value.astimezone(datetime.UTC)  # Arrow reads no zone that has seconds
    if pa.types.is_decimal(kind) and value != value:
        return None
    return text_of(value)


def _is_float(kind: Any) -> bool:
    return bool(pa.types.is_floating(kind))


def _opened(path: Path, texts: Sequence[str] = ()) -> Any:
    try:
        return pq.ParquetFile(path, read_dictionary=list(texts), buffer_size=_BUFFER_BYTES)
    except _FAULTS as error:
        raise MalformedPayload(f"{path} cannot be read: {error}") from error
