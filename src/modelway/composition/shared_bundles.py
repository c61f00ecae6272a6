"""The bundles of a home, and the place behind a URL through which other hosts see them.

    HOME/bundles/<digest>/      what is opened here; what came from the place stays for ever
    URL/<digest>/...            the same files; the manifest comes last, and makes the bundle count
    place.id                    beside them: what tells this place from others, made once; also in
                                the home, as the place behind the URL said last

A bundle never changes, so the place is asked only for what is not here.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
import threading
import time
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from modelway.bundles.cache import Cache
from modelway.bundles.digest import PREFIX
from modelway.bundles.manifest import MANIFEST
from modelway.composition.secret_files import secret_in
from modelway.domain.errors import DigestMismatch, MissingExtra, ModelwayError, Unavailable
from modelway.settings import BundleSettings

if TYPE_CHECKING:
    from modelway.backends.fsspec_place import Place

_ID = "place.id"
_AGAIN_S = 3.0

_log = logging.getLogger("modelway.bundles")


class SharedBundles:
    """The bundles of the home of ``settings``; threads may share it."""

    def __init__(self, settings: BundleSettings) -> None:
        self._home = settings.home.absolute()
        self._url = settings.url
        self._shared: set[str] = set()
        self._fetches: dict[str, _Fetch] = {}
        self._lock = threading.Lock()

    @property
    def shown(self) -> str:
        """Where they are, for people to read."""
        return self._place.shown if self._url else str((self._home / "bundles").resolve())

    def place_id(self) -> str:
        """What tells the place of the bundles from others; as the place itself said before, so that
        one that is away keeps no service from beginning.

        Raises:
            BadValue, MissingExtra: the URL is none of a place, or needs a driver.
            Unavailable: the place was never reached, and cannot be now.
        """
        if not self._url:
            return secret_in(self._home / "bundles" / _ID, lambda: secrets.token_hex(16))
        with contextlib.suppress(OSError, ValueError):
            url, id = (self._home / _ID).read_text().split()
            if url == self._url_sha256:
                return id
        return self.ask_place()

    def ask_place(self) -> str:
        """As ``place_id``, but asked now; what it says is made when it is first asked for.

        Raises:
            BadValue, MissingExtra: the URL is none of a place, or needs a driver.
            Unavailable: the place cannot be reached.
        """
        if not self._url:
            return self.place_id()
        found = self._place.read(_ID)
        if found is None:
            self._place.write(_ID, secrets.token_hex(16).encode())
            found = self._place.read(_ID) or b""  # another host may have been there, too
        id = found.decode("ascii", "replace").strip()
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        waiting = self._home / f".{_ID}.{secrets.token_hex(8)}"
        waiting.write_text(f"{self._url_sha256} {id}\n")
        waiting.replace(self._home / _ID)
        return id

    def folder(self, digest: str) -> Path | None:
        """The folder of a bundle, brought here if need be; None if it is nowhere. May block long.

        Raises:
            Unavailable: it is not here, and the place cannot be reached.
            DigestMismatch, LoadFailed: what lies in the place is not that bundle.
        """
        if self._here(digest) is None and self._url:
            self._fetch(digest)
        return self._here(digest)

    def folder_soon(self, digest: str, until_s: float) -> Path | None:
        """As ``folder``, but waits no longer than until a time (monotonic); it is brought all the
        same, and found by whoever asks later.

        Raises:
            Unavailable: also while it is on its way.
        """
        here = self._here(digest)
        if here is not None or not self._url:
            return here
        with self._lock:
            fetch = self._fetches.get(digest)
            if fetch is None or fetch.is_over:
                fetch = self._fetches[digest] = _Fetch(self, digest)
        fetch.wait(until_s)
        return self._here(digest)

    def check(self) -> None:
        """Do nothing if bundles could be shared now. Raises Unavailable."""
        if self._url:
            self._place.has(_ID)

    def share(self, digest: str) -> None:
        """Have the other hosts see a bundle that is here; what is there already stays.

        Raises:
            Unavailable: the place cannot be reached.
        """
        folder = self._here(digest)
        if not self._url or digest in self._shared or folder is None:
            return
        name = digest.removeprefix(PREFIX)
        if not self._place.has(f"{name}/{MANIFEST}"):
            files = [one for one in folder.rglob("*") if one.is_file()]
            for file in sorted(files, key=lambda one: one == folder / MANIFEST):
                self._place.put(file, f"{name}/{file.relative_to(folder).as_posix()}")
            _log.info("bundle shared", extra={"digest": digest, "place": self._place.shown})
        self._shared.add(digest)

    @property
    def _url_sha256(self) -> str:
        """The URL may hold a password."""
        return hashlib.sha256(self._url.encode()).hexdigest()

    @cached_property
    def _place(self) -> Place:
        try:
            from modelway.backends.fsspec_place import open_place
        except ImportError as error:
            raise MissingExtra("fsspec", "remote", "bundles.url") from error
        return open_place(self._url, "bundles.url")

    def _here(self, digest: str) -> Path | None:
        folder = self._home / "bundles" / digest.removeprefix(PREFIX)
        return folder if (folder / MANIFEST).is_file() else None

    def _fetch(self, digest: str) -> None:
        """Bring a bundle here, if it is whole where the others are."""
        name = digest.removeprefix(PREFIX)
        there = [PurePosixPath(one).relative_to(name) for one in self._place.sizes(name)]
        if PurePosixPath(MANIFEST) not in there:
            return
        cache = Cache(self._home)
        with cache.fresh() as folder:
            for one in there:
                if ".." in one.parts or not self._place.get(f"{name}/{one}", folder / one):
                    raise Unavailable(
                        f"{self._place.shown} lists {one} of {digest}, and has it not"
                    )
            found = cache.keep(folder, None).digest
        if found != digest:
            raise DigestMismatch(f"{self._place.shown}/{name}", digest, found)
        self._shared.add(digest)
        _log.info("bundle fetched", extra={"digest": digest, "place": self._place.shown})


class _Fetch:
    """A bundle on its way here, in a thread that nobody has to wait for."""

    def __init__(self, bundles: SharedBundles, digest: str) -> None:
        self._bundles = bundles
        self._digest = digest
        self._error: ModelwayError | None = None
        self._again_s = 0.0
        self._thread = threading.Thread(target=self._run, name=f"fetch {digest}", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and long enough ago to try once more."""
        return not self._thread.is_alive() and time.monotonic() >= self._again_s

    def wait(self, until_s: float) -> None:
        """Wait for the end of it. Raises what it could not do, Unavailable if it still goes on."""
        self._thread.join(max(0.0, until_s - time.monotonic()))
        if self._thread.is_alive():
            raise Unavailable(f"the bundle {self._digest} is on its way from {self._bundles.shown}")
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._bundles.folder(self._digest)
        except ModelwayError as error:
            self._error = error
        except Exception as error:
            self._error = Unavailable(f"the bundle {self._digest} cannot be kept: {error}")
            raise
        finally:
            self._again_s = time.monotonic() + _AGAIN_S
