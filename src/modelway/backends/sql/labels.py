"""Labels with their revisions, in the order in which they came.

Whoever adds or erases labels advances their counter first, so one does so after the other: a
revision is the next one for certain, and of two labels the one stored later has the higher count.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, select

from modelway.backends.sql.columns import check, insert
from modelway.backends.sql.database import Database
from modelway.backends.sql.generation import advance, counted
from modelway.backends.sql.tables import LABELS
from modelway.domain.errors import InvalidInput
from modelway.records.labels import Label

COUNTER = "labels"

_C = LABELS.c
_TOGETHER = 500
"""What is looked up in one statement: all databases take that many parameters."""

_PAGE_ROWS = 5_000

_Item = TypeVar("_Item")
_Place = tuple[str, int]


class SqlLabelStore:
    """``LabelStore``; every method raises StoreUnavailable where the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, labels: Sequence[Label]) -> Sequence[Label]:
        """Store labels, all of them or none; gives them with their revisions, in the same order.

        One that says what the newest revision says, from the same source, is given as that one is.

        Raises:
            InvalidInput: a value that is no number, text or Boolean, or that the store cannot hold.
        """
        for label in labels:
            check(LABELS, _row(label, 0))
        if not labels:
            return []
        with self._database.writing() as connection:
            entered = advance(connection, COUNTER, len(labels)) - len(labels)
            newest = _newest(connection, {(label.prediction_id, label.row) for label in labels})
            stored: list[Label] = []
            rows: list[dict[str, Any]] = []
            for label in labels:
                place = (label.prediction_id, label.row)
                last = newest.get(place)
                if last is None or not _says_the_same(label, last):
                    last = replace(label, revision=1 if last is None else last.revision + 1)
                    newest[place] = last
                    rows.append(_row(last, entered + len(rows) + 1))
                stored.append(last)
            insert(connection, LABELS, rows)
            return stored

    def of(self, prediction_ids: Sequence[str]) -> Sequence[Label]:
        """Every label of some predictions, by prediction, row and revision."""
        found: list[Label] = []
        with self._database.reading() as connection:
            for ids in _portions(set(prediction_ids)):
                rows = connection.execute(select(LABELS).where(_C.prediction_id.in_(ids)))
                found += map(_label, rows)
        return sorted(found, key=lambda one: (one.prediction_id, one.row, one.revision))

    def since(self, received_at: datetime) -> Iterator[Label]:
        """The newest revision of every row that was received from a time on, in that order.

        What is stored while it is read is left to the next time. No transaction is held between
        one page and the next, however slowly they are read.
        """
        with self._database.reading() as connection:
            until = counted(connection, COUNTER)
        page = self._page(_C.received_at >= received_at, until)
        while page:
            yield from map(_label, page)
            last = page[-1]
            # Two statements: a comparison of both columns at once is not looked up in MariaDB.
            page = self._page(
                and_(_C.received_at == last.received_at, _C.entered > last.entered), until
            ) or self._page(_C.received_at > last.received_at, until)

    def erase(self, prediction_ids: Sequence[str]) -> int:
        """Remove the labels of some predictions for good; gives how many there were."""
        erased = 0
        with self._database.writing() as connection:
            advance(connection, COUNTER)
            for ids in _portions(set(prediction_ids)):
                gone = connection.execute(delete(LABELS).where(_C.prediction_id.in_(ids)))
                erased += gone.rowcount
        return erased

    def _page(self, after: ColumnElement[bool], until: int) -> Sequence[Row[Any]]:
        later = LABELS.alias()
        same = and_(later.c.prediction_id == _C.prediction_id, later.c.row_index == _C.row_index)
        newer = select(1).where(same, later.c.revision > _C.revision, later.c.entered <= until)
        page = (
            select(LABELS)
            .where(after, _C.entered <= until, ~newer.exists())
            .order_by(_C.received_at, _C.entered)
            .limit(_PAGE_ROWS)
        )
        with self._database.reading() as connection:
            return connection.execute(page).all()


def _newest(connection: Connection, places: set[_Place]) -> dict[_Place, Label]:
    found: dict[_Place, Label] = {}
    for some in _portions(sorted(places)):
        # This may find more than these places, but pairs are not looked up in PostgreSQL's index.
        ids, rows = zip(*some, strict=True)
        near = and_(_C.prediction_id.in_(set(ids)), _C.row_index.in_(set(rows)))
        for row in connection.execute(select(LABELS).where(near).order_by(_C.revision)):
            found[row.prediction_id, row.row_index] = _label(row)
    return found


def _portions(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    everything = list(items)
    for begin in range(0, len(everything), _TOGETHER):
        yield everything[begin : begin + _TOGETHER]


def _says_the_same(label: Label, other: Label) -> bool:
    """Whether both say one thing: 1 and 1.0 and true are three."""
    return label.source == other.source and _json(label.value) == _json(other.value)


def _json(value: object) -> str:
    if not isinstance(value, (int, float, str)) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        raise InvalidInput(f"value: expected a finite number, a text or a Boolean, got {value!r}")
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"value: expected text without lone surrogates, got {value!r}"
        ) from error


def _row(label: Label, entered: int) -> dict[str, Any]:
    return {
        "prediction_id": label.prediction_id,
        "row_index": label.row,
        "revision": label.revision,
        "value": _json(label.value),
        "at": label.at,
        "received_at": label.received_at,
        "source": label.source,
        "entered": entered,
    }


def _label(row: Row[Any]) -> Label:
    return Label(
        prediction_id=row.prediction_id,
        row=row.row_index,
        value=msgspec.json.decode(row.value),
        at=row.at,
        received_at=row.received_at,
        source=row.source,
        revision=row.revision,
    )
