"""Tables of databases for bulk scoring: divided by ids, and read a page at a time.

A page is the rows after the last id that was read, in the order of the ids ("keyset pagination").
So any part can be read without what is before it, memory is that of a page, and nothing is held
open in the database while rows are scored. Rows that come later with ids beyond the last are not of
the run. A part in which rows are missing, or more than there were, ends it: values that change
meanwhile are not noticed, as no database says so.

Source: M. Winand, "Use The Index, Luke", "Fetching The Next Page".
"""

from __future__ import annotations

import decimal
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Double,
    Float,
    Numeric,
    Table,
    Uuid,
    distinct,
    func,
    select,
    type_coerce,
)
from sqlalchemy.types import NullType

from modelway.backends.table_place import TablePlace, is_unique, key_of
from modelway.batch.faults import Fault
from modelway.batch.manifest import TableFingerprint, changed
from modelway.batch.parts import USUAL, Id, PartSize, Span
from modelway.batch.ports import Columns
from modelway.domain.errors import InvalidInput
from modelway.domain.signature import Datatype, Signature
from modelway.inference.validation import Checked, Validator


@dataclass(frozen=True)
class TableSplitter:
    """Divides tables by the column ``key``, or by their primary key."""

    key: str | None
    size: PartSize = USUAL

    def names(self, place: TablePlace) -> Sequence[str]:
        """The columns of a table. Raises SourceNotFound."""
        place.check_there()
        with place.database.reading() as connection:
            return [str(column.name) for column in place.table(connection).columns]

    def spans(self, place: TablePlace) -> Iterator[Span]:
        """Spans of so many rows, by their ids. Raises InvalidInput."""
        with place.database.reading() as connection:
            table = place.table(connection)
            column = key_of(table, self.key, place.shown)
            self._check_key(connection, table, column, place)
            key = _id_of(column, place)
            ids = select(key).order_by(key)
            first, row = connection.scalar(ids.limit(1)), 1
            while first is not None:
                rest = ids.where(key >= first)
                page = rest.offset(self.size.rows - 1).limit(2)
                last, *following = list(connection.scalars(page)) or [None]
                n_rows = self.size.rows
                if last is None:
                    counted = select(func.count()).select_from(table).where(key >= first)
                    n_rows = connection.scalar(counted) or 0
                    last = connection.scalar(select(key).order_by(key.desc()).limit(1))
                yield Span(0, 0, row, n_rows, ids=(_told(first, place), _told(last, place)))
                first, row = (following[0] if following else None), row + n_rows

    def _check_key(
        self, connection: Connection, table: Table, key: Column[object], place: TablePlace
    ) -> None:
        if not key.nullable and is_unique(connection, table, key):
            return
        counts = select(func.count(), func.count(distinct(key))).select_from(table)
        n_rows, n_ids = connection.execute(counts).one()
        if n_rows != n_ids:
            raise InvalidInput(
                f"column {key.name} of {place.shown} does not tell its rows apart: "
                f"{n_rows} rows have {n_ids} ids",
                hint="name a column without double or missing values with --id-column",
            )


def table_fingerprint(place: TablePlace) -> TableFingerprint:
    """What a table is known by, as it is now. Raises SourceNotFound."""
    place.check_there()
    with place.database.reading() as connection:
        columns = place.table(connection).columns
        return TableFingerprint(
            place.shown, tuple(f"{column.name} {column.type!r}" for column in columns)
        )


