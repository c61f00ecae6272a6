"""The home: one folder with everything that Modelway keeps on this machine.

    home.json     the format's version
    control.db    the control store, where no other is named
    bundles/      every bundle, by its digest; cache/ says which build gave which
    mlflow/       MLflow's own server: its database and its artefacts
    records/      what was predicted
    admin.key     the key of the administration; records.key hashes columns of records
    up.json       what runs now, and where; logs/ what its children say
    backups/      what was there before a newer version migrated it

A home that a newer version has written is refused; an older one is migrated, after its control
files were copied to ``backups``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from modelway.domain.errors import BadValue, Conflict, HomeTooNew

FORMAT = 1

_MARK = "home.json"
_UP = "up.json"
_SECRET_BYTES = 32
_LOCK = "up.lock"
_KEPT_ASIDE = ("control.db", "admin.key", _MARK)


class Mark(msgspec.Struct, frozen=True):
    """What ``home.json`` says."""

    format: int


class Running(msgspec.Struct, frozen=True):
    """What ``up`` has started here, and where it answers."""

    pid: int
    since: datetime
    address: str
    administration: str
    registry: str
    grpc: str = ""


class Home:
    """An opened home at ``path``.

    Raises:
        HomeTooNew: a newer version has written it.
        BadValue: it cannot be made, read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        try:
            # What is predicted may be about people.
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._migrate(self._format())
        except OSError as error:
            raise BadValue(
                f"bundles.home: {self.path} cannot be written: {error.strerror}",
                hint="name another with --home or MODELWAY__BUNDLES__HOME",
            ) from error

    @property
    def store_url(self) -> str:
        """The control store of this home."""
        return f"sqlite:///{self.path / 'control.db'}"

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Nobody else runs ``up`` here meanwhile. Raises Conflict where somebody does."""
        descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                running = self.running()
                where = "" if running is None else f" at {running.address}, process {running.pid}"
                raise Conflict(
                    f"modelway up runs in {self.path} already{where}",
                    hint="modelway status says more; another home is --home FOLDER",
                ) from None
            yield
        finally:
            os.close(descriptor)

    def announce(self, running: Running) -> None:
        """Say what runs, for whoever asks."""
        self._write(_UP, msgspec.json.encode(running))

    def leave(self) -> None:
        """Say that nothing runs any more."""
        (self.path / _UP).unlink(missing_ok=True)

    def running(self) -> Running | None:
        """What runs here as it said itself; None for nothing, or for what was killed since."""
        try:
            content = (self.path / _UP).read_bytes()
            running = msgspec.json.decode(content, type=Running)
            os.kill(running.pid, 0)
        except (OSError, msgspec.MsgspecError):
            return None
        return running

    @property
    def records(self) -> Path:
        """Where what is predicted is recorded."""
        return self.path / "records"

    def secret(self, name: str) -> bytes:
        """Random bytes of this home's own, made with mode 0600 when they are first asked for."""
        path = self.path / name
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(_SECRET_BYTES) + "\n")
        return bytes.fromhex(path.read_text().strip())

    def log(self, name: str) -> Path:
        """Where a child of ``up`` writes what it says."""
        folder = self.path / "logs"
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.log"

    def _format(self) -> int | None:
        """The version of the format; None for a folder that was never written to."""
        try:
            content = (self.path / _MARK).read_bytes()
        except FileNotFoundError:
            return 0 if any(self.path.iterdir()) else None
        try:
            return msgspec.json.decode(content, type=Mark).format
        except msgspec.MsgspecError as error:
            raise BadValue(f"{self.path / _MARK} cannot be read: {error}") from error

    def _migrate(self, found: int | None) -> None:
        if found is not None and found > FORMAT:
            raise HomeTooNew(
                f"{self.path} has format {found}; this version knows up to {FORMAT}",
                hint="install the version that wrote it, or a newer one",
            )
        if found == FORMAT:
            return
        if found is not None:
            self._back_up(found)
        # Before format 1 a home held bundles, their cache and a key, as it does now.
        self._write(_MARK, msgspec.json.encode(Mark(FORMAT)))

    def _back_up(self, found: int) -> None:
        there = [self.path / name for name in _KEPT_ASIDE if (self.path / name).exists()]
        if there:
            now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
            folder = self.path / "backups" / f"format-{found}-{now}"
            folder.mkdir(parents=True)
            for file in there:
                if file.suffix == ".db":
                    _copied(file, folder / file.name)
                else:
                    shutil.copy2(file, folder / file.name)

    def _write(self, name: str, content: bytes) -> None:
        waiting = self.path / f".{name}.{os.getpid()}"
        waiting.write_bytes(content + b"\n")
        waiting.replace(self.path / name)


def _copied(store: Path, copy: Path) -> None:
    """Copy an SQLite store, which may be in use: closing its plain file would give up its locks."""
    with (
        contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
