"""Databases for tests of the control store, dropped afterwards; and many at work on one at once."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
from pymysql.constants import ER
from sqlalchemy import URL, make_url

from modelway.backends.sql.store import Store, open_store
from modelway.domain.errors import ModelwayError
from support.ending import together
from support.live import absent

POSTGRESQL = os.environ.get("MODELWAY_TEST_POSTGRESQL", "postgresql://root@127.0.0.1:5432/test")
MARIADB = os.environ.get("MODELWAY_TEST_MARIADB", "mariadb://root@127.0.0.1:3306/test")

KINDS = (
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.services),
    pytest.param("mariadb", marks=pytest.mark.services),
)
"""What a fixture of stores is parametrised over."""

SERVERS = KINDS[1:]

_LOCKED_S = 30
"""For how long a statement beside the store waits for a lock that somebody has left there."""


@contextlib.contextmanager
def empty_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a new database without tables; SQLite's is a file in the folder."""
    name = f"modelway_test_{secrets.token_hex(6)}"
    if kind == "sqlite":
        yield f"sqlite:///{folder / name}.sqlite"
        return
    server = make_url(POSTGRESQL if kind == "postgresql" else MARIADB)
    url = _reachable(server)
    rows_of(url, f"CREATE DATABASE {name}")
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        if kind == "mariadb":
            cut_connections(server.set(database=name).render_as_string(hide_password=False))
        rows_of(url, f"DROP DATABASE {name}" + (" WITH (FORCE)" if kind == "postgresql" else ""))


def rows_of(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """What the last of some statements gives, beside the store; their changes are kept."""
    with _connected(make_url(url)) as connection:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


def cut_connections(url: str) -> int:
    """Have the server end every connection to a store's database; gives how many there were."""
    if make_url(url).drivername == "postgresql":
        ours = "datname = current_database() AND pid <> pg_backend_pid()"
        return len(
            rows_of(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}")
        )
    ours = "db = database() AND id <> connection_id()"
    ids = rows_of(url, f"SELECT id FROM information_schema.processlist WHERE {ours}")
    for (id,) in ids:
        try:
            rows_of(url, f"KILL {id}")
        except pymysql.err.OperationalError as error:
            if error.args[0] != ER.NO_SUCH_THREAD:  # it has ended by itself meanwhile
                raise
    return len(ids)


def at_once(url: str, acts: Sequence[Callable[[Store], object]]) -> list[object]:
    """What each act gives or raises on a store of its own, all of them begun at the same moment."""
    begin = threading.Barrier(len(acts), timeout=30)
    ends: list[object] = [None] * len(acts)

    def act(position: int) -> None:
        with open_store(url) as store:
            store.generation.now()
            begin.wait()
            try:
                ends[position] = acts[position](store)
            except ModelwayError as error:
                ends[position] = error

    together(*(partial(act, position) for position in range(len(acts))))
    return ends


def processes_at_once(script: str, arguments: Sequence[Sequence[str]]) -> list[str]:
    """What processes print that run a script each with its arguments.

    The script waits at ``sys.stdin.readline()`` once it is ready, after printing ``ready``.
    """
    command = [sys.executable, "-W", "error", "-c", script]
    running = [
        subprocess.Popen([*command, *one], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for one in arguments
    ]
    try:
        for one in running:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in running:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        return [one.communicate(timeout=60)[0] for one in running]
    finally:
        for one in running:
            one.kill()
            one.communicate()


def _reachable(server: URL) -> str:
    """The URL of a server that answers; skips or fails the test where it does not."""
    url = server.render_as_string(hide_password=False)
    try:
        rows_of(url, "SELECT 1")
    except (psycopg.OperationalError, pymysql.err.OperationalError) as error:
        named = f"MODELWAY_TEST_{server.drivername.upper()}"
        absent(f"no {server.drivername} at {server.host}:{server.port} ({named}): {error}")
    return url


def _connected(at: URL) -> contextlib.AbstractContextManager[Any]:
    if at.drivername == "sqlite":
        return contextlib.closing(sqlite3.connect(str(at.database), isolation_level=None))
    if at.drivername == "postgresql":
        url = at.render_as_string(hide_password=False)
        options = f"-c lock_timeout={_LOCKED_S}s"
        return contextlib.closing(psycopg.connect(url, autocommit=True, options=options))
    return contextlib.closing(_mariadb(at))


def _mariadb(at: URL) -> Any:
    return pymysql.connect(
        host=at.host,
        port=at.port or 3306,
        user=at.username,
        password=at.password or "",
        database=at.database,
        autocommit=True,
        init_command=f"SET lock_wait_timeout={_LOCKED_S}, innodb_lock_wait_timeout={_LOCKED_S}",
        read_timeout=2 * _LOCKED_S,
    )
