"""Rows written to a table of a database: one that has an id already is brought up to date.

Some rows are one transaction, and the same rows written twice are there once. So a part that was
half written when a run was killed is simply written again. PostgreSQL copies them into a table of
the transaction first, which is five times as quick as inserting them.

Source: PostgreSQL, "INSERT", ON CONFLICT, and "COPY"; SQLite, "UPSERT"; MariaDB, "INSERT ON
DUPLICATE KEY UPDATE".
"""

from __future__ import annotations

import decimal
import itertools
import math
import random
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    Table,
    bindparam,
    delete,
    insert,
    inspect,
    literal_column,
    text,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, ProgrammingError, StatementError
from sqlalchemy.schema import CreateTable

from modelway.backends.table_place import TablePlace, is_unique, unique_columns
from modelway.backends.table_types import Kind, as_id, as_value
from modelway.backends.text_files import listed
from modelway.batch.ports import Columns
from modelway.domain.errors import Conflict, InvalidInput, StoreUnavailable

Row = Mapping[str, object]

_COLLATION = """SELECT collation_name FROM information_schema.columns
WHERE table_schema = coalesce(:schema, database()) AND table_name = :name AND column_name = :key"""
_LONGEST_NAMES = {"postgresql": 63, "mysql": 64}
_TRIES = 5
_FIRST_WAIT_S = 0.2
_SQLITE_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DENIED = ((1044,), (1142,), (1143,), (1227,))
"""MariaDB's and MySQL's errors of a right that is missing, which their driver has as of others."""


class TableWriter:
    """Writes to one table, of which the column ``key`` tells rows apart."""

    def __init__(self, place: TablePlace, table: Table, key: str) -> None:
        self._place = place
        self._table = table
        self._key = key
        self._types = {column.name: column.type for column in table.columns}
        self._upsert = _UPSERTS.get(place.database.dialect, replaced)
        if place.is_psycopg:
            self._upsert = _copied

    def write(self, columns: Columns) -> None:
        """Some rows more, in one transaction.

        Raises:
            InvalidInput: a row that the table cannot hold, so that none was written.
            StoreUnavailable: the database cannot be used, tried several times.
        """
        cells = [
            [as_value(one, self._types[name]) for one in listed(values)]
            for name, values in columns.items()
        ]
        of_id = dict(
            zip(cells[list(columns).index(self._key)], zip(*cells, strict=True), strict=True)
        )
        rows = [dict(zip(columns, row, strict=True)) for row in of_id.values()]
        for wait in range(_TRIES):
            try:
                with self._place.database.writing() as connection:
                    self._upsert(connection, self._table, self._key, rows)
            except StatementError as error:
                raise InvalidInput(
                    f"{self._place.shown} cannot hold a value that it was given: {error.orig}"
                ) from error
            except Conflict as error:
                # A column that may not be empty, a check, or another that is unique.
                raise InvalidInput(error.message) from error
            except StoreUnavailable as error:
                # Of two that write at once, a database may end one ("deadlock").
                if wait == _TRIES - 1 or not _may_pass(error):
                    raise
                time.sleep(_FIRST_WAIT_S * 2**wait * random.uniform(0.5, 1))  # noqa: S311
            else:
                return

    def close(self) -> None:
        """Nothing is left to be written."""


def _may_pass(error: StoreUnavailable) -> bool:
    """Whether the same statement may do later: it is not refused for what it says or who asks."""
    cause = error.__cause__
    orig = cause.orig if isinstance(cause, DBAPIError) else cause
    if isinstance(orig, sqlite3.Error):
        return orig.sqlite_errorcode & 0xFF in _SQLITE_BUSY
    return not isinstance(cause, ProgrammingError) and getattr(orig, "args", ())[:1] not in _DENIED


def made(place: TablePlace, types: Mapping[str, Kind], key: str) -> Table:
    """The table that rows are written to; made where it is not there.

    Raises:
        InvalidInput: it is there, and lacks columns, would have an id twice, or would have a row
            replace one of another id; or a name is too long for it to be made.
        StoreUnavailable: it cannot be made.
    """
    with place.database.reading() as connection:
        is_there = place.is_there(connection)
    if not is_there:
        _make(place, types, key)
    with place.database.reading() as connection:
        table = place.table(connection)
        lacking = [name for name in types if name not in table.columns]
        if lacking:
            raise InvalidInput(
                f"{place.shown} has no column {', '.join(lacking)}, which is to be written",
                hint="add it, or name another table, which is made",
            )
        if not is_unique(connection, table, table.columns[key]):
            raise InvalidInput(
                f"{place.shown} may have a value of its column {key} in several rows",
                hint="make the column its primary key, or unique",
            )
        if place.database.dialect == "mysql":
            _check_only_ids_are_doubles(connection, place, table, types, key)
    return table


