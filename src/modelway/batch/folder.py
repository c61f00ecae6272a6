"""The folder of parts beside an output: what is done, and how it comes to be done.

``OUTPUT.parts/`` holds the manifest, and of each part its rows, its errors if it has some, and last
``NUMBER.json``, which says that it is done. A file is written under another name, brought to the
disk and renamed, so that whatever has its own name is whole, whenever a run is ended. One process
has the folder at a time; the lock is given up with its end, however that comes.

Source: rename(2), link(2), fsync(2), flock(2).
"""

from __future__ import annotations

import fcntl
import filecmp
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from modelway.batch.manifest import Manifest, Over, decoded, encoded, read_as
from modelway.batch.parts import Done
from modelway.domain.disk import synced
from modelway.domain.errors import Conflict, InvalidInput, TargetExists

_TEMPORARY = ".tmp"
_OVER = "finished.json"


class PartsFolder:
    """The parts of ``output``; ``run`` sets apart what different runs are writing."""

    def __init__(self, output: Path, run: str = "") -> None:
        self.output = output
        self._run = run
        self.path = output.with_name(f"{output.name}.parts")
        self._manifest = self.path / "manifest.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have the folder, made if there is none, and removed where nothing is in it after all.

        Raises:
            Conflict: another process has it.
            InvalidInput: it cannot be made.
        """
        try:
            self.path.mkdir(exist_ok=True)
            descriptor = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise InvalidInput(f"{self.path} cannot be made: {error.strerror}") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(f"another process is making {self.output} right now") from None
            try:
                yield
            finally:
                with suppress(OSError):  # something is in it, or it is gone
                    self.path.rmdir()
        finally:
            os.close(descriptor)

    def is_empty(self) -> bool:
        """Whether nothing is there, or nothing in it."""
        return not (os.path.lexists(self.path) and any(self.path.iterdir()))

    def is_begun(self) -> bool:
        """Whether a run was begun there."""
        return self._manifest.exists() or (self.path / _OVER).exists()

    def manifest(self) -> Manifest | None:
        """The manifest of the run that was begun; None if none was. Raises LoadFailed."""
        if not self._manifest.exists():
            return None
        return decoded(self._manifest.read_bytes(), self._manifest)

    def begin(self, manifest: Manifest) -> None:
        """Keep the manifest of a run."""
        self._write(self._manifest, encoded(manifest))

    def rows_of(self, part: int) -> Path:
        """Where the rows of a part are."""
        return self.path / f"{part:08}.rows"

    def errors_of(self, part: int) -> Path:
        """Where the errors of a part are, if it has some."""
        return self.path / f"{part:08}.errors"

    def begun(self, part: int) -> tuple[Path, Path]:
        """Where the rows and the errors of a part are written before all of them are there."""
        return self._temporary(self.rows_of(part)), self._temporary(self.errors_of(part))

    def done(self, part: int) -> Done | None:
        """What became of a part; None if it is not done."""
        try:
            return msgspec.json.decode((self.path / f"{part:08}.json").read_bytes(), type=Done)
        except FileNotFoundError:
            return None

    def finish(self, part: int, done: Done, *, has_rows: bool) -> None:
        """Have a part be done, whose rows and errors were written where it was begun.

        Without rows where they are elsewhere, as safe as they can be there.
        """
        rows, errors = self.begun(part)
        if done.n_errors:
            published(errors, self.errors_of(part))
        else:
            errors.unlink()
            # It was left before, and what it could not hold then it can now.
            self.errors_of(part).unlink(missing_ok=True)
        if has_rows:
            published(rows, self.rows_of(part))
        self._write(self.path / f"{part:08}.json", msgspec.json.encode(done))

    def leave(self, part: int) -> None:
        """Keep the errors of a part that is not done, and nothing else of it."""
        rows, errors = self.begun(part)
        published(errors, self.errors_of(part))
        rows.unlink(missing_ok=True)

    def over(self) -> Over | None:
        """What became of all, where the output was made and only the folder is to be removed.

        Raises:
            LoadFailed: what says so cannot be read.
        """
        path = self.path / _OVER
        return read_as(Over, path.read_bytes(), path) if path.exists() else None

    def remove(self, over: Over) -> None:
        """Remove the folder, now that the output is there; a kill on the way leaves ``over``."""
        last = self.path / _OVER
        self._write(last, msgspec.json.encode(over))
        for one in self.path.iterdir():
            if one != last:
                one.unlink()
        self.forget()

    def has_done(self) -> bool:
        """Whether any part is done, or all of them were."""
        names = [one.name for one in self.path.glob("*.json")]
        return any(name == _OVER or name.removesuffix(".json").isdecimal() for name in names)

    def forget(self) -> None:
        """Remove the folder, whatever is in it."""
        shutil.rmtree(self.path)

    def clean(self) -> None:
        """Remove what was being written when a run was ended."""
        for one in self.path.glob(f"*{_TEMPORARY}"):
            one.unlink()

    def _write(self, path: Path, content: bytes) -> None:
        part = self._temporary(path)
        part.write_bytes(content)
        published(part, path)

    def _temporary(self, path: Path) -> Path:
        return temporary(path.with_name(f"{path.name}.{self._run}") if self._run else path)


def temporary(path: Path) -> Path:
    """The name under which a file is written that will be at ``path``."""
    return path.with_name(path.name + _TEMPORARY)


def published(part: Path, path: Path) -> None:
    """Bring a file that was written to the disk, and to its name."""
    synced(part)
    part.replace(path)
    synced(path.parent)


def published_new(part: Path, path: Path) -> None:
    """Bring a file that was written to the disk, and to a name that nothing has yet.

    The same bytes may have it: a run that was killed afterwards has put them there.

    Raises:
        TargetExists: something else has it.
    """
    synced(part)
    try:
        os.link(part, path)
    except OSError:  # the name is there, or the file system has no second names
        if not os.path.lexists(path):
            part.replace(path)
        elif not (path.is_file() and filecmp.cmp(part, path, shallow=False)):
            raise TargetExists(
                f"{path} was not there when this began, and is not replaced",
                hint="move it away, and go on with --resume",
            ) from None
    synced(path.parent)
