"""Changes of what answers, made beside the traffic: first prepared, then committed.

Preparing opens every version that an endpoint is to have and warms it up next to those that answer;
whatever is wrong with one is found there and changes nothing. Committing is one assignment, so a
request is answered as before or as after. What does nothing for the endpoint any more is closed
when nobody needs it; it stays known, and asked for by its version it is opened again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from modelway.bundles.store import Bundle, open_bundle
from modelway.domain.errors import InvalidInput, VersionNotFound
from modelway.domain.names import check_name
from modelway.domain.signature import Signature
from modelway.endpoints.planned import PlannedEndpoint, PlannedVersion
from modelway.endpoints.router import EndpointRouter, Routing, Split
from modelway.endpoints.splitting import check_weights, key_of
from modelway.inference.catalogue import Catalogue, Entry
from modelway.inference.ports import KEPT_VERSIONS, ModelState


class Deployments:
    """The deployments of one process; ``check`` raises what forbids a bundle to answer."""

    def __init__(
        self, catalogue: Catalogue, router: EndpointRouter, check: Callable[[Entry], None]
    ) -> None:
        self._catalogue = catalogue
        self._router = router
        self._check = check

    async def states(self) -> list[ModelState]:
        """Every version of every model, and whether it is open."""
        return [self._state(entry) for entry in self._catalogue]

    async def change(self, endpoint: PlannedEndpoint) -> str:
        """Have an endpoint be so; gives the version that is live.

        Raises:
            ModelwayError: as ``prepare``; nothing has changed.
        """
        version = await self.prepare(endpoint)
        await self.commit(endpoint)
        return version

    async def prepare(self, endpoint: PlannedEndpoint) -> str:
        """Open every version of an endpoint beside what answers; gives the one that will be live.

        Raises:
            InvalidName: the name may not name an endpoint.
            InvalidInput: a canary or a shadow does not take what the live version does, or a canary
                gives something else.
            VersionNotFound: a folder holds another bundle than planned.
            ModelwayError: a bundle cannot be opened or warmed up; nothing has changed.
        """
        check_name(endpoint.name)
        entries: list[Entry] = []
        try:
            for planned in endpoint.active:
                entry = await known(self._catalogue, endpoint.name, planned)
                entries.append(entry)
                self._check(entry)
            routing_of(endpoint, entries)
            for entry in entries:
                await self._catalogue.opened(entry)
        except BaseException:
            self._forget(entries)
            raise
        return entries[0].version

    async def commit(self, endpoint: PlannedEndpoint) -> None:
        """Have a prepared endpoint answer from the next request on; opens first what is not known.

        Raises:
            ModelwayError: a version is not known here and cannot be opened; nothing has changed.
        """
        entries = self._found(endpoint)
        if entries is None:
            await self.prepare(endpoint)
            entries = self._found(endpoint)
        if entries is None:
            raise VersionNotFound(endpoint.name, endpoint.live.version, ())
        before = self._router.set(routing_of(endpoint, entries))
        for one in () if before is None else before.active:
            if one not in entries:
                self._catalogue.retire(one)
        for old in self._catalogue.versions(endpoint.name)[:-KEPT_VERSIONS]:
            if old not in entries:
                self._catalogue.forget(old)

    def discard(self, endpoint: PlannedEndpoint) -> None:
        """Forget what was prepared and is not to answer."""
        self._forget(self._found(endpoint) or ())

    def remove(self, name: str) -> None:
        """Answer under a name no more. Raises EndpointNotFound."""
        self._router.remove(name)
        for entry in self._catalogue.versions(name):
            self._catalogue.forget(entry)

    def _found(self, endpoint: PlannedEndpoint) -> list[Entry] | None:
        """The entries of an endpoint's versions, None unless all are known."""
        known = {one.version: one for one in self._catalogue if one.name == endpoint.name}
        folders = {one.bundle.folder: one for one in known.values()}
        entries = [
            known.get(one.version) if one.version else folders.get(Path(one.folder))
            for one in endpoint.active
        ]
        found = [one for one in entries if one is not None]
        return found if len(found) == len(entries) else None

    def _forget(self, entries: Sequence[Entry]) -> None:
        for entry in set(entries):
            routing = self._router.routing(entry.name)
            if (routing is None or entry not in routing.active) and not entry.gone:
                self._catalogue.forget(entry)

    def _state(self, entry: Entry) -> ModelState:
        routing = self._router.routing(entry.name)
        return ModelState(
            name=entry.name,
            version=entry.version,
            live=routing is not None and routing.live is entry,
            state=entry.state,
            reason=None if entry.fault is None else entry.fault.message,
            held_bytes=entry.held_bytes,
        )


