"""Random signatures and rows for them, as Hypothesis strategies; and how tables are compared."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
from hypothesis import strategies as st

from modelway.bundles.manifest import MISSING_TEXT
from modelway.domain.errors import InvalidSignature
from modelway.domain.names import alias_of
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Array, Table
from modelway.inference.cells import bounds

Row = dict[str, Any]

NAMES = st.text(min_size=1, max_size=12).filter(lambda name: not name.startswith("\ufeff"))
TEXTS = st.text(min_size=1, max_size=12).filter(lambda text: MISSING_TEXT not in text)
MOMENTS = st.datetimes(
    datetime(1700, 1, 1),
    datetime(2200, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)


@st.composite
def columns(draw: st.DrawFn, position: int) -> Column:
    """A column of any datatype, with or without what training saw."""
    name = draw(NAMES)
    datatype = draw(st.sampled_from([d for d in Datatype if d is not Datatype.BYTES]))
    column = Column(name, alias_of(name, position), datatype, nullable=draw(st.booleans()))
    if column.nullable:
        column = _with(column, optional=draw(st.booleans()))
    if datatype is Datatype.CATEGORICAL:
        kinds = st.one_of(
            st.lists(TEXTS, min_size=1, max_size=4, unique=True),
            st.lists(st.integers(-(2**53) + 1, 2**53 - 1), min_size=1, max_size=4, unique=True),
        )
        seen = tuple(draw(kinds))
        return _with(column, categories=seen, closed=draw(st.booleans()))
    if datatype.is_number and draw(st.booleans()):
        low, high = sorted((draw(values(column)), draw(values(column))))
        return _with(column, minimum=float(low), maximum=float(high))
    return column


@st.composite
def signatures(draw: st.DrawFn) -> Signature:
    """One to five columns."""
    found: list[Column] = []
    for position in range(draw(st.integers(1, 5))):
        one = draw(columns(position))
        try:
            Signature(columns=(*found, one))
        except InvalidSignature:
            continue  # two would have one name
        found.append(one)
    return Signature(columns=tuple(found))


def values(column: Column) -> st.SearchStrategy[Any]:
    """Values that the column's datatype holds exactly, missing ones not among them."""
    if column.categories:
        return st.sampled_from(column.categories)
    if column.datatype is Datatype.BOOL:
        return st.booleans()
    if column.datatype is Datatype.DATETIME:
        return MOMENTS
    if column.is_text:
        return TEXTS
    low, high = bounds(column)
    if column.datatype.is_float:
        width: Any = {Datatype.FP16: 16, Datatype.FP32: 32}.get(column.datatype, 64)
        return st.floats(low, high, width=width)
    return st.integers(int(low), int(high))


def rows_of(signature: Signature, *, missing: bool = True) -> st.SearchStrategy[Row]:
    """Rows that fit the signature, by column name; None where a value is missing."""
    return st.fixed_dictionaries(
        {
            column.name: (
                st.none() | values(column) if column.nullable and missing else values(column)
            )
            for column in signature.columns
        }
    )


def json_ready(row: Row) -> Row:
    """A row with its datetimes as text."""
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()}


def array_of(column: Column, cells: list[Any]) -> Array:
    """The array that a table must hold for these values of the column."""
    if column.datatype is Datatype.DATETIME:
        moments = [
            None if cell is None else cell.astimezone(UTC).replace(tzinfo=None) for cell in cells
        ]
        return np.array(moments, dtype="datetime64[us]")
    if column.is_text:
        texts = np.empty(len(cells), dtype=object)
        texts[:] = cells
        return texts
    return np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)


def assert_same(table: Table, other: Table) -> None:
    """Fail unless both hold the same bits in the same types."""
    assert table.n_rows == other.n_rows
    assert_holds(table, other.arrays)


def assert_holds(table: Table, arrays: Any) -> None:
    """Fail unless the table holds these arrays, types and signs of zero included."""
    for mine, theirs in zip(table.arrays, arrays, strict=True):
        assert mine.dtype == theirs.dtype
        if mine.dtype == object:
            assert mine.tolist() == theirs.tolist()
        else:
            assert mine.tobytes() == theirs.tobytes(), (mine, theirs)


def _with(column: Column, **changes: Any) -> Column:
    from dataclasses import replace

    return replace(column, **changes)


def said(table: Table, parameters: Mapping[str, object]) -> Table:
    """The table, with what its caller says to the model beside it."""
    table.parameters = parameters
    return table
