"""Segments: the files to which one process appends frames, and who may take them over.

A segment lies in ``segments/`` below the root of the records, and is locked (flock) as long as its
process writes it. It is locked before it gets its name, so one without a lock is never written
again: whoever gets the lock may seal it. A process that dies leaves what it wrote in the page
cache, so nothing is lost but what was not written.

Source: flock(2), open(2), rename(2).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SEGMENTS = "segments"
SUFFIX = ".segment"
OPENING = ".opening"
ROTATE = ".rotate"

_UNSAFE = re.compile(r"[^A-Za-z0-9.]+")


@dataclass(frozen=True, slots=True)
class SegmentBounds:
    """How large and how old a segment becomes before another is begun."""

    n_bytes: int = 64 * 1024 * 1024
    n_rows: int = 1_000_000
    seconds: float = 60.0


class SegmentWriter:
    """Appends frames to this process's segment, and begins another when that is due.

    ``slot`` is this process's number or name on the host. Nothing is made before the first frame.
    Used by one at a time.
    """

    def __init__(self, root: Path, slot: str, bounds: SegmentBounds | None = None) -> None:
        self._folder = root / SEGMENTS
        self._owner = f"{_safe(socket.gethostname())}-{_safe(slot)}"
        self._bounds = bounds or SegmentBounds()
        self._fd: int | None = None
        self._path = root
        self._size = self._rows = 0
        self._begun = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a segment was begun and not ended."""
        return self._fd is not None

    def append(self, frame: bytes, n_rows: int) -> None:
        """Write a frame whole or not at all.

        Raises:
            OSError: it could not be written; the next goes to another segment.
        """
        fd = self._open() if self._fd is None else self._fd
        try:
            left = memoryview(frame)
            while left:
                left = left[os.write(fd, left) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, self._size)
            self.close()
            raise
        self._size += len(frame)
        self._rows += n_rows

    def rotate_if_due(self) -> None:
        """End the segment if it is large or old, was removed, or somebody asks for it."""
        if self._fd is None:
            return
        bounds = self._bounds
        if (
            self._size >= bounds.n_bytes
            or self._rows >= bounds.n_rows
            or time.monotonic() - self._begun >= bounds.seconds
            or os.fstat(self._fd).st_nlink == 0
            or os.path.exists(f"{self._path}{ROTATE}")  # noqa: PTH110 - asked twenty times a second
        ):
            self.close()

    def close(self) -> None:
        """End the segment; from then on it may be sealed. Twice does no harm."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def _open(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"part-{self._owner}-{time.time_ns() // 1000:016d}"
        opening = self._folder / f"{name}{OPENING}"
        fd = os.open(opening, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            self._path = self._folder / f"{name}{SUFFIX}"
            opening.rename(self._path)
        except OSError:
            os.close(fd)
            raise
        self._fd, self._size, self._rows = fd, 0, 0
        self._begun = time.monotonic()
        return fd


def segments_in(root: Path) -> list[Path]:
    """Every segment that is not sealed, the oldest of each process first."""
    folder = root / SEGMENTS
    return sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []


@contextlib.contextmanager
def taken_over(segment: Path) -> Iterator[bool]:
    """Whether nobody writes the segment; while this lasts nobody else takes it over either."""
    try:
        fd = os.open(segment, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_free = True
        except BlockingIOError:
            is_free = False
        yield is_free and segment.exists()
    finally:
        os.close(fd)


def ask_to_rotate(segment: Path) -> Path:
    """Have the process that writes a segment begin another; gives the file that asks, to remove."""
    asking = Path(f"{segment}{ROTATE}")
    asking.touch()
    return asking


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name) or "_"
