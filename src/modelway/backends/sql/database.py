"""Connections to the database of the store, and what is told where one fails.

A call is one transaction. Whatever the driver raises leaves here as an error of ours that names the
store without its password, and without the values of the statement.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    StatementError,
    TimeoutError,
)

from modelway.domain.errors import Conflict, InvalidInput, ModelwayError, StoreUnavailable

WRITES = "modelway_writes"
"""The option of an execution by which SQLite knows who is going to write."""


class Database:
    """The database that a URL names; ``shown`` is the URL without its ``secrets``.

    ``noun`` is what it is called where it fails. Threads may share it; a process that was forked
    opens its own.
    """

    def __init__(
        self,
        engine: Engine,
        shown: str,
        secrets: Sequence[str] = (),
        noun: str = "control store",
    ) -> None:
        self._reader = engine
        self._writer = engine.execution_options(**{WRITES: True})
        self._secrets = tuple(secrets)
        self._noun = noun
        self._engine = engine
        self._first: Callable[[], None] | None = None
        self._once = threading.Lock()
        self.shown = shown

    def after(self, first: Callable[[], None]) -> Database:
        """The same database, which does ``first`` before it is used, until that was done once.

        What ``first`` raises is raised by what it was to be done for.
        """
        later = Database(self._engine, self.shown, self._secrets, self._noun)
        later._first = first
        return later

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection whose changes are not kept.

        Raises:
            StoreUnavailable: the database cannot be reached, or fails.
            InvalidInput: what was asked for cannot be said to it.
        """
        self._begin()
        with self.telling(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection whose changes are kept together at the end, or not at all.

        Raises:
            StoreUnavailable: the database cannot be reached, or fails.
            InvalidInput: a value that it cannot hold.
            Conflict: something is there already.
        """
        self._begin()
        with self.telling(), self._writer.connect() as connection:
            yield connection
            connection.commit()

    @property
    def dialect(self) -> str:
        """``sqlite``, ``postgresql`` or ``mysql``, which MariaDB is too."""
        return self._engine.dialect.name

    def apart(self) -> Any:
        """A connection as the driver has it, which is nobody else's; who asks for it closes it.

        Raises:
            StoreUnavailable: the database cannot be reached.
        """
        self._begin()
        with self.telling():
            pooled = self._engine.raw_connection()
            own = pooled.driver_connection
            pooled.detach()
            return own

    def close(self) -> None:
        """Give all connections back; the database is opened again where it is used again."""
        self._reader.dispose()

    def _begin(self) -> None:
        if self._first is not None:
            with self._once:
                if self._first is not None:
                    self._first()
                    self._first = None

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Tell what the database or its driver raises meanwhile as the connections do.

        Raises:
            StoreUnavailable: the database cannot be reached, or fails.
            InvalidInput: a value that it cannot hold.
            Conflict: something is there already.
        """
        try:
            yield
        except IntegrityError as error:
            raise Conflict(f"{self.shown}: {self._words(error)}") from error
        except (DataError, UnicodeEncodeError, OverflowError) as error:
            raise InvalidInput(
                f"{self.shown} cannot hold a value that it was given: {self._words(error)}"
            ) from error
        except (DBAPIError, TimeoutError) as error:
            raise StoreUnavailable(
                f"the {self._noun} {self.shown} cannot be used: {self._words(error)}"
            ) from error
        except StatementError as error:
            if isinstance(error.orig, ModelwayError):
                raise error.orig from None
            raise
        except self._engine.dialect.loaded_dbapi.Error as error:
            raise StoreUnavailable(
                f"the {self._noun} {self.shown} cannot be used: {self._words(error)}"
            ) from error

    def _words(self, error: Exception) -> str:
        """What the driver said, in one line."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        words = " ".join(str(cause).split())
        for secret in self._secrets:
            words = words.replace(secret, "***")
        return words
