"""Copies of an SQLite store, which may be in use."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path


def copied(store: Path, copy: Path) -> None:
    """Copy an SQLite store for its owner alone: whole, or not at all.

    It is opened by SQLite only: to close its plain file would give up the locks that this process
    has on it.

    Raises:
        OSError, sqlite3.Error: it cannot be read, or the copy cannot be written.
    """
    waiting = copy.with_name(f".{copy.name}.{os.getpid()}")
    os.close(os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    try:
        with (
            contextlib.closing(
                sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)
            ) as source,
            contextlib.closing(sqlite3.connect(waiting)) as target,
        ):
            source.backup(target)
        waiting.replace(copy)
    finally:
        waiting.unlink(missing_ok=True)
