"""Connections to the database of the store, and what is told where one fails.

A call is one transaction. Whatever the driver raises leaves here as an error of ours that names the
store without its password, and without the values of the statement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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

    Threads may share it; a process that was forked opens its own.
    """

    def __init__(self, engine: Engine, shown: str, secrets: Sequence[str] = ()) -> None:
        self._reader = engine
        self._writer = engine.execution_options(**{WRITES: True})
        self._secrets = tuple(secrets)
        self.shown = shown

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection whose changes are not kept.

        Raises:
            StoreUnavailable: the database cannot be reached, or fails.
            InvalidInput: what was asked for cannot be said to it.
        """
        with self._told(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection whose changes are kept together at the end, or not at all.

        Raises:
            StoreUnavailable: the database cannot be reached, or fails.
            InvalidInput: a value that it cannot hold.
            Conflict: something is there already.
        """
        with self._told(), self._writer.connect() as connection:
            yield connection
            connection.commit()

    def close(self) -> None:
        """Give all connections back; the database is opened again where it is used again."""
        self._reader.dispose()

    @contextmanager
    def _told(self) -> Iterator[None]:
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
                f"the control store {self.shown} cannot be used: {self._words(error)}"
            ) from error
        except StatementError as error:
            if isinstance(error.orig, ModelwayError):
                raise error.orig from None
            raise

    def _words(self, error: Exception) -> str:
        """What the driver said, in one line."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        words = " ".join(str(cause).split())
        for secret in self._secrets:
            words = words.replace(secret, "***")
        return words
