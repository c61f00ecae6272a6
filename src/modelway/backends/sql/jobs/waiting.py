"""Waiting for jobs: each database has its own way to tell that something has changed.

A signal only wakes earlier: what there is to lease is always read from the jobs, and now and then
without a signal too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar, Protocol

from sqlalchemy import Connection, func, select

from modelway.backends.sql.database import Database
from modelway.backends.sql.jobs.leasing import heads, next_due
from modelway.domain.errors import StoreUnavailable

CHANNEL = "modelway_jobs"
"""PostgreSQL's; each of its databases has channels of its own."""

_LOOK_S = 1.0
"""After so long the jobs are looked at without a signal: a lease may have been taken meanwhile."""

_POLL_S = 0.01
_IDLE_S = 0.25


class Signal(Protocol):
    """One waiter's connection to what happens in the database.

    ``mark`` has changes from here on be told, ``wait`` returns when there may be one. One that
    ``stays`` is worth to be kept for the next time.
    """

    stays: ClassVar[bool]

    def mark(self) -> None:
        """Forget what was told."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait for a change, for so long at most."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


def notify(connection: Connection) -> None:
    """Tell those who wait, once the transaction is kept; only PostgreSQL has to be told."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_notify(CHANNEL, "")))


class Waiting:
    """Waits for jobs; each thread that waits has a signal of its own meanwhile."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        self._idle: list[Signal] = []

    def wait(self, endpoints: Sequence[str], seconds: float) -> None:
        """Wait until there may be something to lease, for so long at most.

        Raises:
            StoreUnavailable: the store cannot be reached.
        """
        until = time.monotonic() + seconds
        with self._signal() as signal:
            while True:
                with self._database.telling():
                    signal.mark()
                left = min(self._due_in(endpoints), until - time.monotonic(), _LOOK_S)
                if left <= 0:
                    return
                with self._database.telling():
                    signal.wait(left)

    def close(self) -> None:
        """Give every connection back that nobody waits with."""
        while self._idle:
            self._idle.pop().close()

    def _due_in(self, endpoints: Sequence[str]) -> float:
        """In how many seconds there may be something to lease."""
        with self._database.reading() as connection:
            if heads(connection, endpoints):
                return 0.0
            due = next_due(connection)
        return _LOOK_S if due is None else (due - self._now()).total_seconds()

    @contextmanager
    def _signal(self) -> Iterator[Signal]:
        signal = self._kept() or _SIGNALS[self._database.dialect](self._database)
        try:
            yield signal
        except BaseException:
            signal.close()
            raise
        if signal.stays:
            self._idle.append(signal)
        else:
            signal.close()

    def _kept(self) -> Signal | None:
        """A signal that nobody waits with, unless its connection broke meanwhile."""
        while self._idle:
            signal = self._idle.pop()
            try:
                with self._database.telling():
                    signal.mark()
            except StoreUnavailable:
                signal.close()
            else:
                return signal
        return None


class _DataVersion:
    """SQLite: a number that changes with each change that another connection keeps."""

    stays: ClassVar[bool] = True

    def __init__(self, database: Database) -> None:
        self._connection: Any = database.apart()
        self._seen = self._version()

    def mark(self) -> None:
        self._seen = self._version()

    def wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._version() == self._seen and (left := until - time.monotonic()) > 0:
            time.sleep(min(_POLL_S, left))

    def close(self) -> None:
        self._connection.close()

    def _version(self) -> int:
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)


class _Listening:
    """PostgreSQL: a connection that is notified."""

    stays: ClassVar[bool] = True

    def __init__(self, database: Database) -> None:
        self._connection: Any = database.apart()
        self._connection.autocommit = True
        self._connection.execute(f"LISTEN {CHANNEL}")

    def mark(self) -> None:
        # It only knows what was told, or that it is broken, once it is asked something.
        self._connection.execute("SELECT 1")
        for _ in self._connection.notifies(timeout=0):
            pass

    def wait(self, seconds: float) -> None:
        for _ in self._connection.notifies(timeout=seconds, stop_after=1):
            pass

    def close(self) -> None:
        self._connection.close()


class _Polling:
    """MariaDB tells nothing: the jobs are looked at, more slowly while nothing comes."""

    stays: ClassVar[bool] = False

    def __init__(self, database: Database) -> None:
        self._pause_s = _POLL_S

    def mark(self) -> None:
        """Nothing is ever told."""

    def wait(self, seconds: float) -> None:
        time.sleep(min(self._pause_s, seconds))
        self._pause_s = min(2 * self._pause_s, _IDLE_S)

    def close(self) -> None:
        """Nothing is open."""


_SIGNALS: dict[str, Callable[[Database], Signal]] = {
    "sqlite": _DataVersion,
    "postgresql": _Listening,
    "mysql": _Polling,
}
