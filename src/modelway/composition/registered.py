"""Registered versions made into bundles: fetched, built in a child process, shared, linked.

A pickle runs code when it is read; so one that comes from a registry is built only if that registry
is listed as trusted. The home's own is. What cannot be built is linked with the reason, so that
whoever waits for it is told. A version is linked once every host can see its bundle.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from modelway.bundles.cache import Cache, key_of
from modelway.bundles.store import Bundle, open_bundle
from modelway.composition.bundling import BuildRequest, build, cached
from modelway.composition.leaving import left
from modelway.composition.presence import Presence
from modelway.composition.shared_bundles import SharedBundles
from modelway.domain.errors import ModelwayError, Unavailable, UnsafeFormat, UntrustedRegistry
from modelway.domain.names import alias_of
from modelway.registry.ports import BundleLinks, RegistryReader
from modelway.settings import Settings

Say = Callable[[str], object]


class Registered:
    """Makes the versions of a registry at ``url`` into bundles of a home.

    ``own`` is the address of the home's own registry, which is trusted.
    """

    def __init__(
        self,
        registry: RegistryReader,
        url: str,
        links: BundleLinks,
        bundles: SharedBundles,
        presence: Presence,
        settings: Settings,
        own: str,
    ) -> None:
        self._registry = registry
        self._url = url.rstrip("/")
        self._links = links
        self._bundles = bundles
        self._presence = presence
        self._settings = settings
        self._trusted = {own.rstrip("/"), *settings.registry.trusted_urls}

    def bundle(self, model: str, version: str, say: Say) -> str:
        """The digest of a version's bundle, built now if there is none; blocks.

        Raises:
            RegistryUnavailable, ModelNotFound, VersionNotFound: it cannot be fetched.
            UntrustedRegistry: it is a pickle, and the registry is not listed as trusted.
            BadValue: another host has its bundles elsewhere.
            Unavailable: the place where bundles are shared cannot be reached.
            Conflict: it has been archived or deleted meanwhile.
            ModelwayError: it cannot be built; the reason is linked.
        """
        digest = self._links.digest(model, version)
        if digest is not None and self.folder(digest) is not None:
            self.share(digest)
            return digest
        self._bundles.check()
        with self.fetched(model, version) as files:
            digest = self._built(model, version, files, say)
        self.share(digest)
        self._links.link(model, version, digest, None)
        return digest

    @contextlib.contextmanager
    def fetched(self, model: str, version: str) -> Iterator[Path]:
        """The folder with the files of a version, while they are needed.

        Raises:
            RegistryUnavailable, ModelNotFound, VersionNotFound: it cannot be fetched.
            Unavailable: its files are not complete yet.
        """
        found = self._registry.version(model, version)
        if found.state != "READY":
            raise Unavailable(f"{model}:{version} is {found.state} in the registry, not READY")
        waiting = self._settings.bundles.home / "fetched"
        waiting.mkdir(parents=True, exist_ok=True)
        files = Path(tempfile.mkdtemp(prefix=f"{alias_of(model, 0)}-{version}-", dir=waiting))
        try:
            self._registry.fetch(found, files)
            yield files
        finally:
            shutil.rmtree(files, ignore_errors=True)

    def note(self, model: str, version: str, digest: str) -> None:
        """Have ``noted`` find the bundle of a version of this registry, whichever the store links
        versions of."""
        self._cache.note(self._key(model, version), digest)

    def noted(self, model: str, version: str) -> Path | None:
        """The folder of a version's bundle that was noted; None if it is gone, or was made of a
        pickle when that was still allowed."""
        found = self._cache.find(self._key(model, version))
        return None if found is None else found.folder

    def share(self, digest: str) -> None:
        """Have every host see a bundle that is here.

        Raises:
            BadValue: another host has its bundles elsewhere.
            Unavailable: the place where bundles are shared cannot be reached.
        """
        self._presence.check()
        self._bundles.share(digest)

    def folder(self, digest: str) -> Path | None:
        """The folder of a bundle, brought here if need be; None if it is nowhere.

        Raises:
            Unavailable: it is not here, and the place where bundles are shared is away.
            DigestMismatch, LoadFailed: what lies there is not that bundle.
        """
        return self._bundles.folder(digest)

    def built(
        self, what: str, request: BuildRequest, say: Say, output: Path | None = None
    ) -> Bundle:
        """The bundle of files that were fetched from the registry, called ``what`` in an error; it
        is built into ``output``, or into the home.

        Raises:
            UntrustedRegistry: it is a pickle, and the registry is not listed as trusted.
            TargetExists: something is in ``output``.
            ModelwayError: it cannot be built.
        """
        trusted = self._url in self._trusted
        settings = self._settings if trusted else self._settings.without_pickles()
        try:
            if output is not None:
                return build(request, output, settings, say)
            return open_bundle(cached(request, settings, say))
        except UnsafeFormat as error:
            if trusted:  # it is the settings that allow none
                raise
            raise UntrustedRegistry(
                f"{what} is a pickle, which runs code when it is read, and {self._url} "
                "is not listed as trusted",
                hint="list it in registry.trusted, or log the model as skops or ONNX",
            ) from error

    @property
    def _cache(self) -> Cache:
        return Cache(self._settings.bundles.home)

    def _key(self, model: str, version: str) -> str:
        pickles = self._settings.bundles.allow_pickle and self._url in self._trusted
        parts = {"registry": self._url, "model": model, "version": version, "pickles": pickles}
        return key_of(parts)

    def _built(self, model: str, version: str, files: Path, say: Say) -> str:
        request = BuildRequest(source=str(source_in(files)), name=alias_of(model, 0))
        try:
            return self.built(f"{model}:{version}", request, say).digest
        except ModelwayError as error:
            if not left().is_set():  # else it was ended before it was known what comes of it
                self._links.link(model, version, None, error.message)
            raise


def source_in(files: Path) -> Path:
    """What is built of a version's files: the folder of an MLflow model, or the one file there."""
    if (files / "MLmodel").is_file():
        return files
    inside = sorted(files.iterdir())
    return inside[0] if len(inside) == 1 else files
