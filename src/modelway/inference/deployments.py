"""Changes of what answers, made beside the traffic: first prepared, then committed.

Preparing opens a bundle and warms it up next to the one that answers; whatever is wrong with it is
found there and changes nothing. Committing is one assignment, so a request is answered by the one
or the other. The one that answered before is closed when nobody needs it any more; it stays known,
and asked for by its version it is opened again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from modelway.bundles.store import open_bundle
from modelway.domain.names import check_name
from modelway.inference.catalogue import Catalogue, Entry
from modelway.inference.implicit import ImplicitRouter
from modelway.inference.ports import KEPT_VERSIONS, ModelState


class Deployments:
    """The deployments of one process; ``check`` raises what forbids a bundle to answer."""

    def __init__(
        self, catalogue: Catalogue, router: ImplicitRouter, check: Callable[[Entry], None]
    ) -> None:
        self._catalogue = catalogue
        self._router = router
        self._check = check

    async def load(self, name: str, folder: Path) -> str:
        """Have the bundle in ``folder`` answer under a name; gives its version.

        Raises:
            InvalidName: the name may not name an endpoint.
            ModelwayError: the bundle cannot be opened or warmed up; nothing has changed.
        """
        version = await self.prepare(name, folder)
        self.commit(name, version)
        return version

    async def unload(self, name: str) -> None:
        """Answer under a name no more. Raises EndpointNotFound."""
        self.remove(name)

    async def states(self) -> list[ModelState]:
        """Every version of every model, and whether it is open."""
        return [self._state(entry) for entry in self._catalogue]

    async def prepare(self, name: str, folder: Path) -> str:
        """Open the bundle in ``folder`` beside the one that answers; gives its version.

        Raises:
            InvalidName: the name may not name an endpoint.
            ModelwayError: the bundle cannot be opened or warmed up; nothing has changed.
        """
        bundle = await asyncio.to_thread(open_bundle, folder)
        entry = self._catalogue.add(check_name(name), bundle)
        try:
            self._check(entry)
            await self._catalogue.opened(entry)
        except BaseException:
            self.discard(name, entry.version)
            raise
        return entry.version

    def commit(self, name: str, version: str) -> None:
        """Have a prepared version answer from the next request on.

        Raises:
            EndpointNotFound, VersionNotFound: it was not prepared.
        """
        entry = self._catalogue.version(name, version)
        before = self._router.promote(entry)
        if before is not None and before is not entry:
            self._catalogue.retire(before)
        for old in self._catalogue.versions(name)[:-KEPT_VERSIONS]:
            if old is not entry:
                self._catalogue.forget(old)

    async def follow(self, name: str, version: str, folder: Path) -> None:
        """Commit a version that all others have prepared, opened in ``folder`` if it is not here.

        Raises:
            VersionNotFound: the bundle in ``folder`` is another by now.
            ModelwayError: it cannot be opened; nothing has changed.
        """
        if version not in {one.version for one in self._catalogue if one.name == name}:
            await self.prepare(name, folder)
        self.commit(name, version)

    def discard(self, name: str, version: str) -> None:
        """Forget a version that was prepared and is not to answer."""
        if not self._is_live(name, version):
            self._catalogue.forget(self._catalogue.version(name, version))

    def remove(self, name: str) -> None:
        """Answer under a name no more. Raises EndpointNotFound."""
        self._router.remove(name)
        for entry in self._catalogue.versions(name):
            self._catalogue.forget(entry)

    def _is_live(self, name: str, version: str) -> bool:
        return name in self._router.endpoints() and self._router.live(name).version == version

    def _state(self, entry: Entry) -> ModelState:
        return ModelState(
            name=entry.name,
            version=entry.version,
            live=self._is_live(entry.name, entry.version),
            state=entry.state,
            reason=None if entry.fault is None else entry.fault.message,
            held_bytes=entry.held_bytes,
        )
