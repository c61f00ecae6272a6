"""Migrations of the store: one process makes them, whoever opens it meanwhile waits.

PostgreSQL and SQLite keep all of them or nothing. MariaDB keeps each statement, so a migration must
be able to run again from its middle. An SQLite store is copied before, to ``backups`` beside it;
who has a server keeps backups of it.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, func, select

from modelway.backends.sql.copying import copied
from modelway.backends.sql.database import Database
from modelway.backends.sql.revisions import is_migrated, revision_of
from modelway.domain.errors import StoreUnavailable

FOLDER = Path(__file__).parent / "migrations"

_LOCK_KEY = 0x6D6F64656C776179
_LOCK_S = 100
_alembic = threading.Lock()
"""Alembic keeps what it works on in its modules."""


def migrate(database: Database) -> None:
    """Bring the store to the newest revision, unless another process has done so meanwhile.

    Raises:
        HomeTooNew: another process has brought it further than this version knows.
        StoreUnavailable: the database cannot be reached or, in a file, copied; or another has
            migrated it for too long.
    """
    with _alembic, database.writing() as connection, _alone(database, connection):
        if not is_migrated(database, connection):
            _back_up(database, connection)
            command.upgrade(alembic_config(connection), "head")
        connection.commit()


def _back_up(database: Database, connection: Connection) -> None:
    """Copy an SQLite store that has been used. Others read meanwhile, and none writes."""
    revision, name = revision_of(connection), connection.engine.url.database
    if connection.dialect.name != "sqlite" or revision is None or name is None:
        return
    store, at = Path(name), datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    folder = store.parent / "backups"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        copied(store, folder / f"{store.stem}-{revision}-{at}{store.suffix}")
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(
            f"the control store {database.shown} has to be migrated, and cannot be copied to "
            f"{folder} before: {error}",
            hint="make room there, or let this user write there",
        ) from error


@contextmanager
def _alone(database: Database, connection: Connection) -> Iterator[None]:
    """Keep other processes out; SQLite does so since the transaction began."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK_KEY)))
    if connection.dialect.name != "mysql":
        yield
        return
    # Such locks are of the whole server, and their names have at most 64 characters.
    schema = str(connection.scalar(select(func.database())))
    name = f"modelway-{hashlib.sha256(schema.encode()).hexdigest()[:32]}"
    if connection.scalar(select(func.get_lock(name, _LOCK_S))) != 1:
        raise StoreUnavailable(
            f"the control store {database.shown} is being migrated by another process "
            f"for more than {_LOCK_S} s"
        )
    try:
        yield
    finally:
        connection.execute(select(func.release_lock(name)))


def alembic_config(connection: Connection) -> Config:
    """What Alembic is to know to migrate over a connection."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