async def known(catalogue: Catalogue, name: str, planned: PlannedVersion) -> Entry:
    """The entry of a planned version, which is known from now on.

    Raises:
        VersionNotFound: its folder has another bundle by now.
        ModelwayError: the bundle cannot be read.
    """
    bundle = await asyncio.to_thread(open_bundle, Path(planned.folder))
    entry = catalogue.add(name, bundle, _version(planned, bundle))
    entry.registered = planned.model
    return entry


def routing_of(endpoint: PlannedEndpoint, entries: Sequence[Entry]) -> Routing:
    """What the entries of an endpoint's versions are for, in the order of its active ones.

    Raises:
        InvalidInput: a canary or a shadow does not take what the live version does, a canary gives
            something else, the weights leave the live version nothing, or requests cannot be split
            as planned.
    """
    live, others = entries[0], entries[1:]
    n_canaries = len(endpoint.canaries)
    for entry in others:
        _check_alike(live, entry, ("inputs",))
    for entry in others[:n_canaries]:
        _check_alike(live, entry, ("outputs", "classes"))
    split = None
    if n_canaries:
        weights = tuple(one.weight for one in endpoint.canaries)
        check_weights(weights)
        key = key_of(endpoint.split_by, live.signature)
        split = Split(tuple(others[:n_canaries]), weights, key, endpoint.salt)
    return Routing(live, split, tuple(others[n_canaries:]))


def _version(planned: PlannedVersion, bundle: Bundle) -> str:
    """What the version is called. Raises VersionNotFound if its folder has another by now."""
    if planned.version.startswith(_DIGEST) and planned.version != bundle.digest:
        raise VersionNotFound(planned.folder, planned.version, (bundle.digest,))
    return planned.version or bundle.digest


def _check_alike(live: Entry, other: Entry, whats: Sequence[str]) -> None:
    """Raises InvalidInput where a request of the one cannot be answered by the other.

    A request is read by the live version's signature and its answer is written by it.
    """
    ours, theirs = live.bundle, other.bundle
    found = {
        "inputs": (_inputs(ours.signature), _inputs(theirs.signature)),
        "outputs": (_outputs(ours), _outputs(theirs)),
        "classes": (ours.manifest.classes, theirs.manifest.classes),
    }
    for what in whats:
        one, two = found[what]
        if one != two:
            raise InvalidInput(
                f"version {other.version} has other {what} than the live version "
                f"{live.version} of {live.name}: {two} instead of {one}",
                hint="what changes a signature is promoted, under a name of its own if need be",
            )


def _inputs(signature: Signature) -> list[str]:
    if signature.is_numeric:  # all of them are float64 in a request
        return [one.alias for one in signature.columns]
    if signature.is_tabular:
        return [f"{one.alias} ({one.datatype})" for one in signature.columns]
    return [f"{one.name} ({one.datatype} {list(one.shape)})" for one in signature.tensors]


def _outputs(bundle: Bundle) -> list[str]:
    found = [f"{one.name} ({one.datatype})" for one in bundle.signature.outputs]
    return [*found, "probabilities"] if bundle.manifest.probabilities else found


_DIGEST = "sha256:"
