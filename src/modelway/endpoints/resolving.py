"""References resolved: which folder an endpoint's versions are in, by ledger and bundle links.

No registry is asked: an alias is what the ledger says it is, so endpoints go on, and come up again,
while the registry is away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from modelway.domain.errors import (
    AliasNotFound,
    InvalidInput,
    ModelwayError,
    SourceNotFound,
    StoreUnavailable,
    Unavailable,
)
from modelway.endpoints.endpoint import Endpoint, remote_name
from modelway.endpoints.planned import (
    PlannedCanary,
    PlannedEndpoint,
    PlannedRemote,
    PlannedVersion,
)
from modelway.endpoints.rollouts import of_model
from modelway.registry.ports import BundleLinks, Ledger

Folder = Callable[[str], Path | None]
"""The folder of the bundle of a digest, brought here if need be; None if it is nowhere."""


class Resolver:
    """Resolves by what the ledger and the links say when it is made; made anew for every look.

    ``remotes`` are the URLs of services of others, by their names.
    """

    def __init__(
        self, ledger: Ledger, links: BundleLinks, folder: Folder, remotes: Mapping[str, str]
    ) -> None:
        self._links = links
        self._urls = remotes
        self._folder = folder
        self._aliases: Mapping[tuple[str, str], str | None] = {
            (one.model, one.alias): one.to_version for one in ledger.current()
        }

    def planned(self, endpoint: Endpoint) -> PlannedEndpoint:
        """The endpoint with a folder for every version.

        It follows its live reference without a canary or a shadow that means nothing which could
        answer: the live version has the canary's share, and ``missing`` says why.

        Raises:
            AliasNotFound: the live reference is an alias that points to nothing.
            Unavailable: the live version has no bundle yet.
            SourceNotFound: the live version's bundle is not where bundles are.
            StoreUnavailable: the store cannot be reached.
        """
        live = self.version(endpoint.live)
        canaries: list[PlannedCanary] = []
        shadows: list[PlannedVersion] = []
        remotes: list[PlannedRemote] = []
        missing: list[str] = []
        for canary in endpoint.canaries:
            try:
                canaries.append(PlannedCanary(self.version(canary.reference), canary.weight))
            except StoreUnavailable:
                raise
            except ModelwayError as error:
                missing.append(f"without the canary {canary.reference}: {error.message}")
        for shadow in endpoint.shadows:
            try:
                if remote_name(shadow) is None:
                    shadows.append(self.version(shadow))
                else:
                    remotes.append(self.remote(shadow))
            except StoreUnavailable:
                raise
            except ModelwayError as error:
                missing.append(f"without the shadow {shadow}: {error.message}")
        return PlannedEndpoint(
            endpoint.name,
            live,
            canaries=tuple(canaries),
            shadows=tuple(shadows),
            remotes=tuple(remotes),
            split_by=endpoint.split_by,
            salt=endpoint.salt or endpoint.name,
            missing=tuple(missing),
        )

    def remote(self, reference: str) -> PlannedRemote:
        """The service that a reference ``remote:NAME`` means. Raises InvalidInput."""
        url = self._urls.get(remote_name(reference) or "")
        if url is None:
            raise InvalidInput(
                f"no setting says where {reference} is",
                hint=f"shadows.remotes names: {', '.join(self._urls) or 'none'}",
            )
        return PlannedRemote(reference, url)

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
        """The version that a reference means. Raises as ``planned`` does for the live one."""
        model, version = self.number(reference)
        digest = self._links.digest(model, version)
        if digest is None:
            reason = self._links.reason(model, version)
            raise Unavailable(
                f"{model}:{version} has no bundle" + (f": {reason}" if reason else " yet"),
                hint=f"modelway model bundle {model}:{version}",
            )
        folder = self._folder(digest)
        if folder is None:
            raise SourceNotFound(
                f"the bundle {digest} of {model}:{version}",
                hint="every host must see the same --bundles",
            )
        return PlannedVersion(str(folder), version, model)
