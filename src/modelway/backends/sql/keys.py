"""The keys, with the hashes of their secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, bindparam, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from modelway.access.keys import Key, Scope
from modelway.backends.sql.columns import Moment, insert
from modelway.backends.sql.database import Database
from modelway.backends.sql.tables import KEYS
from modelway.domain.errors import InvalidInput, KeyNotFound, TargetExists

_C = KEYS.c
_SHA256_BYTES = 32
_SCOPES = {scope.value: scope for scope in Scope}


class SqlKeyStore:
    """``KeyStore``; every method raises StoreUnavailable where the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: Key) -> None:
        """Store a new key.

        Raises:
            TargetExists: there is one with its id.
            InvalidInput: a value that the store cannot hold.
        """
        row = _row(key)
        with self._database.writing() as connection:
            try:
                insert(connection, KEYS, [row])
            except IntegrityError as error:
                raise TargetExists(f"a key has the id {key.id!r} already") from error

    def all(self) -> Sequence[Key]:
        """Every key, revoked ones too, the oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(KEYS).order_by(_C.created_at, _C.id))
            return [_key(row) for row in rows]

    def revoke(self, id: str, at: datetime) -> None:
        """Allow nothing with a key any more; one that was revoked before stays so since then.

        Raises:
            KeyNotFound: there is none with this id.
        """
        since = func.coalesce(_C.revoked_at, bindparam("since", at, Moment))
        with self._database.writing() as connection:
            one = update(KEYS).where(_C.id == id).values(revoked_at=since)
            if not connection.execute(one).rowcount:
                raise KeyNotFound(id)

    def used(self, at: Mapping[str, datetime]) -> None:
        """When keys were used last, by their ids; those that are not there are passed over."""
        if not at:
            return
        then = bindparam("then", type_=Moment)
        later = or_(_C.used_at.is_(None), _C.used_at < then)
        one = update(KEYS).where(_C.id == bindparam("key"), later).values(used_at=then)
        # Always in the same order: two who tell the same keys would wait for each other.
        rows = [{"key": id, "then": at[id]} for id in sorted(at)]
        with self._database.writing() as connection:
            connection.execute(one, rows)


def _row(key: Key) -> dict[str, Any]:
    if len(key.secret_sha256) != _SHA256_BYTES:
        raise InvalidInput(
            f"secret_sha256: expected {_SHA256_BYTES} bytes, got {len(key.secret_sha256)}"
        )
    return {
        "id": key.id,
        "name": key.name,
        "secret_sha256": key.secret_sha256,
        "scopes": _json(sorted(key.scopes)),
        "endpoints": _json(key.endpoints),
        "created_at": key.created_at,
        "rate_per_s": key.rate_per_s,
        "revoked_at": key.revoked_at,
        "used_at": key.used_at,
    }


def _json(texts: Sequence[str]) -> str:
    try:
        return msgspec.json.encode(texts).decode()
    except UnicodeEncodeError as error:
        raise InvalidInput("endpoints: expected text without lone surrogates") from error


def _key(row: Row[Any]) -> Key:
    scopes = msgspec.json.decode(row.scopes, type=list[str])
    return Key(
        id=row.id,
        name=row.name,
        secret_sha256=row.secret_sha256,
        # A scope of a newer version allows nothing that this one knows.
        scopes=frozenset(_SCOPES[scope] for scope in scopes if scope in _SCOPES),
        endpoints=tuple(msgspec.json.decode(row.endpoints, type=list[str])),
        created_at=row.created_at,
        rate_per_s=row.rate_per_s,
        revoked_at=row.revoked_at,
        used_at=row.used_at,
    )
