"""Which bundle was built from what: one small file a build, named by what went into it.

    cache/<key>.json      {"digest": "sha256:..."}
    bundles/<digest>/     the bundle

The key is the SHA-256 of everything that the build depends on. An entry whose bundle is gone or
damaged is as good as none. Several processes may read and write at a time: files and folders come
into place by being renamed, and of two equal bundles either will do.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from modelway.bundles.digest import PREFIX
from modelway.bundles.manifest import canonical_json
from modelway.bundles.store import Bundle, open_bundle
from modelway.domain.errors import BadValue, ModelwayError


class _Entry(msgspec.Struct, frozen=True):
    digest: str


def key_of(parts: Mapping[str, object]) -> str:
    """The key of a build that depends on ``parts``, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(parts)).hexdigest()


class Cache:
    """The bundles in ``home``, and which build gave which."""

    def __init__(self, home: Path) -> None:
        self._entries = home / "cache"
        self._bundles = home / "bundles"

    def find(self, key: str) -> Bundle | None:
        """The bundle that the build of this key gave; None if it is not there or damaged."""
        try:
            entry = msgspec.json.decode((self._entries / f"{key}.json").read_bytes(), type=_Entry)
            bundle = open_bundle(self._folder(entry.digest))
        except (OSError, msgspec.MsgspecError, ModelwayError):
            return None
        return bundle if bundle.digest == entry.digest else None

    @contextlib.contextmanager
    def fresh(self) -> Iterator[Path]:
        """An empty folder to build in, on the same disk; gone afterwards if it was not kept.

        Raises:
            BadValue: nothing can be written into the home.
        """
        folder = self._bundles / f".building-{secrets.token_hex(8)}"
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise BadValue(
                f"bundles.home: {self._bundles.parent} cannot be written: {error.strerror}",
                hint="name another with --home or MODELWAY__BUNDLES__HOME",
            ) from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def keep(self, folder: Path, key: str | None) -> Bundle:
        """Move the bundle in ``folder`` to its place, and remember it under the key.

        An equal one that is there already, and whole, stays.
        """
        built = open_bundle(folder)
        place = self._folder(built.digest)
        bundle = _whole(place)
        if bundle is None:
            damaged = self._bundles / f".damaged-{secrets.token_hex(8)}"
            with contextlib.suppress(FileNotFoundError):
                place.rename(damaged)
            try:
                folder.rename(place)
            except OSError:
                # Another process was quicker; its bundle has the same contents.
                shutil.rmtree(folder, ignore_errors=True)
            bundle = open_bundle(place)
            shutil.rmtree(damaged, ignore_errors=True)
        if key is not None:
            self.note(key, bundle.digest)
        return bundle

    def note(self, key: str, digest: str) -> None:
        """Remember a bundle that is there under a key."""
        self._entries.mkdir(parents=True, exist_ok=True)
        waiting = self._entries / f".{key}.{secrets.token_hex(8)}"
        waiting.write_bytes(canonical_json(_Entry(digest)))
        waiting.replace(self._entries / f"{key}.json")

    def _folder(self, digest: str) -> Path:
        return self._bundles / digest.removeprefix(PREFIX)


def _whole(folder: Path) -> Bundle | None:
    try:
        return open_bundle(folder)
    except ModelwayError:
        return None
