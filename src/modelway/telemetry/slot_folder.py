"""The folder of a service's slots: in memory where there is room, and gone when the service is.

A file on a disk is a poor place for numbers that a request changes: when the kernel writes its
pages back, the next store into one of them may wait for the disk, and with it every request of the
process. So the folder is on a file system in memory if there is one, and else among temporary
files.

Whoever makes the folder holds a lock in it for life. A folder whose lock nobody holds was left by a
service that was killed, and the next service of the same user removes it. Processes that still use
it keep what they have mapped.

Source: Evan Jones, "The Four Month Bug: JVM statistics cause garbage collection pauses", 2015;
flock(2).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from modelway.telemetry.layout import FILE_BYTES

if sys.platform != "win32":
    import fcntl

MEMORY = Path("/dev/shm")  # noqa: S108 - what is made there has a name that nobody can foresee

_PREFIX = "modelway-slots-"
_UNFINISHED = ".modelway-slots-"
_LOCK = "lock"
_KEPT_FREE = 2.0  # times what the slots take


class SlotFolder:
    """A folder at ``path``, private to its user, until it is closed."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def make(cls, n_slots: int, parents: Sequence[Path] | None = None) -> SlotFolder:
        """A fresh folder for as many slots, in the first of ``parents`` that has room for them.

        By default these are the file system in memory and the folder for temporary files, of which
        the last is taken whatever room it has.

        Raises:
            OSError: it cannot be made.
        """
        candidates = (MEMORY, Path(tempfile.gettempdir())) if parents is None else tuple(parents)
        for parent in candidates:
            _remove_left(parent)
        roomy = (one for one in candidates[:-1] if _has_room(one, n_slots * FILE_BYTES))
        parent = next(roomy, candidates[-1])
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=parent))
        lock = os.open(unfinished / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        _locked(lock)
        path = unfinished.rename(parent / unfinished.name.removeprefix("."))
        return cls(path, lock)

    def close(self) -> None:
        """Remove the folder; calling it twice does no harm."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> SlotFolder:
        """The folder itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the folder."""
        self.close()


def _has_room(parent: Path, n_bytes: int) -> bool:
    if not os.access(parent, os.W_OK | os.X_OK):
        return False
    return shutil.disk_usage(parent).free >= _KEPT_FREE * n_bytes


def _remove_left(parent: Path) -> None:
    """Remove what services of this user that were killed have left."""
    if sys.platform == "win32":
        return  # there are no locks that could tell
    for path in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if path.is_symlink() or path.lstat().st_uid != os.getuid():
                continue
            lock = os.open(path / _LOCK, os.O_RDWR)
            try:
                if _locked(lock):
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def _locked(descriptor: int) -> bool:
    """Take the lock if nobody has it, and give whether it was taken."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