@dataclass(frozen=True)
class TableReader:
    """Reads tables; ``kept`` None keeps all columns."""

    kept: Sequence[str] | None
    key: str | None
    signature: Signature

    def read(self, place: TablePlace, span: Span, batch_rows: int) -> Iterator[TableRows]:
        """The rows of a span.

        Raises:
            Conflict: they are not as many as when the table was divided.
        """
        if span.ids is None:
            return
        with place.database.reading() as connection:
            table = place.table(connection)
        column = key_of(table, self.key, place.shown)
        key = _id_of(column, place)
        kept = list(map(str, table.columns.keys())) if self.kept is None else self.kept
        wanted = [one for one in table.columns if one.name in self._needed(kept)]
        first, last = (_value(one, column) for one in span.ids)
        page = select(key, *(_as_read(one, place) for one in wanted))
        page = page.where(key <= last).order_by(key).limit(batch_rows)
        where, n_rows = key >= first, 0
        while n_rows <= span.n_rows:
            with place.database.reading() as connection:
                rows = connection.execute(page.where(where)).all()
            if not rows:
                break
            row = span.first_row + n_rows
            values = list(zip(*rows, strict=True))[1:]
            columns = {
                str(one.name): list(cells) for one, cells in zip(wanted, values, strict=True)
            }
            yield TableRows(self.signature, kept, columns, range(row, row + len(rows)))
            n_rows += len(rows)
            where = key > rows[-1][0]
        if n_rows != span.n_rows:
            about = f"of {span.n_rows} rows from id {span.ids[0]} to {span.ids[1]} it has {n_rows}"
            raise changed(place.shown, about)

    def _needed(self, kept: Sequence[str]) -> set[str]:
        return {*kept, *self.signature.positions}


@dataclass(frozen=True)
class TableRows:
    """Rows of a table by column; none of them is damaged."""

    signature: Signature
    keeps: Sequence[str]
    columns: Mapping[str, Sequence[Any]]
    numbers: Sequence[int]
    damaged: Sequence[Fault] = ()

    def check(self, validator: Validator) -> Checked:
        """The rows as a table. Raises SignatureMismatch."""
        arrays: dict[str, Sequence[object]] = {}
        for name, values in self.columns.items():
            position = self.signature.positions.get(name)
            if position is not None:
                arrays[name] = _shown(values, self.signature.columns[position].datatype)
        return validator.arrays(arrays, len(self.numbers))

    def picked(self, places: Sequence[int]) -> TableRows:
        """The rows at these places."""
        columns = {name: [values[k] for k in places] for name, values in self.columns.items()}
        return replace(self, columns=columns, numbers=[self.numbers[k] for k in places])

    def kept(self) -> Columns:
        """The columns that are kept."""
        return {name: self.columns[name] for name in self.keeps}

    def fault(self, place: int) -> Fault:
        """A fault of a row, with its values."""
        values = {name: values[place] for name, values in self.columns.items()}
        return Fault(self.numbers[place], values=values)


def _id_of(key: Column[object], place: TablePlace) -> Any:
    """The column that is asked for by its values.

    Decimal numbers of SQLite would go through floats, and whole ones lose digits there.
    """
    if place.database.dialect == "sqlite" and isinstance(key.type, Numeric):
        return type_coerce(key, NullType())
    return key


def _as_read(column: Column[object], place: TablePlace) -> Any:
    """The column with its values as they are.

    SQLite holds what it was given, which need not be what the column is declared as; and MariaDB's
    numbers in binary would be rounded to decimal ones.
    """
    if place.database.dialect == "sqlite":
        return type_coerce(column, NullType()).label(column.name)
    if isinstance(column.type, Float):
        return type_coerce(column, Double()).label(column.name)
    return column


def _told(value: object, place: TablePlace) -> Id:
    """An id as the manifest has it."""
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, int | str):
        return value
    if isinstance(value, decimal.Decimal) and _is_whole(value):
        return int(value)
    raise InvalidInput(
        f"the ids of {place.shown} are neither whole numbers nor text nor UUIDs",
        hint="name such a column with --id-column",
    )


def _value(told: Id, key: Column[object]) -> object:
    return uuid.UUID(str(told)) if isinstance(key.type, Uuid) else told


def _shown(values: Sequence[Any], datatype: Datatype) -> Sequence[object]:
    """Values as a request would have them: numbers, text and Booleans."""
    kinds = set(map(type, values))
    if datatype is Datatype.BOOL and int in kinds:
        # SQLite and MariaDB have no Booleans of their own.
        return [bool(one) if one in (0, 1) else one for one in values]
    if kinds <= _PLAIN:
        return values
    return [_plain(one) for one in values]


def _plain(value: Any) -> object:
    if isinstance(value, decimal.Decimal):
        return int(value) if _is_whole(value) else float(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, uuid.UUID) else value


def _is_whole(value: decimal.Decimal) -> bool:
    # PostgreSQL's may be infinite, or no number.
    return value.is_finite() and value == value.to_integral_value()


_PLAIN = frozenset((str, int, float, bool, type(None)))
