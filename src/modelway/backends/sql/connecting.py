"""What a URL of the store says, and an engine for it.

Source: SQLAlchemy, "Database URLs" and "Dialects"; SQLite, "Write-Ahead Logging".
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from modelway.backends.sql.database import WRITES, Database
from modelway.domain.errors import BadValue, MissingExtra, StoreUnavailable

DRIVERS: Mapping[str, str] = {
    "sqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
EXPECTED = "sqlite:///PATH, postgresql://HOST/DATABASE, mariadb://HOST/DATABASE or mysql://..."
BUSY_S = 30.0
"""How long a writer waits for the others."""

_EXTRAS = {"psycopg": "postgresql", "pymysql": "mariadb"}
_POSTGRESQL = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_MYSQL = {"connect_timeout": "5", "read_timeout": "120", "write_timeout": "120"}
"""A server that is silent for so long is taken for gone."""


def database_of(text: str, *, durable: bool) -> Database:
    """The database that a URL names, not connected to yet; SQLite's file is made, for us alone.

    ``durable`` has SQLite wait for the disk at each commit, so that a loss of power loses nothing.

    Raises:
        BadValue: the URL is none of a store.
        MissingExtra: the driver is not installed.
        StoreUnavailable: SQLite's file cannot be made.
    """
    url = _parsed(text)
    shown = url.set(password=None, query={}).render_as_string()
    driver = url.set(drivername=DRIVERS[url.drivername])
    try:
        engine = _engine(driver, durable=durable)
    except ModuleNotFoundError as error:
        raise missing(error, f"a store at {shown}") from error
    except OSError as error:
        raise StoreUnavailable(
            f"the control store {shown} cannot be used: {error.strerror}"
        ) from error
    queried = url.query.get("password")
    secrets = [one for one in (url.password, queried) if isinstance(one, str) and one]
    return Database(engine, shown, secrets)


def missing(error: ModuleNotFoundError, wanted_by: str) -> MissingExtra:
    """The error of a driver that is not installed."""
    library = str(error.name)
    return MissingExtra(library, _EXTRAS.get(library, "store"), wanted_by)


def _parsed(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        # The text may hold a password, so it is not repeated.
        raise BadValue(f"the URL of the store cannot be read: expected {EXPECTED}") from error
    if url.drivername not in DRIVERS:
        raise BadValue(f"no store is of the kind {url.drivername!r}: expected {EXPECTED}")
    if not url.database or url.database == ":memory:":
        missing = "file" if url.drivername == "sqlite" else "database"
        raise BadValue(f"the URL of the store names no {missing}: expected {EXPECTED}")
    if url.drivername == "sqlite" and url.query:
        raise BadValue(f"the URL of an SQLite store has no parameters: expected {EXPECTED}")
    return url


def _engine(url: URL, *, durable: bool) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, durable=durable)
    return server_engine(url)


def server_engine(url: URL) -> Engine:
    """An engine for PostgreSQL, MariaDB or MySQL, none of which waits for a dead server forever."""
    if url.get_backend_name() == "postgresql":
        # A plan that is kept knows no values: it looks up hundreds of ids one by one in every row.
        # Nor do all connection pools between here and the server keep statements.
        return _server(_with_defaults(url, _POSTGRESQL), {"prepare_threshold": None})
    engine = _server(_with_defaults(url, _MYSQL), {"charset": "utf8mb4"})
    event.listen(engine, "connect", _refuse_what_does_not_fit)
    return engine


def _with_defaults(url: URL, defaults: Mapping[str, str]) -> URL:
    return url.update_query_dict({k: v for k, v in defaults.items() if k not in url.query})


def _server(url: URL, arguments: dict[str, Any]) -> Engine:
    """An engine that replaces a broken connection before it is used."""
    engine = create_engine(
        url,
        connect_args=arguments,
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_timeout=BUSY_S,
        hide_parameters=True,
    )
    event.listen(engine, "handle_error", _replace_what_is_silent)
    return engine


def _replace_what_is_silent(context: ExceptionContext) -> None:
    """One that cannot be asked whether it is there is gone, whatever the driver has made of it:
    Psycopg takes a moment to see that, and fails at its own settings meanwhile."""
    if context.is_pre_ping:
        context.is_disconnect = True


def _refuse_what_does_not_fit(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Without this a server may be set up to cut off what is too long."""
    with connection.cursor() as cursor:  # type: ignore[attr-defined]  # PyMySQL's cursors have it
        cursor.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')")


def _sqlite(url: URL, *, durable: bool) -> Engine:
    path = Path(str(url.database)).absolute()
    _make_for_us_alone(path)
    engine = create_engine(
        url.set(database=str(path)),
        connect_args={"timeout": BUSY_S},
        pool_timeout=BUSY_S,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        # The driver would begin transactions by itself, and never for writing.
        connection.isolation_level = None
        _write_ahead(connection)
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _make_for_us_alone(path: Path) -> None:
    """Make an empty file that only its owner may read, unless there is one.

    It is never opened under its name: a process that closes any descriptor of a file gives up all
    its locks on it, those that SQLite holds too. Source: SQLite, "How To Corrupt", section 2.2.
    """
    if path.exists():
        return
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(made, path)
    finally:
        Path(made).unlink()


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch the file to write-ahead logging.

    SQLite does not wait for others here: of several that open a new file, all but one are refused.
    """
    until = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return
