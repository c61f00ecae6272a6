"""The types of columns of tables: what a table is made with, for rows that came from elsewhere.

Whatever has no type of its own in every database is text.
"""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

from modelway.backends.text_files import text_of

Kind = TypeEngine[Any]

_ID_LENGTH = 255
"""As long as an id of text may be, since MariaDB has no index of longer ones."""
_MOST_DIGITS, _MOST_DIGITS_BEHIND = 65, 30
"""Of a decimal number of MySQL, and of MariaDB, which has some more behind the point."""

TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
# Two ids that differ in case only are two.
_MYSQL_ID = mysql.VARCHAR(_ID_LENGTH, charset="utf8mb4", collation="utf8mb4_bin")
ID = sa.String(_ID_LENGTH).with_variant(_MYSQL_ID, "mysql", "mariadb")
TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
TIME_WITH_ZONE = sa.DateTime(timezone=True).with_variant(
    mysql.DATETIME(fsp=6), *("mysql", "mariadb")
)
_OF_PYTHON: dict[type, Kind] = {
    bool: sa.Boolean(),
    int: sa.BigInteger(),
    float: sa.Double(),
    str: TEXT,
    datetime.datetime: TIME,
    datetime.date: sa.Date(),
    uuid.UUID: sa.Uuid(),
}
_KINDS: tuple[tuple[type[Kind], Kind], ...] = (
    (sa.Boolean, sa.Boolean()),
    (sa.Integer, sa.BigInteger()),
    (sa.Float, sa.Double()),
    (sa.Date, sa.Date()),
    (sa.Uuid, sa.Uuid()),
)


def of_python(kind: type) -> Kind:
    """The type for values of a type of Python."""
    return _OF_PYTHON.get(kind, TEXT)


def of_table(kind: Kind, *, is_sqlite: bool) -> Kind:
    """The type for values that are read of a column of another table.

    SQLite has numbers and text, whatever its columns are declared as.
    """
    if is_sqlite:
        if isinstance(kind, sa.Integer | sa.Boolean):
            return sa.BigInteger()
        return sa.Double() if isinstance(kind, sa.Numeric | sa.Float) else TEXT
    for one, found in _KINDS:
        if isinstance(kind, one):
            return found
    if isinstance(kind, sa.DateTime):
        return TIME_WITH_ZONE if kind.timezone else TIME
    if isinstance(kind, sa.Numeric):
        return of_decimal(kind.precision, kind.scale)
    return TEXT


def of_decimal(precision: int | None, scale: int | None) -> Kind:
    """The type for decimal numbers of so many digits, of which ``scale`` are behind the point.

    Where MariaDB and MySQL have none with all these digits it is text there: they would round.
    """
    kind = sa.Numeric(precision, scale)
    if _is_everywhere(precision, scale):
        return kind
    return kind.with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def _is_everywhere(precision: int | None, scale: int | None) -> bool:
    """Whether each database has decimal numbers of so many digits."""
    if precision is None or precision > _MOST_DIGITS:
        return False
    return 0 <= (scale or 0) <= min(precision, _MOST_DIGITS_BEHIND)


def as_id(kind: Kind) -> Kind:
    """The type for ids, where it is ``kind`` for other values."""
    if isinstance(kind, sa.Numeric) and not _is_everywhere(kind.precision, kind.scale):
        return sa.Numeric(kind.precision, kind.scale).with_variant(_MYSQL_ID, "mysql", "mariadb")
    return ID if isinstance(kind, sa.String) else kind


def as_value(value: object, kind: Kind) -> object:
    """A value as a column takes it; what is not a number is none, as in every database."""
    if isinstance(value, float | decimal.Decimal) and value != value:
        return None
    if isinstance(value, list | dict) and not isinstance(kind, sa.JSON | sa.ARRAY):
        # As text, so that a column of numbers refuses it as it does any text.
        return json.dumps(value, default=_nested)
    if isinstance(value, datetime.datetime) and isinstance(kind, sa.DateTime):
        # A column without zones would keep the clock of whichever zone it was.
        return value if kind.timezone or value.tzinfo is None else _in_utc(value)
    if value is None or not isinstance(kind, sa.String) or isinstance(value, str):
        return value
    return text_of(value)


def _in_utc(value: datetime.datetime) -> datetime.datetime:
    return value.astimezone(datetime.UTC).replace(tzinfo=None)


def _nested(value: object) -> str:
    return text_of(value) if isinstance(value, bytes) else str(value)
