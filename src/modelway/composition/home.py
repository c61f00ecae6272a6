"""The home: one folder with everything that Modelway keeps on this machine.

    home.json     the format's version
    control.db    the control store, where no other is named
    bundles/      every bundle, by its digest; cache/ says which build gave which
    mlflow/       MLflow's own server: its database and its artefacts
    records/      what was predicted; own-ids says which ids callers brought
    admin.key     the key of the administration; records.key hashes columns of records
    settings.json what up was started with, for every later command; passwords too
    home.id       what tells this home from others
    schedules/    which scheduled run was done last, until the store has it
    up.json       what runs now, and where; logs/ what its children say
    last.json     what answered last, and the hashes of the keys (``remembering.py``)
    backups/      what was there before a newer version migrated it

A home that a newer version has written is refused; an older one is migrated, after its control
files were copied to ``backups``. So is its store, which has versions of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from modelway.backends.sql.copying import copied
from modelway.composition.secret_files import secret_in
from modelway.domain.errors import BadValue, Conflict, HomeTooNew
from modelway.settings import Settings
from modelway.settings.fields import parts_of

FORMAT = 1

PLACES = ("store.url", "registry.url", "bundles.url", "records.url")
"""Settings that say where something is."""

_PROTECTED = "registry.protected"
REMEMBERED = (*PLACES, "jobs.broker", "registry.trusted", _PROTECTED)
"""What later commands are to know of how ``up`` was started: settings that are texts."""

_MARK = "home.json"
_UP = "up.json"
_SETTINGS = "settings.json"
_SQLITE = "sqlite:///"
_SECRET_BYTES = 32
_LOCK = "up.lock"
_TEND_LOCK = "tend.lock"
_LOOKED_S = 0.5
"""Who asks what runs has the lock for a moment, and is not to be taken for an ``up``."""
_KEPT_ASIDE = ("control.db", "admin.key", _SETTINGS, _MARK)

_log = logging.getLogger(__name__)


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
        self._killed: Running | None = None
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

    def settled(self, settings: Settings) -> Settings:
        """The settings with what ``up`` was started with here, where they say nothing themselves.

        What says otherwise while ``up`` runs here is logged: it works on something else.

        Raises:
            BadValue: what was remembered cannot be read.
        """
        known = self._remembered()
        others = [name for name in known if lasting(name, settings) != known[name]]
        said = [name for name in others if settings.origins.get(name, "default") != "default"]
        if said and self.running() is not None:
            _log.warning(
                "%s: not what modelway up was started with, which runs in %s",
                ", ".join(f"{name} ({settings.origins[name]})" for name in said),
                self.path,
            )
        return settings.where_unsaid(known, str(self.path / _SETTINGS))

    def remember(self, settings: Settings) -> None:
        """Have later commands in this home know what ``up`` is started with.

        Raises:
            BadValue: it cannot be written down.
        """
        values = {name: lasting(name, settings) for name in REMEMBERED}
        said = {name: value for name, value in values.items() if value}
        if said != self._remembered():
            try:
                self.write(_SETTINGS, msgspec.json.encode(said))
            except OSError as error:
                raise BadValue(
                    f"{self.path / _SETTINGS} cannot be written: {error.strerror}"
                ) from error

    def is_registry(self, url: str) -> bool:
        """Whether ``url`` is the registry that ``up`` was started with here; empty is its own.

        Raises:
            BadValue: what was remembered cannot be read.
        """
        return url.rstrip("/") == self._remembered().get("registry.url", "").rstrip("/")

    @property
    def protected(self) -> frozenset[str]:
        """The aliases that are protected here whatever a command's own settings say.

        Raises:
            BadValue: what was remembered cannot be read.
        """
        return frozenset(parts_of(self._remembered().get(_PROTECTED, "")))

    def _remembered(self) -> Mapping[str, str]:
        path = self.path / _SETTINGS
        try:
            found = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            raise BadValue(
                f"{path} cannot be read: {error}",
                hint="remove it, and start modelway up with its --store and --registry",
            ) from error
        return {name: value for name, value in found.items() if name in REMEMBERED}

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Nobody else runs ``up`` here meanwhile. Raises Conflict where somebody does."""
        descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not _locked(descriptor, fcntl.LOCK_EX, _LOOKED_S):
                running = self.running()
                where = "" if running is None else f" at {running.address}, process {running.pid}"
                raise Conflict(
                    f"modelway up runs in {self.path} already{where}",
                    hint="modelway status says more; another home is --home FOLDER",
                )
            self._killed = self._said()
            self.leave()
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def tended(self, ended: threading.Event) -> Iterator[None]:
        """Nobody else tends to the home meanwhile; waits until that is so, or ``ended`` is set."""
        descriptor = os.open(self.path / _TEND_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while not _locked(descriptor, fcntl.LOCK_EX):
                if ended.wait(_LOOKED_S):
                    break
            yield
        finally:
            os.close(descriptor)

    def announce(self, running: Running) -> None:
        """Say what runs, for whoever asks."""
        self.write(_UP, msgspec.json.encode(running))

    def leave(self) -> None:
        """Say that nothing runs any more."""
        (self.path / _UP).unlink(missing_ok=True)

    def running(self) -> Running | None:
        """What runs here as it said itself; None for nothing, or for what was killed since.

        What runs holds the lock of the home. A process id says nothing: in a container that is
        started again the same one is given to another process.
        """
        return self._said() if self._is_taken() else None

    def killed(self) -> Running | None:
        """What ran here before this took the home, if it could not say that it ended; its children
        may not be gone yet."""
        return self._killed

    def _is_taken(self) -> bool:
        try:
            descriptor = os.open(self.path / _LOCK, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            return not _locked(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def _said(self) -> Running | None:
        try:
            return msgspec.json.decode((self.path / _UP).read_bytes(), type=Running)
        except (OSError, msgspec.MsgspecError):
            return None

    @property
    def records(self) -> Path:
        """Where what is predicted is recorded."""
        return self.path / "records"

    def secret(self, name: str) -> bytes:
        """Random bytes of this home's own, made with mode 0600 when they are first asked for.

        Raises:
            BadValue: the file cannot be made or read, or holds something else.
        """
        path = self.path / name
        text = secret_in(path, lambda: secrets.token_hex(_SECRET_BYTES))
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise BadValue(f"{path} is no key: expected hexadecimal digits") from None

    @property
    def id(self) -> str:
        """What tells this home from others, 16 hexadecimal digits; made when first asked for."""
        return self.secret("home.id").hex()[:16]

    def write(self, name: str, content: bytes) -> None:
        """Have a file of the home be this, whole or as it was, for its owner alone.

        Raises:
            OSError: it cannot be written.
        """
        waiting = self.path / f".{name}.{os.getpid()}"
        descriptor = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content + b"\n")
            file.flush()
            os.fsync(descriptor)
        waiting.replace(self.path / name)

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
        self.write(_MARK, msgspec.json.encode(Mark(FORMAT)))

    def _back_up(self, found: int) -> None:
        there = [self.path / name for name in _KEPT_ASIDE if (self.path / name).exists()]
        if there:
            now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
            folder = self.path / "backups" / f"format-{found}-{now}"
            folder.mkdir(parents=True)
            for file in there:
                if file.suffix == ".db":
                    copied(file, folder / file.name)
                else:
                    shutil.copy2(file, folder / file.name)


def _locked(descriptor: int, kind: int, within_s: float = 0.0) -> bool:
    """Whether a file could be locked, which may take so long."""
    until_s = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until_s:
                return False
            time.sleep(0.01)
        else:
            return True


def settled(settings: Settings) -> Settings:
    """The settings as they hold in their home; where there is none yet, none is made."""
    home = settings.bundles.home
    return Home(home).settled(settings) if (home / _MARK).is_file() else settings


def lasting(name: str, settings: Settings) -> str:
    """What a setting says wherever it is used; a path, as SQLite has, is one from here."""
    value = str(settings.value(name))
    if name not in PLACES:
        return value
    if value.startswith(_SQLITE):
        return _SQLITE + str(Path(value.removeprefix(_SQLITE)).absolute())
    return str(Path(value).absolute()) if value and ":" not in value else value
