"""The revisions of every endpoint, each with the endpoint as a JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, Select, and_, func, select

from modelway.backends.sql.columns import insert
from modelway.backends.sql.database import Database
from modelway.backends.sql.generation import changing
from modelway.backends.sql.tables import REVISIONS
from modelway.domain.errors import EndpointChanged, InvalidInput
from modelway.endpoints.endpoint import Endpoint, Revision

_C = REVISIONS.c


class SqlEndpointStore:
    """``EndpointStore``; every method raises StoreUnavailable where the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, revision: Revision) -> None:
        """Enter a revision.

        Raises:
            EndpointChanged: its number is taken, or leaves a gap.
            InvalidInput: it is of another name than its endpoint, or the store cannot hold a value.
        """
        latest = select(func.max(_C.number)).where(_C.name == revision.name)
        row = {
            "name": revision.name,
            "number": revision.number,
            "endpoint": _document(revision),
            "actor": revision.actor,
            "why": revision.why,
            "at": revision.at,
        }
        with changing(self._database) as (connection, _):
            if revision.number != (connection.scalar(latest) or 0) + 1:
                raise EndpointChanged(revision.name)
            insert(connection, REVISIONS, [row])

    def current(self) -> Sequence[Revision]:
        """How every endpoint is now, by name."""
        numbers = select(_C.name, func.max(_C.number).label("number")).group_by(_C.name)
        last = numbers.subquery()
        same = and_(_C.name == last.c.name, _C.number == last.c.number)
        there = select(REVISIONS).join(last, same).where(_C.endpoint.is_not(None))
        return sorted(self._found(there), key=lambda revision: revision.name)

    def find(self, name: str) -> Revision | None:
        """The latest revision of an endpoint, be it that which removed it."""
        found = self._found(_revisions(name).order_by(_C.number.desc()).limit(1))
        return found[0] if found else None

    def history(self, name: str) -> Sequence[Revision]:
        """Every revision of an endpoint, the oldest first."""
        return self._found(_revisions(name).order_by(_C.number))

    def _found(self, revisions: Select[Any]) -> Sequence[Revision]:
        with self._database.reading() as connection:
            return [_revision(row) for row in connection.execute(revisions)]


def _revisions(name: str) -> Select[Any]:
    return select(REVISIONS).where(_C.name == name)


def _document(revision: Revision) -> str | None:
    if revision.endpoint is None:
        return None
    if revision.endpoint.name != revision.name:
        raise InvalidInput(
            f"a revision of {revision.name!r}: expected an endpoint of this name, "
            f"got {revision.endpoint.name!r}"
        )
    try:
        document = msgspec.json.encode(revision.endpoint)
        read = _endpoint(document)
    except (UnicodeEncodeError, msgspec.MsgspecError) as error:
        raise InvalidInput(f"endpoint {revision.name!r} cannot be kept as JSON: {error}") from error
    if read != revision.endpoint:
        raise InvalidInput(f"endpoint {revision.name!r} would be read from its JSON as {read}")
    return document.decode()


def _endpoint(document: str | bytes) -> Endpoint:
    """The endpoint of a document; what a newer version has added to it is passed over."""
    return msgspec.json.decode(document, type=Endpoint)


def _revision(row: Row[Any]) -> Revision:
    endpoint = None if row.endpoint is None else _endpoint(row.endpoint)
    return Revision(row.name, row.number, endpoint, row.actor, row.why, row.at)
