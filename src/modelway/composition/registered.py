"""Registered versions made into bundles: fetched, built in a child process, linked.

A pickle runs code when it is read; so one that comes from a registry is built only if that registry
is listed as trusted. The home's own is. What cannot be built is linked with the reason, so that
whoever waits for it is told.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from modelway.bundles.digest import PREFIX
from modelway.bundles.store import open_bundle
from modelway.composition.bundling import BuildRequest, cached
from modelway.domain.errors import ModelwayError, Unavailable, UnsafeFormat, UntrustedRegistry
from modelway.domain.names import alias_of
from modelway.registry.ports import BundleLinks, RegistryReader
from modelway.settings import Settings

Say = Callable[[str], object]


class Registered:
    """Makes the versions of a registry at ``url`` into bundles of a home."""

    def __init__(
        self, registry: RegistryReader, url: str, links: BundleLinks, settings: Settings, own: str
    ) -> None:
        """``own`` is the address of the home's own registry, which is trusted."""
        self._registry = registry
        self._url = url.rstrip("/")
        self._links = links
        self._settings = settings
        self._trusted = {own.rstrip("/"), *settings.registry.trusted_urls}

    def bundle(self, model: str, version: str, say: Say) -> str:
        """The digest of a version's bundle, built now if there is none; blocks.

        Raises:
            RegistryUnavailable, ModelNotFound, VersionNotFound: it cannot be fetched.
            UntrustedRegistry: it is a pickle, and the registry is not listed as trusted.
            ModelwayError: it cannot be built; the reason is linked.
        """
        digest = self._links.digest(model, version)
        if digest is not None and self.folder(digest) is not None:
            return digest
        found = self._registry.version(model, version)
        if found.state != "READY":
            raise Unavailable(f"{model}:{version} is {found.state} in the registry, not READY")
        waiting = self._settings.bundles.home / "fetched"
        waiting.mkdir(parents=True, exist_ok=True)
        files = Path(tempfile.mkdtemp(prefix=f"{alias_of(model, 0)}-{version}-", dir=waiting))
        try:
            self._registry.fetch(found, files)
            digest = self._built(model, version, files, say)
        finally:
            shutil.rmtree(files, ignore_errors=True)
        self._links.link(model, version, digest, None)
        return digest

    def folder(self, digest: str) -> Path | None:
        """The folder of a bundle, None if it is not here."""
        folder = self._settings.bundles.home.absolute() / "bundles" / digest.removeprefix(PREFIX)
        return folder if (folder / "manifest.json").is_file() else None

    def _built(self, model: str, version: str, files: Path, say: Say) -> str:
        request = BuildRequest(source=str(source_in(files)), name=alias_of(model, 0))
        settings = self._settings
        if self._url not in self._trusted:
            settings = settings.without_pickles()
        try:
            return open_bundle(cached(request, settings, say)).digest
        except UnsafeFormat as error:
            refused = UntrustedRegistry(
                f"{model}:{version} is a pickle, which runs code when it is read, and {self._url} "
                "is not listed as trusted",
                hint="list it in registry.trusted, or log the model as skops or ONNX",
            )
            self._links.link(model, version, None, refused.message)
            raise refused from error
        except ModelwayError as error:
            self._links.link(model, version, None, error.message)
            raise


def source_in(files: Path) -> Path:
    """What is built of a version's files: the folder of an MLflow model, or the one file there."""
    if (files / "MLmodel").is_file():
        return files
    inside = sorted(files.iterdir())
    return inside[0] if len(inside) == 1 else files
