"""A ledger, proposals and links that live in the memory of one test, with all that their ports say.

They are safe in threads, so that tests may race.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from modelway.domain.errors import Conflict, PromotionConflict, ProposalDecided, ProposalNotFound
from modelway.registry.promotions import Decision, Kind, Promotion, Proposal


class MemoryLedger:
    """The moves in the order they were entered; ``entered`` is called after each.

    ``withdrawn`` says of versions why they may not answer any more.
    """

    def __init__(self) -> None:
        self.entered: Callable[[], object] = lambda: None
        self.withdrawn: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()
        self._moves: list[Promotion] = []
        self._confirmed: set[tuple[str, str, int]] = set()

    def append(self, promotion: Promotion) -> None:
        """Enter a move whose number is the next.

        Raises:
            PromotionConflict: the number is not the next.
            Conflict: the version is withdrawn.
        """
        with self._lock:
            history = self._of(promotion.model, promotion.alias)
            if promotion.number != len(history) + 1:
                raise PromotionConflict(f"number {promotion.number} is taken")
            if promotion.kind in (Kind.PROMOTED, Kind.ROLLED_BACK):
                self.check_not_withdrawn(promotion.model, promotion.to_version)
            self._moves.append(promotion)
        self.entered()

    def current(self, model: str | None = None) -> Sequence[Promotion]:
        """The latest move of each alias."""
        with self._lock:
            return self._latest(model)

    def history(self, model: str, alias: str | None = None) -> Sequence[Promotion]:
        """Every move of a model's aliases, the oldest first."""
        with self._lock:
            return self._of(model, alias)

    def confirm(self, promotion: Promotion) -> None:
        """The registry shows this move."""
        with self._lock:
            self._confirmed.add(_key(promotion))

    def unconfirmed(self) -> Sequence[Promotion]:
        """The latest moves that the registry is still to show."""
        with self._lock:
            return [one for one in self._latest(None) if _key(one) not in self._confirmed]

    def withdraw(self, model: str, version: str, why: str) -> None:
        """A version may answer no more.

        Raises:
            Conflict: an alias is at it.
        """
        with self._lock:
            if any(one.to_version == version for one in self._latest(model)):
                raise Conflict(f"{model}:{version} is in use")
            self.withdrawn[model, version] = why

    def check_not_withdrawn(self, model: str, version: str | None) -> None:
        """Raises Conflict where it may answer no more."""
        why = self.withdrawn.get((model, version or ""))
        if why is not None:
            raise Conflict(f"{model}:{version} may not answer: {why}")

    def _of(self, model: str, alias: str | None) -> list[Promotion]:
        return [one for one in self._moves if one.model == model and alias in (None, one.alias)]

    def _latest(self, model: str | None) -> list[Promotion]:
        latest = {(one.model, one.alias): one for one in self._moves}
        return [one for one in latest.values() if model in (None, one.model)]


class MemoryProposals:
    """The proposals by their ids, and the ledger that their moves are entered in."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._found: dict[str, Proposal] = {}

    def add(self, proposal: Proposal) -> None:
        """Enter a proposal."""
        with self._lock:
            self._found[proposal.id] = proposal

    def find(self, id: str) -> Proposal:
        """One proposal.

        Raises:
            ProposalNotFound: there is no such one.
        """
        with self._lock:
            if id not in self._found:
                raise ProposalNotFound(id)
            return self._found[id]

    def all(self, model: str | None = None) -> Sequence[Proposal]:
        """Every proposal, the newest first."""
        with self._lock:
            found = [one for one in self._found.values() if model in (None, one.model)]
        return sorted(found, key=lambda one: one.at, reverse=True)

    def approve(self, id: str, by: str, move: Promotion) -> Proposal:
        """Enter its move, and decide it."""
        proposal = self.find(id)
        if proposal.decision is not Decision.OPEN:
            raise ProposalDecided(f"{id} is {proposal.decision} already")
        self._ledger.append(move)
        return self.decide(id, Decision.APPROVED, by)

    def decide(self, id: str, decision: Decision, by: str) -> Proposal:
        """The first decision stands.

        Raises:
            ProposalNotFound: there is no such one.
            ProposalDecided: somebody decided already.
        """
        proposal = self.find(id)
        with self._lock:
            proposal = self._found[id]
            if proposal.decision is not Decision.OPEN:
                raise ProposalDecided(f"{id} is {proposal.decision} already")
            decided = replace(
                proposal, decision=decision, decided_by=by, decided_at=datetime.now(UTC)
            )
            self._found[id] = decided
            return decided


class MemoryLinks:
    """The digests by model and version, and the ledger that knows what is withdrawn."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger
        self._digests: dict[tuple[str, str], str | None] = {}
        self._reasons: dict[tuple[str, str], str | None] = {}

    def link(self, model: str, version: str, digest: str | None, reason: str | None) -> None:
        """A version's bundle, or why there is none.

        Raises:
            Conflict: it is withdrawn.
        """
        self._ledger.check_not_withdrawn(model, version)
        self._digests[model, version] = digest
        self._reasons[model, version] = reason

    def digest(self, model: str, version: str) -> str | None:
        """The digest of a version's bundle."""
        return self._digests.get((model, version))

    def reason(self, model: str, version: str) -> str | None:
        """Why a version has no bundle."""
        return self._reasons.get((model, version))

    def withdraw(self, model: str, version: str, why: str) -> None:
        """A version may not answer any more."""
        self._ledger.withdraw(model, version, why)
        self._digests[model, version], self._reasons[model, version] = None, why

    def restore(self, model: str, version: str) -> None:
        """A version may answer again."""
        if self._ledger.withdrawn.pop((model, version), None) is not None:
            self._reasons[model, version] = None

    def versions(self, digest: str) -> Sequence[tuple[str, str]]:
        """Every model and version that this bundle was made of."""
        return [key for key, one in self._digests.items() if one == digest]


def _key(promotion: Promotion) -> tuple[str, str, int]:
    return promotion.model, promotion.alias, promotion.number
