"""Which bundle was made of which version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, select, true, update

from modelway.backends.sql.columns import check, insert
from modelway.backends.sql.database import Database
from modelway.backends.sql.generation import changing
from modelway.backends.sql.ledger import aliases_at
from modelway.backends.sql.tables import LINKS
from modelway.backends.sql.withdrawn import check_not_withdrawn
from modelway.domain.errors import Conflict, InvalidInput

_C = LINKS.c


class SqlBundleLinks:
    """``BundleLinks``; every method raises StoreUnavailable where the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def link(self, model: str, version: str, digest: str | None, reason: str | None) -> None:
        """A version's bundle, or why there is none; saying what is said already changes nothing.

        Raises:
            InvalidInput: neither digest nor reason, or a value that the store cannot hold.
            Conflict: the version is withdrawn.
        """
        if digest is None and reason is None:
            raise InvalidInput(f"{model}:{version}: expected a digest, or why there is none")
        values = {"digest": digest, "reason": reason}
        with self._database.reading() as connection:
            if _link(connection, model, version) == (digest, reason):
                check_not_withdrawn(connection, model, version)
                return
        with changing(self._database) as (connection, _):
            check_not_withdrawn(connection, model, version)
            _put(connection, model, version, values)

    def withdraw(self, model: str, version: str, why: str) -> None:
        """A version may answer no more: it has no bundle, and is neither linked nor promoted.

        Raises:
            Conflict: the ledger has an alias at it; says which.
            InvalidInput: a value that the store cannot hold.
        """
        values = {"digest": None, "reason": why, "withdrawn": True}
        with changing(self._database) as (connection, _):
            aliases = aliases_at(connection, model, version)
            if aliases:
                users = ", ".join(f"{model}@{alias}" for alias in aliases)
                raise Conflict(
                    f"{model}:{version} is in use: by {users}", hint="promote another version first"
                )
            _put(connection, model, version, values)

    def restore(self, model: str, version: str) -> None:
        """A version that was withdrawn may be linked again; of another it changes nothing."""
        withdrawn = and_(_is_version(model, version), _C.withdrawn.is_(true()))
        with self._database.reading() as connection:
            if connection.execute(select(_C.version).where(withdrawn)).one_or_none() is None:
                return
        values = {"reason": None, "withdrawn": False}
        with changing(self._database) as (connection, _):
            connection.execute(update(LINKS).where(withdrawn).values(values))

    def digest(self, model: str, version: str) -> str | None:
        """The digest of a version's bundle, None if it was not built."""
        with self._database.reading() as connection:
            found = _link(connection, model, version)
        return None if found is None else found.digest

    def reason(self, model: str, version: str) -> str | None:
        """Why a version has no bundle, None if it has one or none was tried."""
        with self._database.reading() as connection:
            found = _link(connection, model, version)
        return None if found is None or found.digest is not None else found.reason

    def versions(self, digest: str) -> Sequence[tuple[str, str]]:
        """Every model and version that this bundle was made of, by model and version."""
        named = select(_C.model, _C.version).where(_C.digest == digest)
        with self._database.reading() as connection:
            return sorted((row.model, row.version) for row in connection.execute(named))


def _is_version(model: str, version: str) -> ColumnElement[bool]:
    return and_(_C.model == model, _C.version == version)


def _put(connection: Connection, model: str, version: str, values: dict[str, Any]) -> None:
    check(LINKS, values)
    there = update(LINKS).where(_is_version(model, version)).values(values)
    if not connection.execute(there).rowcount:
        insert(connection, LINKS, [{"model": model, "version": version, **values}])


def _link(connection: Connection, model: str, version: str) -> Row[Any, Any] | None:
    found = select(_C.digest, _C.reason).where(_is_version(model, version))
    return connection.execute(found).one_or_none()
