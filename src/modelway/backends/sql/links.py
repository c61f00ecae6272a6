"""Which bundle was made of which version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, select, update

from modelway.backends.sql.columns import check, insert
from modelway.backends.sql.database import Database
from modelway.backends.sql.generation import changing
from modelway.backends.sql.tables import LINKS
from modelway.domain.errors import InvalidInput

_C = LINKS.c


class SqlBundleLinks:
    """``BundleLinks``; every method raises StoreUnavailable where the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def link(self, model: str, version: str, digest: str | None, reason: str | None) -> None:
        """A version's bundle, or why there is none; saying what is said already changes nothing.

        Raises:
            InvalidInput: neither digest nor reason, or a value that the store cannot hold.
        """
        if digest is None and reason is None:
            raise InvalidInput(f"{model}:{version}: expected a digest, or why there is none")
        values = {"digest": digest, "reason": reason}
        with self._database.reading() as connection:
            if _link(connection, model, version) == (digest, reason):
                return
        with changing(self._database) as (connection, _):
            check(LINKS, values)
            there = update(LINKS).where(_is_version(model, version)).values(values)
            if not connection.execute(there).rowcount:
                insert(connection, LINKS, [{"model": model, "version": version, **values}])

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


def _link(connection: Connection, model: str, version: str) -> Row[Any, Any] | None:
    found = select(_C.digest, _C.reason).where(_is_version(model, version))
    return connection.execute(found).one_or_none()
