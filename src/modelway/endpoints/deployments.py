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
from modelway.endpoints.picking import Picked
from modelway.endpoints.planned import PlannedEndpoint, PlannedVersion
from modelway.endpoints.router import EndpointRouter, Routing, Split
from modelway.endpoints.splitting import check_weights, key_of
from modelway.inference.catalogue import Catalogue, Entry
from modelway.inference.ports import KEPT_VERSIONS, ModelState


class Deployments:
    """The deployments of one process; ``check`` raises what forbids a bundle to answer.

    ``settle`` is called before a version is called otherwise, for who knows versions by name.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        router: EndpointRouter,
        check: Callable[[Entry], None],
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        self._catalogue = catalogue
        self._router = router
        self._check = check
        self._settle = settle

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
            InvalidInput: a canary takes or gives something else than the live version, or a shadow
                takes what that does not.
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
            routing_of(endpoint, entries).assign()
            for entry in entries:
                await self._catalogue.opened(entry)
                # What is on trial no more is moved later: nothing is to wait for that.
                if entry.apart:
                    await self._catalogue.placed(entry)
        except BaseException:
            self._forget(entries)
            self._place(endpoint.name)
            raise
        return called(endpoint, entries)[entries[0]]

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
        routing, versions = routing_of(endpoint, entries), called(endpoint, entries)
        if any(one.version != version for one, version in versions.items()):
            self._settle()
        self._catalogue.called(endpoint.name, versions)
        before = self._router.set(routing)
        for one in () if before is None else before.active:
            if one not in entries:
                self._catalogue.retire(one)
        self._place(endpoint.name)
        for old in self._catalogue.versions(endpoint.name)[:-KEPT_VERSIONS]:
            if old not in entries:
                self._catalogue.forget(old)

    def discard(self, endpoint: PlannedEndpoint) -> None:
        """Forget what was prepared and is not to answer."""
        self._forget(self._found(endpoint) or ())
        self._place(endpoint.name)

    def remove(self, name: str) -> None:
        """Answer under a name no more. Raises EndpointNotFound."""
        self._router.remove(name)
        for entry in self._catalogue.versions(name):
            self._catalogue.forget(entry)

    def _found(self, endpoint: PlannedEndpoint) -> list[Entry] | None:
        """The entries of an endpoint's versions, None unless all are known."""
        known = {one.version: one for one in self._catalogue if one.name == endpoint.name}
        folders = {one.bundle.folder: one for one in known.values()}

        def entry(planned: PlannedVersion) -> Entry | None:
            # Where another model has the same number, the folder says which is meant.
            in_folder, numbered = folders.get(Path(planned.folder)), known.get(planned.version)
            if numbered is None or numbered.bundle.folder == Path(planned.folder):
                return numbered or in_folder
            return in_folder or numbered

        entries = [entry(one) for one in endpoint.active]
        found = [one for one in entries if one is not None]
        return found if len(found) == len(entries) else None

    def _forget(self, entries: Sequence[Entry]) -> None:
        for entry in set(entries):
            routing = self._router.routing(entry.name)
            if (routing is None or entry not in routing.active) and not entry.gone:
                self._catalogue.forget(entry)

    def _place(self, name: str) -> None:
        """Have what answers under a name run where it is to."""
        routing = self._router.routing(name)
        if routing is not None:
            routing.assign()
            for entry in routing.active:
                self._catalogue.place(entry)

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


def called(endpoint: PlannedEndpoint, entries: Sequence[Entry]) -> dict[Entry, str]:
    """What the entries of an endpoint's versions are called, in the order of its active ones.

    Each has its number, or its digest where another model's has that before it: so it is in every
    process, whatever answered there before, and in the trials of ``endpoints.trials``.
    """
    taken: dict[str, Entry] = {}
    found: dict[Entry, str] = {}
    for planned, entry in zip(endpoint.active, entries, strict=True):
        digest = entry.bundle.digest
        version = planned.version or digest
        is_own = taken.setdefault(version, entry) is entry
        found.setdefault(entry, version if is_own else digest)
    return found


def routing_of(endpoint: PlannedEndpoint, entries: Sequence[Entry]) -> Routing:
    """What the entries of an endpoint's versions are for, in the order of its active ones.

    Raises:
        InvalidInput: a canary takes or gives something else than the live version, a shadow takes
            what that does not, the weights leave the live version nothing, or requests cannot be
            split as planned.
    """
    live, others = entries[0], entries[1:]
    n_canaries = len(endpoint.canaries)
    for entry in others[:n_canaries]:
        _check_alike(live, entry)
    for entry in others[n_canaries:]:
        _check_shadow(live, entry)
    split = None
    if n_canaries:
        weights = tuple(one.weight for one in endpoint.canaries)
        check_weights(weights)
        key = key_of(endpoint.split_by, live.signature)
        split = Split(tuple(others[:n_canaries]), weights, key, endpoint.salt)
    return Routing(live, split, tuple(others[n_canaries:]), endpoint.remotes)


def _version(planned: PlannedVersion, bundle: Bundle) -> str:
    """What the version is called. Raises VersionNotFound if its folder has another by now."""
    if planned.version.startswith(_DIGEST) and planned.version != bundle.digest:
        raise VersionNotFound(planned.folder, planned.version, (bundle.digest,))
    return planned.version or bundle.digest


def _check_alike(live: Entry, other: Entry) -> None:
    """Raises InvalidInput where a request of the one cannot be answered by the other.

    A request is read by the live version's signature and its answer is written by it.
    """
    ours, theirs = live.bundle, other.bundle
    found = {
        "inputs": (_inputs(ours.signature), _inputs(theirs.signature)),
        "outputs": (_outputs(ours), _outputs(theirs)),
        "classes": (ours.manifest.classes, theirs.manifest.classes),
    }
    for what, (one, two) in found.items():
        if one != two:
            raise InvalidInput(
                f"version {other.version} has other {what} than the live version "
                f"{live.version} of {live.name}: {two} instead of {one}",
                hint="what changes a signature is promoted, under a name of its own if need be",
            )


def _check_shadow(live: Entry, shadow: Entry) -> None:
    """Raises InvalidInput where a shadow cannot be given what the live version is asked."""
    try:
        Picked(live.bundle.signature, shadow.bundle.signature)
    except InvalidInput as error:
        raise InvalidInput(
            f"version {shadow.version} cannot be a shadow of {live.name}: {error.message}",
            hint=error.hint,
        ) from error


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
