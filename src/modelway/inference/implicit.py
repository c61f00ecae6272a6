"""The router of a plain ``serve``: an endpoint is a model's name, one of its versions is live."""

from __future__ import annotations

from collections.abc import Sequence

from modelway.domain.errors import EndpointNotFound
from modelway.domain.inference import InferenceRequest
from modelway.inference.catalogue import Catalogue, Entry
from modelway.inference.loading import LoadedModel


class ImplicitRouter:
    """Endpoints named like their models; ``default`` is one of the names, or None for the first.

    Where it is empty there is none, until something is promoted.

    Raises:
        EndpointNotFound: ``default`` is no model's name.
    """

    def __init__(
        self, catalogue: Catalogue, live: Sequence[Entry], default: str | None = None
    ) -> None:
        self._catalogue = catalogue
        self._live = {entry.name: entry for entry in live}
        if default is None:
            default = next(iter(self._live), None)
        elif default and default not in self._live:
            raise EndpointNotFound(default, list(self._live))
        self._default = default or None

    def endpoints(self) -> Sequence[str]:
        """The names of all endpoints, in the order they were given."""
        return list(self._live)

    def live(self, endpoint: str, version: str | None = None) -> Entry:
        """The live entry of an endpoint, or that of a version.

        Raises:
            EndpointNotFound: there is no such endpoint.
            VersionNotFound: it never had this version.
        """
        entry = self._live.get(endpoint)
        if entry is None:
            raise EndpointNotFound(endpoint[:128], list(self._live))
        if version is None or version == entry.version:
            return entry
        return self._catalogue.version(endpoint, version)

    def versions(self, endpoint: str) -> Sequence[Entry]:
        """Every version of an endpoint, the newest last. Raises EndpointNotFound."""
        return self._catalogue.versions(endpoint)

    def choose(self, request: InferenceRequest, live: LoadedModel) -> LoadedModel:
        """The model by whose signature the request was read."""
        return live

    def default(self) -> str | None:
        """The default endpoint."""
        return self._default

    def promote(self, entry: Entry) -> Entry | None:
        """Make an entry live, from the next request on; gives the one that was."""
        before = self._live.get(entry.name)
        self._live[entry.name] = entry
        if self._default is None:
            self._default = entry.name
        return before

    def remove(self, endpoint: str) -> None:
        """Answer under a name no more; the default is not passed on. Raises EndpointNotFound."""
        self.live(endpoint)
        del self._live[endpoint]
        if self._default == endpoint:
            self._default = None
