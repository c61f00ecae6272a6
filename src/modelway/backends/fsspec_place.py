"""Folders behind a URL: object storage, shared disks and whatever else has a driver for fsspec.

A file is put under a name that nobody looks for and then moved to its own, so whoever finds it
finds it whole: on object stores a copy appears at once, on a disk a rename does. Keys and passwords
are the driver's own affair (its environment, its files); a password in the URL is never shown.

Source: fsspec, "API Reference"; Amazon S3, "Data consistency model".
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import known_implementations

from modelway.domain.addresses import shown_url
from modelway.domain.disk import synced
from modelway.domain.errors import BadValue, MissingExtra, ModelwayError, Unavailable

_ARRIVING = ".arriving"
_OF_ONE_PROCESS = ("memory",)
_EXTRAS = {"s3": "s3fs", "s3a": "s3fs"}


class Place:
    """A folder behind a URL; names in it are relative, with slashes. Threads may share it.

    Every method raises Unavailable where the place cannot be reached, or refuses.
    """

    def __init__(self, filesystem: Any, root: str, shown: str, secret: str = "") -> None:
        self._files = filesystem
        self._root = root.rstrip("/")
        self._secret = secret
        self.shown = shown

    @property
    def filesystem(self) -> Any:
        """The fsspec filesystem, for libraries that read by it; ``path`` gives its paths."""
        return self._files

    def path(self, name: str) -> str:
        """A file's path in the filesystem."""
        return f"{self._root}/{name}"

    def url(self, name: str) -> str:
        """A file's path with the filesystem's scheme in front."""
        return str(self._files.unstrip_protocol(self.path(name)))

    def sizes(self, folder: str = "") -> Mapping[str, int]:
        """The bytes of every file in a folder and below, by name; none where it is not there."""
        with self.told():
            try:
                found = self._files.find(self.path(folder).rstrip("/"), detail=True)
            except FileNotFoundError:
                return {}
        start = len(self._root) + 1
        sizes = {path[start:]: int(one["size"] or 0) for path, one in found.items() if one}
        return {name: size for name, size in sizes.items() if not name.endswith(_ARRIVING)}

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return self.version(name) is not None

    def version(self, name: str) -> str | None:
        """What changes whenever the contents of a file do; None where it is not there."""
        with self.told():
            try:
                return str(self._files.checksum(self.path(name)))
            except FileNotFoundError:
                return None

    def read(self, name: str) -> bytes | None:
        """What is in a file; None where it is not there."""
        with self.told():
            try:
                return bytes(self._files.cat_file(self.path(name)))
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        """Have a file hold this, whole or not at all."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            self.put(Path(file.name), name)

    def put(self, file: Path, name: str) -> None:
        """Have a file hold what one of this disk does, whole or not at all."""
        try:
            with self.told(), self._arriving(name) as arriving:
                self._files.put_file(str(file), arriving)
        except FileNotFoundError as error:  # a bucket that nobody made
            raise Unavailable(
                f"{self.shown} cannot be used: {_words(error, self._secret)}"
            ) from error

    def get(self, name: str, file: Path) -> bool:
        """Copy a file to this disk; gives whether it was there."""
        with self.told():
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._files.get_file(self.path(name), str(file))
            except FileNotFoundError:
                return False
        return True

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, those that are not there any more among them."""
        with self.told():
            for name in names:
                with suppress(FileNotFoundError):
                    self._files.rm_file(self.path(name))

    def tidy(self, folder: str) -> None:
        """Remove what those who died have left half put; nobody may put anything meanwhile."""
        with self.told(), suppress(FileNotFoundError):
            for path in self._files.find(self.path(folder)):
                if path.endswith(_ARRIVING):
                    self._files.rm_file(path)

    @contextmanager
    def _arriving(self, name: str) -> Iterator[str]:
        """A path to write to, which is moved to the name's when that is done."""
        at = PurePosixPath(name)
        token = secrets.token_hex(6)
        arriving = self.path(str(at.with_name(f".{at.name}.{token}{_ARRIVING}")))
        is_disk = isinstance(self._files, LocalFileSystem)
        try:
            yield arriving
            if is_disk:
                synced(arriving)
            self._files.mv(arriving, self.path(name))
        except BaseException:
            with suppress(Exception):
                self._files.rm_file(arriving)
            raise
        if is_disk:
            synced(self._files._parent(self.path(name)))

    @contextmanager
    def told(self) -> Iterator[None]:
        """Whatever a driver raises meanwhile leaves as Unavailable, but for FileNotFoundError."""
        try:
            yield
        except (ModelwayError, FileNotFoundError):
            raise
        except Exception as error:  # each driver raises what its own library does
            raise Unavailable(
                f"{self.shown} cannot be used: {_words(error, self._secret)}"
            ) from error


def open_place(url: str, setting: str) -> Place:
    """The place at a URL, or at a path of this disk; ``setting`` names who says so.

    Raises:
        BadValue: the URL is none of a place that several processes can see, or its driver is
            missing.
        MissingExtra: the driver is one that Modelway has an extra for, and is not installed.
        Unavailable: the driver cannot begin.
    """
    shown = shown_url(url)
    scheme = url.partition("://")[0] if "://" in url else "file"
    if scheme in _OF_ONE_PROCESS or scheme not in fsspec.available_protocols():
        raise BadValue(
            f"{setting}: {shown} is no place that several processes can see",
            hint="expected a URL such as s3://bucket/folder or file:///mnt/shared, or a path",
        )
    options = {"auto_mkdir": True} if scheme in ("file", "local") else {}
    try:
        filesystem, root = url_to_fs(url, **options)
    except ImportError as error:
        raise _without(scheme, shown, setting) from error
    except Exception as error:  # each driver raises what its own library does
        words = _words(error, _password(url))
        raise Unavailable(f"{shown} cannot be used: {words}") from error
    # Threads share the driver: one's listing must not hide from another what that has just put.
    filesystem.dircache.use_listings_cache = False
    filesystem.invalidate_cache()
    return Place(filesystem, root, shown, _password(url))


def _words(error: Exception, secret: str) -> str:
    """What a driver said, in one line and without a password."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words.replace(secret, "***") if secret else words


def _password(url: str) -> str:
    at = url.partition("://")[2].partition("/")[0]
    return at.rpartition("@")[0].partition(":")[2] if "@" in at else ""


def _without(scheme: str, shown: str, setting: str) -> ModelwayError:
    if scheme in _EXTRAS:
        return MissingExtra(_EXTRAS[scheme], "s3", f"{setting} at {shown}")
    said = known_implementations.get(scheme, {}).get("err", f"a driver for {scheme}:// is missing")
    return BadValue(f"{setting}: {shown} needs a driver that is not installed", hint=str(said))
