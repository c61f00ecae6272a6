"""The router: which version answers a request, by what an endpoint's versions are for.

A plain ``serve`` makes an endpoint of every model, with a live version and nothing else; roll-outs
give it canaries and shadows. An endpoint is changed by one assignment, so a request meets it as it
was or as it is, and its older versions stay known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelway.domain.errors import EndpointNotFound
from modelway.domain.inference import InferenceRequest
from modelway.endpoints.endpoint import Role, remote_name
from modelway.endpoints.planned import PlannedRemote
from modelway.endpoints.splitting import Key, place, share
from modelway.inference.catalogue import Catalogue, Entry
from modelway.inference.execution import ONNX
from modelway.inference.loading import LoadedModel


@dataclass(frozen=True, slots=True)
class Split:
    """The canaries of an endpoint and their weights; ``key`` and ``salt`` say who meets them."""

    canaries: tuple[Entry, ...]
    weights: tuple[float, ...]
    key: Key
    salt: str


@dataclass(frozen=True, slots=True)
class Routing:
    """The versions of an endpoint by what they are for."""

    live: Entry
    split: Split | None = None
    shadows: tuple[Entry, ...] = ()
    remotes: tuple[PlannedRemote, ...] = ()

    @property
    def active(self) -> tuple[Entry, ...]:
        """Every version that does something for the endpoint, and is opened for it."""
        canaries = () if self.split is None else self.split.canaries
        return (self.live, *canaries, *self.shadows)

    def assign(self) -> None:
        """Say of each version whether it is to run apart.

        What is on trial is: a crash of it is its own error, and ends nobody else. So is the live
        one beside a canary that is: the time that it takes to ask a process is in both or in none.
        """
        canaries = () if self.split is None else self.split.canaries
        for entry in self.active:
            entry.apart = entry is not self.live
        self.live.apart = any(one.bundle.manifest.runtime != ONNX for one in canaries)


class EndpointRouter:
    """Endpoints and their versions; ``default`` is one of the names, or None for the first.

    Where it is empty there is none, until an endpoint is set. Used by one event loop.

    Raises:
        EndpointNotFound: ``default`` is no endpoint's name.
    """

    def __init__(
        self, catalogue: Catalogue, routings: Sequence[Routing] = (), default: str | None = None
    ) -> None:
        self._catalogue = catalogue
        self._routings = {one.live.name: one for one in routings}
        for one in routings:
            one.assign()
        self._splits = {one.live.name: one.split for one in routings if one.split is not None}
        if default is None:
            default = next(iter(self._routings), None)
        elif default and default not in self._routings:
            raise EndpointNotFound(default, list(self._routings))
        self._default = default or None

    def endpoints(self) -> Sequence[str]:
        """The names of all endpoints, in the order they were given."""
        return list(self._routings)

    def live(self, endpoint: str, version: str | None = None) -> Entry:
        """The live entry of an endpoint, or that of a version.

        Raises:
            EndpointNotFound: there is no such endpoint.
            VersionNotFound: it never had this version.
        """
        routing = self._routings.get(endpoint)
        if routing is None:
            raise EndpointNotFound(endpoint[:128], list(self._routings))
        entry = routing.live
        if version is None or version == entry.version:
            return entry
        return self._catalogue.version(endpoint, version)

    def versions(self, endpoint: str) -> Sequence[Entry]:
        """Every version of an endpoint, the newest last. Raises EndpointNotFound."""
        return self._catalogue.versions(endpoint)

    def choose(self, request: InferenceRequest, live: LoadedModel) -> LoadedModel:
        """The model that answers: the one that read the request, or a canary whose turn it is.

        Who asked for a version by name, or was read by one that is not live any more, is answered
        by that one. A canary that is not open is opened, and the live one answers meanwhile.
        """
        split = self._splits.get(request.endpoint)
        if (
            split is None
            or request.is_pinned
            or self._routings[request.endpoint].live.model is not live
        ):
            return live
        number = place(share(split.salt, split.key(request)), split.weights)
        if number is None:
            request.meant_for = live.version
            return live
        entry = split.canaries[number]
        request.meant_for = entry.version
        model = self._catalogue.at_hand(entry)
        if model is None:
            self._catalogue.reopen(entry)
            return live
        return model

    def default(self) -> str | None:
        """The default endpoint."""
        return self._default

    def routing(self, endpoint: str) -> Routing | None:
        """What an endpoint's versions are for, None if there is no such endpoint."""
        return self._routings.get(endpoint)

    def has_shadows(self, endpoint: str) -> bool:
        """Whether anybody sees an endpoint's requests beside who answers them."""
        routing = self._routings.get(endpoint)
        return routing is not None and bool(routing.shadows or routing.remotes)

    def role(self, endpoint: str, version: str) -> Role:
        """What a version does for an endpoint; one that only its name is asked for is live."""
        if remote_name(version) is not None:
            return Role.SHADOW
        routing = self._routings.get(endpoint)
        if routing is None or routing.live.version == version:
            return Role.LIVE
        if routing.split is not None and version in {one.version for one in routing.split.canaries}:
            return Role.CANARY
        return Role.SHADOW if version in {one.version for one in routing.shadows} else Role.LIVE

    def set(self, routing: Routing) -> Routing | None:
        """Have an endpoint be so from the next request on; gives what it was."""
        name = routing.live.name
        before = self._routings.get(name)
        self._routings[name] = routing
        routing.assign()
        if routing.split is None:
            self._splits.pop(name, None)
        else:
            self._splits[name] = routing.split
        if self._default is None:
            self._default = name
        return before

    def remove(self, endpoint: str) -> None:
        """Answer under a name no more; the default is not passed on. Raises EndpointNotFound."""
        self.live(endpoint)
        del self._routings[endpoint]
        self._splits.pop(endpoint, None)
        if self._default == endpoint:
            self._default = None
