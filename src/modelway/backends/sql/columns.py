"""What the columns of the store hold, and what may be written to them.

The databases differ in what they refuse: SQLite takes a text of any length, PostgreSQL none with a
NUL. So everything is checked before it is written, and refused alike by all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Dialect,
    Float,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects.mysql import LONGBLOB, MEDIUMTEXT

from modelway.domain.errors import InvalidInput

NAME_CHARACTERS = 255
TEXT_CHARACTERS = 1_000_000
"""Four bytes each are still less than MariaDB takes in one statement as it is installed."""

_LARGEST = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """An aware datetime as microseconds since 1970 in UTC; what is read is in UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """The microseconds of a datetime.

        Raises:
            InvalidInput: it has no time zone.
        """
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """The datetime of microseconds."""
        return None if value is None else _EPOCH + value * _MICROSECOND


def name_type() -> String:
    """A name: at most 255 characters, compared by its code points."""
    return String(NAME_CHARACTERS)


def text_type() -> Text:
    """A text of up to a million characters, which nothing is looked up by."""
    return Text().with_variant(MEDIUMTEXT(), "mysql")


def bytes_type() -> LargeBinary:
    """Bytes of any number that the database takes in one statement."""
    return LargeBinary().with_variant(LONGBLOB(), "mysql")


def insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows, by the names of their columns.

    Raises:
        InvalidInput: a value that not every database can hold; says which.
    """
    for row in rows:
        check(table, row)
    if rows:
        connection.execute(table.insert(), list(rows))


def insert_checked(
    connection: Connection, table: Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Write many rows by the driver itself; their values are checked, and times ``microseconds``.

    SQLAlchemy takes longer over each row than the database does.
    """
    if rows:
        mark = "?" if connection.dialect.name == "sqlite" else "%s"
        values = ", ".join([mark] * len(names))
        into = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({values})"  # noqa: S608 - names of ours
        connection.exec_driver_sql(into, list(rows))


def microseconds(at: datetime) -> int:
    """The microseconds of a datetime since 1970.

    Raises:
        InvalidInput: it has no time zone.
    """
    if at.utcoffset() is None:
        raise InvalidInput(f"{at.isoformat()}: expected a time with its zone, got none")
    return (at - _EPOCH) // _MICROSECOND


def check(table: Table, values: Mapping[str, Any]) -> None:
    """Refuse values that not every database can hold, by the names of their columns.

    Raises:
        InvalidInput: says which.
    """
    for name, value in values.items():
        if value is not None:
            _check(table.c[name].type, name, value)


def _check(kind: object, name: str, value: object) -> None:
    if isinstance(kind, String):
        _check_text(name, value, kind.length or TEXT_CHARACTERS)
    elif isinstance(kind, Integer):
        if not isinstance(value, int) or not 0 <= value <= _LARGEST:
            raise InvalidInput(
                f"{name}: expected a whole number from 0 to {_LARGEST}, got {value!r}"
            )
    elif isinstance(kind, Float) and not (isinstance(value, (int, float)) and isfinite(value)):
        raise InvalidInput(f"{name}: expected a finite number, got {value!r}")


def _check_text(name: str, value: object, longest: int) -> None:
    if not isinstance(value, str):
        raise InvalidInput(f"{name}: expected text, got {type(value).__name__}")
    if len(value) > longest:
        raise InvalidInput(
            f"{name}: expected at most {longest} characters, got {len(value)}: {value[:80]!r}..."
        )
    if "\x00" in value or not _is_unicode(value):
        raise InvalidInput(
            f"{name}: expected text without NUL and lone surrogates, got {value[:80]!r}"
        )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
