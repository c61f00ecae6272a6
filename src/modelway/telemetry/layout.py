"""The form of a slot's file: how one process writes numbers that another reads at any time.

::

    mark u64 | end u64 | unused, to 64 bytes | record | record | ...
    record: n_bytes u32, n_cells u32 | seal u64 | key, padded | n_cells float64

Everything is in the machine's own byte order and at a multiple of 8 bytes. The key is the metric's
name and the label values as a JSON array. The seal holds the checksum of the record's first eight
bytes and its key, and the length of the key; a record with the seal 0 has no key yet.

Why a reader never sees half of anything, even of a process that ``kill -9`` ended:

- What is stored in a shared mapping belongs to the kernel at once; a death loses nothing of it.
- A number, the seal and the end are single aligned stores of 8 bytes, which are not torn.
- A record is complete, with its numbers at their start, before ``end`` goes past it. What a death
  left behind the end is overwritten by whoever writes the file next.
- A record that is given to another series is unsealed first and sealed last. A reader looks at the
  seal before and after the numbers and leaves the record out if it changed.
- Where a processor lets the seal or the end be seen before the bytes they vouch for, the checksum
  does not fit, and the record is left out until the next reading.
- A file has its name only when it has its full size, and is never cut, so that no mapping of it
  ends in nothing.

Buckets and sum of one observation are two stores: a reader may see the first without the second.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from modelway.telemetry.metrics import BY_NAME, Metric, table_fingerprint

FILE_BYTES = 2 * 1024 * 1024
"""Size of a slot's file: room for all series of well over a thousand model versions."""

FIRST = 64
HEAD = struct.Struct("=II")
KEY_AT = 16
MARK_WORD, END_WORD = 0, 1

_KEY_STEP = 32  # so that a record has room for another key of about the length
_MAGIC = 0x4D57534C  # "MWSL"


class Series(NamedTuple):
    """The numbers of one metric with one set of label values, in the order of the metric's labels.

    ``cells`` is one number, or for a histogram the count of each bucket and then the sum.
    """

    metric: Metric
    values: tuple[str, ...]
    cells: list[float]


class Record(NamedTuple):
    """Where a record lies; ``metric`` is None where it has no key, or none that can be read."""

    offset: int
    n_bytes: int
    n_cells: int
    seal: int
    metric: Metric | None
    values: tuple[str, ...]

    @property
    def first_cell(self) -> int:
        """The index of its first number, counted in numbers from the start of the file."""
        return (self.offset + self.n_bytes) // 8 - self.n_cells

    @property
    def key_room(self) -> int:
        """How many bytes its key may have."""
        return self.n_bytes - KEY_AT - 8 * self.n_cells


def mark() -> int:
    """The first word of a file of this form with this table of metrics."""
    return _MAGIC << 32 | table_fingerprint()


def key_of(metric: Metric, values: tuple[str, ...]) -> bytes:
    """The key of a series."""
    return json.dumps([metric.name, *values], separators=(",", ":")).encode()


def record_bytes(metric: Metric, key: bytes) -> int:
    """The size of a record for this key."""
    return KEY_AT + -(-len(key) // _KEY_STEP) * _KEY_STEP + 8 * metric.n_cells


def seal_of(head: bytes, key: bytes) -> int:
    """The word that vouches for a record's head and key; never 0, for no key is empty."""
    return zlib.crc32(key, zlib.crc32(head)) << 32 | len(key)


def records(memory: mmap.mmap) -> Iterator[Record]:
    """The records up to the end, in the order in which they were made."""
    with memoryview(memory) as raw, raw.cast("Q") as words:
        offset, end = FIRST, min(words[END_WORD], len(memory))
        while offset + KEY_AT < end:
            n_bytes, n_cells = HEAD.unpack_from(memory, offset)
            if n_bytes % 8 or n_bytes < KEY_AT + 8 * n_cells or offset + n_bytes > end:
                return
            seal = words[offset // 8 + 1]
            metric, values = _named(memory, offset, n_cells, seal)
            yield Record(offset, n_bytes, n_cells, seal, metric, values)
            offset += n_bytes


def series(memory: mmap.mmap) -> list[Series]:
    """The numbers of every record that has a key; the file may be written meanwhile."""
    found = []
    with memoryview(memory) as raw, raw.cast("Q") as words, raw.cast("d") as numbers:
        for record in records(memory):
            if record.metric is None:
                continue
            first = record.first_cell
            cells = list(numbers[first : first + record.n_cells])
            if words[record.offset // 8 + 1] == record.seal:
                found.append(Series(record.metric, record.values, cells))
    return found


def opened(path: Path, access: int = mmap.ACCESS_WRITE) -> mmap.mmap | None:
    """The file as memory; None where there is none, or one of another form or table."""
    try:
        with path.open("rb" if access == mmap.ACCESS_READ else "r+b") as file:
            if os.fstat(file.fileno()).st_size != FILE_BYTES:
                return None
            memory = mmap.mmap(file.fileno(), FILE_BYTES, access=access)
    except FileNotFoundError:
        return None
    with memoryview(memory) as raw, raw.cast("Q") as words:
        fits = words[MARK_WORD] == mark()
    if not fits:
        memory.close()
        return None
    return memory


def created(path: Path) -> mmap.mmap:
    """A file without records, in the place of whatever has the name.

    Its blocks are taken now where the system can do that: a full disk must fail here, where it is
    an error that can be told, and not at a store into memory, where it ends the process.

    Raises:
        OSError: it cannot be made.
    """
    fresh = path.with_suffix(".fresh")
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        _take_room(descriptor)
        memory = begun(mmap.mmap(descriptor, FILE_BYTES))
    finally:
        os.close(descriptor)
    fresh.replace(path)
    return memory


def begun(memory: mmap.mmap) -> mmap.mmap:
    """Memory that is all zeros, marked as a file without records."""
    with memoryview(memory) as raw, raw.cast("Q") as words:
        words[END_WORD] = FIRST
        words[MARK_WORD] = mark()
    return memory


def _take_room(descriptor: int) -> None:
    """Give a file its size, and its blocks where the system can say that they are there."""
    os.ftruncate(descriptor, FILE_BYTES)
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, FILE_BYTES)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise


def _named(
    memory: mmap.mmap, offset: int, n_cells: int, seal: int
) -> tuple[Metric | None, tuple[str, ...]]:
    """The metric and the label values of a record, if its seal vouches for them."""
    start = offset + KEY_AT
    key = memory[start : start + (seal & 0xFFFFFFFF)]
    if not seal or seal_of(memory[offset : offset + HEAD.size], key) != seal:
        return None, ()
    name, *values = json.loads(key)
    metric = BY_NAME.get(name)
    if metric is None or metric.n_cells != n_cells or len(values) != len(metric.labels):
        return None, ()
    return metric, tuple(values)
