"""References resolved: which folder an endpoint's versions are in, by ledger and bundle links.

No registry is asked: an alias is what the ledger says it is, so endpoints go on, and come up again,
while the registry is away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from modelway.domain.errors import AliasNotFound, SourceNotFound, Unavailable
from modelway.endpoints.endpoint import Endpoint
from modelway.endpoints.planned import PlannedCanary, PlannedEndpoint, PlannedVersion
from modelway.endpoints.rollouts import of_model
from modelway.registry.ports import BundleLinks, Ledger

Folder = Callable[[str], Path | None]
"""The folder of the bundle of a digest, brought here if need be; None if it is nowhere."""


class Resolver:
    """Resolves by what the ledger and the links say when it is made; made anew for every look."""

    def __init__(self, ledger: Ledger, links: BundleLinks, folder: Folder) -> None:
        self._links = links
        self._folder = folder
        self._aliases: Mapping[tuple[str, str], str | None] = {
            (one.model, one.alias): one.to_version for one in ledger.current()
        }

    def planned(self, endpoint: Endpoint) -> PlannedEndpoint:
        """The endpoint with a folder for every version.

        Raises:
            AliasNotFound: an alias points to nothing.
            Unavailable: a version has no bundle yet.
            SourceNotFound: a bundle is not where bundles are.
        """
        return PlannedEndpoint(
            endpoint.name,
            self.version(endpoint.live),
            canaries=tuple(
                PlannedCanary(self.version(one.reference), one.weight) for one in endpoint.canaries
            ),
            shadows=tuple(self.version(one) for one in endpoint.shadows),
            split_by=endpoint.split_by,
            salt=endpoint.salt or endpoint.name,
        )

    def number(self, reference: str) -> tuple[str, str]:
        """The model and the version's number that a reference means. Raises AliasNotFound."""
        found = of_model(reference)
        if found.version is not None:
            return found.name, found.version
        alias = found.alias or ""
        version = self._aliases.get((found.name, alias))
        if version is None:
            known = [a for (model, a), v in self._aliases.items() if model == found.name and v]
            raise AliasNotFound(found.name, alias, known)
        return found.name, version

    def version(self, reference: str) -> PlannedVersion:
        """The version that a reference means. Raises as ``planned``."""
        model, version = self.number(reference)
        digest = self._links.digest(model, version)
        if digest is None:
            raise Unavailable(
                f"{model}:{version} has no bundle yet",
                hint=f"modelway model bundle {model}:{version}",
            )
        folder = self._folder(digest)
        if folder is None:
            raise SourceNotFound(
                f"the bundle {digest} of {model}:{version}",
                hint="every host must see the same --bundles",
            )
        return PlannedVersion(str(folder), version, model)
