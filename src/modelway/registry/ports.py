"""What is asked of a registry, and of the ledger of promotions beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from modelway.registry.models import ModelVersion, RegisteredModel, Run
from modelway.registry.promotions import Decision, Promotion, Proposal


class RegistryReader(Protocol):
    """What exists.

    ``models`` and ``versions`` are complete, however many there are; versions the oldest first.
    ``model`` has the aliases, which ``models`` may lack.
    ``fetch`` writes the files of a version below a folder, which must be empty, and nowhere else.

    Every method raises RegistryUnavailable where the registry cannot be reached, and
    ModelNotFound, VersionNotFound or RunNotFound for what does not exist.
    """

    def models(self) -> Sequence[RegisteredModel]:
        """Every registered model."""
        ...

    def model(self, name: str) -> RegisteredModel:
        """One model."""
        ...

    def versions(self, name: str) -> Sequence[ModelVersion]:
        """Every version of a model."""
        ...

    def version(self, name: str, version: str) -> ModelVersion:
        """One version."""
        ...

    def run(self, run_id: str) -> Run:
        """The run that a version came from."""
        ...

    def fetch(self, version: ModelVersion, folder: Path) -> None:
        """The files of a version."""
        ...


class RegistryWriter(Protocol):
    """Changing what exists; raises as the reader does.

    ``register`` makes the model if there is none, and gives its new version, with its files.
    ``set_alias`` to None removes the alias; whoever writes last wins.
    ``set_tags`` adds tags to a version and replaces those of the same name.
    ``delete`` removes a version and its tags; an alias that points to it goes with it.
    """

    def register(
        self, name: str, folder: Path, run_id: str | None, tags: Mapping[str, str]
    ) -> ModelVersion:
        """A new version with the files of a folder, which is one of an MLflow model."""
        ...

    def set_alias(self, name: str, alias: str, version: str | None) -> None:
        """Point an alias to a version."""
        ...

    def set_tags(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Tag a version."""
        ...

    def delete(self, name: str, version: str) -> None:
        """Remove a version."""
        ...


class Ledger(Protocol):
    """The moves of every alias, added to and never changed.

    ``append`` enters a move whose number is the next; if it is taken it raises PromotionConflict,
    and nothing has changed.
    ``current`` is the latest move of each alias that was ever moved, of one model or of all.
    ``confirm`` notes that the registry's alias shows a move; twice does no harm.
    ``unconfirmed`` are the latest moves that the registry does not show yet.
    """

    def append(self, promotion: Promotion) -> None:
        """Enter a move."""
        ...

    def current(self, model: str | None = None) -> Sequence[Promotion]:
        """The latest move of each alias."""
        ...

    def history(self, model: str, alias: str | None = None) -> Sequence[Promotion]:
        """Every move of a model's aliases, the oldest first."""
        ...

    def confirm(self, promotion: Promotion) -> None:
        """The registry shows this move."""
        ...

    def unconfirmed(self) -> Sequence[Promotion]:
        """The latest moves that the registry is still to show."""
        ...


class Proposals(Protocol):
    """Promotions that wait for somebody's approval.

    ``decide`` gives what became of it: the first decision stands, and raises ProposalDecided for
    every later one. ProposalNotFound where there is no such one.
    """

    def add(self, proposal: Proposal) -> None:
        """Enter a proposal."""
        ...

    def find(self, id: str) -> Proposal:
        """One proposal."""
        ...

    def all(self, model: str | None = None) -> Sequence[Proposal]:
        """Every proposal, the newest first."""
        ...

    def decide(self, id: str, decision: Decision, by: str) -> Proposal:
        """Approve or decline it, or let it expire."""
        ...


class BundleLinks(Protocol):
    """Which bundle was made of which version.

    ``link`` to another digest than before replaces it, and says why a version has none.
    """

    def link(self, model: str, version: str, digest: str | None, reason: str | None) -> None:
        """A version's bundle, or why there is none."""
        ...

    def digest(self, model: str, version: str) -> str | None:
        """The digest of a version's bundle, None if it was not built."""
        ...

    def reason(self, model: str, version: str) -> str | None:
        """Why a version has no bundle, None if it has one or none was tried."""
        ...

    def versions(self, digest: str) -> Sequence[tuple[str, str]]:
        """Every model and version that this bundle was made of."""
        ...