def _check_only_ids_are_doubles(
    connection: Connection, place: TablePlace, table: Table, types: Mapping[str, Kind], key: str
) -> None:
    """Do nothing if a row can only be taken for another that has the same id.

    MariaDB and MySQL bring a row up to date that is a double in any unique index, and whatever
    their collation takes for the same is a double.

    Raises:
        InvalidInput: it can be taken for others.
    """
    for names in unique_columns(connection, table):
        if names != [key] and not types.keys().isdisjoint(names):
            raise InvalidInput(
                f"{place.shown} has another unique index, over {', '.join(names)}, by which a row "
                "would replace one of another id",
                hint="make it an index that is not unique, or name another table, which is made",
            )
    collation = connection.scalar(
        text(_COLLATION), {"schema": table.schema, "name": table.name, "key": key}
    )
    if collation is not None and not collation.endswith("_bin"):
        raise InvalidInput(
            f"column {key} of {place.shown} takes ids for the same that are not, by its collation "
            f"{collation}",
            hint="have the column COLLATE utf8mb4_bin, or name another table, which is made",
        )


def _check_names(place: TablePlace, types: Mapping[str, Kind]) -> None:
    """Do nothing if a new table can have these names: PostgreSQL would cut one off.

    Raises:
        InvalidInput: one is too long.
    """
    dialect = place.database.dialect
    for name in (place.name, *types):
        # Bytes in PostgreSQL, characters in MariaDB and MySQL.
        length = len(name.encode() if dialect == "postgresql" else name)
        if length > _LONGEST_NAMES.get(dialect, length):
            raise InvalidInput(
                f"{place.shown} cannot have the name {name}: it is longer than "
                f"{_LONGEST_NAMES[dialect]}, the most that the database takes",
                hint="rename the column, or name the columns to keep with --columns",
            )


def _make(place: TablePlace, types: Mapping[str, Kind], key: str) -> None:
    columns: list[Column[Any]] = [
        Column(name, as_id(kind), primary_key=True, autoincrement=False)
        if name == key
        else Column(name, kind)
        for name, kind in types.items()
    ]
    _check_names(place, types)
    table = Table(place.name, MetaData(), *columns, schema=place.schema or None)
    with place.database.writing() as connection:
        try:
            connection.execute(CreateTable(table))
        except DBAPIError:
            # Another worker may have made it in the meantime.
            connection.rollback()
            if not inspect(connection).has_table(place.name, schema=place.schema or None):
                raise


def _on_conflict(dialect: Any) -> Callable[[Connection, Table, str, Sequence[Row]], None]:
    def upsert(connection: Connection, table: Table, key: str, rows: Sequence[Row]) -> None:
        statement = dialect.insert(table)
        others = {name: statement.excluded[name] for name in rows[0] if name != key}
        connection.execute(statement.on_conflict_do_update(index_elements=[key], set_=others), rows)

    return upsert


def _on_duplicate_key(connection: Connection, table: Table, key: str, rows: Sequence[Row]) -> None:
    if not all(map(_is_finite, itertools.chain.from_iterable(row.values() for row in rows))):
        raise InvalidInput(f"{table.name} cannot hold a number that is infinite")
    statement = mysql.insert(table)
    # The dialect's own ``inserted`` doubles a percent sign twice.
    quoted = {name: name.replace("`", "``") for name in rows[0] if name != key}
    others: dict[str, Any] = {
        name: literal_column(f"VALUES(`{one}`)") for name, one in quoted.items()
    }
    connection.execute(statement.on_duplicate_key_update(others), rows)


def _is_finite(value: object) -> bool:
    """Whether a value is none that the driver for MariaDB has no word for."""
    return not isinstance(value, float | decimal.Decimal) or math.isfinite(value)


def _copied(connection: Connection, table: Table, key: str, rows: Sequence[Row]) -> None:
    prepare = connection.dialect.identifier_preparer
    names = {one: prepare.quote(one) for one in rows[0]}
    into, listed_names = prepare.format_table(table), ", ".join(names.values())
    others = ", ".join(f"{one} = excluded.{one}" for name, one in names.items() if name != key)
    made = "CREATE TEMPORARY TABLE modelway_rows ON COMMIT DROP AS"
    of_table = f"SELECT {listed_names} FROM {into}"  # noqa: S608
    connection.exec_driver_sql(f"{made} {of_table} WITH NO DATA")
    driver: Any = connection.connection.driver_connection
    try:
        # A percent sign is doubled for the driver, which does not look for parameters here.
        copied = f"COPY modelway_rows ({listed_names}) FROM STDIN".replace("%%", "%")
        with driver.cursor().copy(copied) as copy:
            for row in rows:
                copy.write_row(tuple(row.values()))
    except connection.dialect.loaded_dbapi.DataError as error:
        raise DataError("COPY", None, error) from error
    copied = f"INSERT INTO {into} ({listed_names}) SELECT * FROM modelway_rows"  # noqa: S608
    connection.exec_driver_sql(f"{copied} ON CONFLICT ({names[key]}) DO UPDATE SET {others}")


def replaced(connection: Connection, table: Table, key: str, rows: Sequence[Row]) -> None:
    """The rows in the place of those with their ids, for databases of which no more is known."""
    which = delete(table).where(table.columns[key] == bindparam("modelway_id"))
    connection.execute(which, [{"modelway_id": row[key]} for row in rows])
    connection.execute(insert(table), rows)


_UPSERTS = {
    "sqlite": _on_conflict(sqlite),
    "postgresql": _on_conflict(postgresql),
    "mysql": _on_duplicate_key,
    "mariadb": _on_duplicate_key,
}
