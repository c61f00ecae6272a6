"""The types of columns from one format to another: of Python, of Arrow, of SQLAlchemy.

What is text in the end is the type ``str`` of Python on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modelway.batch.ports import Values


def kind_of(values: Values) -> type:
    """The type of Python that some answers have."""
    if isinstance(values, np.ndarray):
        return {"f": float, "b": bool, "i": int, "u": int}.get(values.dtype.kind, str)
    present: Sequence[Any] = [one for one in values if one is not None]  # type: ignore[union-attr] # answers are never of Arrow
    kind = type(present[0]) if present else str
    return kind if kind in (int, float, bool) else str


def arrow_kind(kind: Any) -> Any:
    """The type of a column of Parquet, where it has another type elsewhere."""
    if not type(kind).__module__.startswith("sqlalchemy"):
        return kind
    import pyarrow as pa
    import sqlalchemy as sa

    if isinstance(kind, sa.Boolean):
        return bool
    if isinstance(kind, sa.Integer):
        return int
    if isinstance(kind, sa.Float):
        return float
    if isinstance(kind, sa.Numeric):
        n_digits, scale = kind.precision or 0, kind.scale or 0
        # Where a number has any digits, or more than Parquet's have, text keeps all of them.
        is_decimal = n_digits and 0 <= scale <= n_digits <= _MOST_DIGITS
        return pa.decimal128(n_digits, scale) if is_decimal else str
    if isinstance(kind, sa.DateTime):
        return pa.timestamp("us", tz="UTC" if kind.timezone else None)
    return pa.date32() if isinstance(kind, sa.Date) else str


def table_kind(kind: Any) -> Any:
    """The type of a column of a table, where it has another type elsewhere."""
    from modelway.backends.table_types import TIME_WITH_ZONE, of_decimal, of_python

    if isinstance(kind, type):
        return of_python(kind)
    if type(kind).__module__.startswith("sqlalchemy"):
        return kind
    import pyarrow as pa
    import sqlalchemy as sa

    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return TIME_WITH_ZONE
    if pa.types.is_decimal(kind):
        return of_decimal(kind.precision, kind.scale)
    if pa.types.is_uint64(kind):
        # SQLite would make floats of decimal numbers, and one id of several.
        return sa.Numeric(_UINT64_DIGITS, 0).with_variant(sa.BigInteger(), "sqlite")
    found = next((one for is_one, one in _arrow_kinds() if is_one(kind)), str)
    return of_python(found)


def _arrow_kinds() -> Sequence[tuple[Any, type]]:
    import datetime

    import pyarrow as pa

    return (
        (pa.types.is_boolean, bool),
        (pa.types.is_integer, int),
        (pa.types.is_floating, float),
        (pa.types.is_timestamp, datetime.datetime),
        (pa.types.is_date, datetime.date),
    )


_MOST_DIGITS = 38
_UINT64_DIGITS = 20
