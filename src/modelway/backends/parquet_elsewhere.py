"""The keeper of records whose sealed files lie at a place elsewhere.

Segments and what is sealed of them stay on this disk until the place has them, so nothing hangs on
its answering: records are written, sealed and read while it is away, and go there later. A file is
here, at the place, or for a moment at both under one name, and counts once.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from modelway.backends.parquet_erasing import Erasing
from modelway.backends.parquet_files import (
    PartFile,
    alone,
    publish,
    remove_files,
    sealed_parts,
)
from modelway.backends.parquet_records import ParquetRecords
from modelway.backends.parquet_sent import SentRecords
from modelway.backends.parquet_tombstones import Tombstone, tombstone_of
from modelway.domain.errors import InvalidInput, Unavailable
from modelway.records.ports import Erased, Forget, Sealed

_LOCK = ".sender.lock"
_WORK = ".sending"


class ElsewhereRecords:
    """``RecordKeeper`` of the records below ``root``, kept by ``local`` until they are ``sent``.

    ``forget`` is told where records are removed since another home has erased them.
    Every method but ``seal_once`` raises Unavailable where the place cannot be reached.
    """

    def __init__(
        self,
        root: Path,
        local: ParquetRecords,
        sent: SentRecords,
        forget: Forget = lambda _: None,
    ) -> None:
        self._root = root
        self._local = local
        self._sent = sent
        self._forget = forget

    def seal_once(self) -> Sealed:
        """Make Parquet files of all segments that nobody writes, and remove those."""
        return self._local.seal_once()

    def send(self) -> int:
        """Move what is sealed here to the place; gives how many files went."""
        with self._one_sender() as folder:
            return self._send(folder)

    def compact(self, before: date) -> int:
        """Merge this home's files of every day before ``before``; gives how many went."""
        with self._one_sender() as folder:
            self._send(folder)
            return self._sent.compact(before, folder, self._forget)

    def retain(self, age: timedelta | None = None, n_bytes: int | None = None) -> int:
        """Remove the oldest files of all homes; gives how many."""
        with self._one_sender() as folder:
            self._send(folder)
            return self._sent.retain(age, n_bytes)

    def erase(
        self, column: str, value: str | float | bool, forget: Forget = lambda _: None
    ) -> Erased:
        """Remove every record made until now with ``value`` in ``column``, here and at the place.

        What other homes have not sent yet they send without it.

        Raises:
            InvalidInput: no record has a column of this name, or none of it is kept.
            Unavailable: the place cannot be reached, another host erases there, or a process that
                records did not begin another segment in time.
        """
        until_us = time.time_ns() // 1000
        sought = self._local.sought(column, value, until_us)
        erasing, aside = Erasing([sought], forget), Erasing([sought])
        with self._one_sender() as folder, self._sent.marked():
            tombstone = self._sent.bury(tombstone_of(sought, until_us))
            try:
                self._local.erase_by(erasing)
            except Unavailable:  # nobody is to go on with it: it is erased again
                self._sent.withdraw(tombstone)
                raise
            self._sent.erase(erasing, aside, folder)
            try:
                return erasing.result()
            except InvalidInput:
                self._sent.withdraw(tombstone)
                raise

    def _send(self, folder: Path) -> int:
        with alone(self._root):
            parts = sealed_parts(self._root)
        if not parts:
            return 0
        self._sent.settle(folder)
        buried = self._sent.tombstones()
        for part in parts:
            self._take(part, buried)
            # Who has erased meanwhile may have looked at the place before the file was there.
            while (now := self._sent.tombstones()) != buried:
                buried = now
                self._take(part, buried)
            with alone(self._root):  # what is sealed now may go to the same folder
                remove_files([part.path])
        return len(parts)

    def _take(self, part: PartFile, buried: Sequence[Tombstone]) -> None:
        """Have the place hold a file without what was erased; an earlier copy of it is replaced."""
        rest = Erasing(buried, self._forget).rest(part.path)
        if rest is None:
            self._sent.take(part)
            return
        if not rest.num_rows:
            self._sent.drop(part)
            return
        with alone(self._root):
            publish(part.path, rest.schema, [rest], rest.num_rows)
        self._sent.take(part)

    @contextmanager
    def _one_sender(self) -> Iterator[Path]:
        """Wait until nobody else of this home works on sent records; gives a folder to work in."""
        self._root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._root / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        folder = self._root / _WORK
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            yield folder
            shutil.rmtree(folder)
        finally:
            os.close(descriptor)
