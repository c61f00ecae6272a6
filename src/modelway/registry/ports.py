"""What is asked of a registry, and of the ledger of promotions beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from modelway.domain.references import RunReference
from modelway.registry.models import ModelVersion, RegisteredModel, Run
from modelway.registry.promotions import Decision, Promotion, Proposal


class RegistryReader(Protocol):
    """What exists.

    ``models`` and ``versions`` are complete, however many there are; versions the oldest first.
    ``model`` has the aliases, which ``models`` may lack.
    ``registered_from`` are the versions whose files are those that a run has logged at a path.
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

    def registered_from(self, reference: RunReference) -> Sequence[ModelVersion]:
        """The versions of any model that were registered from what a run has logged."""
        ...

    def fetch(self, version: ModelVersion, folder: Path) -> None:
        """The files of a version."""
        ...


class RegistryWriter(Protocol):
    """Changing what exists; raises as the reader does.

    ``register`` makes the model if there is none, and gives its new version, with its files.
    ``set_alias`` to None removes the alias; whoever writes last wins.
    ``set_tags`` adds tags to a version and replaces those of the same name; to None removes one.
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

    def set_tags(self, name: str, version: str, tags: Mapping[str, str | None]) -> None:
        """Tag a version."""
        ...

    def delete(self, name: str, version: str) -> None:
        """Remove a version."""
        ...


class Registry(RegistryReader, RegistryWriter, Protocol):
    """A registry that is read and changed."""


class Ledger(Protocol):
    """The moves of every alias, added to and never changed.

    ``append`` enters a move whose number is the next; if it is taken it raises PromotionConflict,
    and nothing has changed. A promotion or roll-back to a withdrawn version raises Conflict, and
    nothing has changed; what others have moved is entered all the same.
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
    ``approve`` decides it and enters its move in the ledger, both or neither, whatever dies; it
    raises as ``decide`` and as the ledger's ``append`` do, and then nothing has changed.
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

    def approve(self, id: str, by: str, move: Promotion) -> Proposal:
        """Approve it, by entering its move."""
        ...

    def decide(self, id: str, decision: Decision, by: str) -> Proposal:
        """Decline it, or let it expire."""
        ...


class Bundling(Protocol):
    """Has the bundle of a version be here: built first, where it was never built or is gone.

    Raises a ModelwayError that says why it cannot be; where it is here no registry is asked.
    """

    def __call__(self, model: str, version: str) -> object:
        """Once this returns, the version can answer."""
        ...


class BundleLinks(Protocol):
    """Which bundle was made of which version.

    ``link`` to another digest than before replaces it, and says why a version has none.
    ``withdraw`` has a version answer no more: it has no bundle, and to link it raises Conflict,
    until ``restore``. Where the ledger has an alias at it that raises Conflict. Of one that
    withdraws a version and one that promotes it at once, exactly one succeeds.
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

    def withdraw(self, model: str, version: str, why: str) -> None:
        """A version may not answer any more."""
        ...

    def restore(self, model: str, version: str) -> None:
        """A version may answer again, once it is linked."""
        ...

    def versions(self, digest: str) -> Sequence[tuple[str, str]]:
        """Every model and version that this bundle was made of."""
        ...
