"""The rules by which an alias moves: promotion, rolling back, approval, and what others moved.

A move is entered in the ledger before the registry's alias is touched: the ledger decides who was
first, the registry follows. While it cannot be reached a move stands unconfirmed, and
``reconcile`` brings the alias there once it is back.

A roll-back goes at once, also of a protected alias, and needs no registry.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from modelway.domain.errors import (
    AliasNotFound,
    Conflict,
    Forbidden,
    InvalidInput,
    ModelwayError,
    NotFound,
    PromotionConflict,
    ProposalDecided,
    RegistryUnavailable,
)
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.references import check_alias
from modelway.registry.following import Following
from modelway.registry.path_back import path_back
from modelway.registry.ports import BundleLinks, Bundling, Ledger, Proposals, Registry
from modelway.registry.promotions import Decision, Kind, Promotion, Proposal

EXPIRED_BY = "modelway"
"""Who decides a proposal whose time is over."""


class Promoting:
    """Moves aliases; safe in threads and with several hosts, as the ledger decides.

    ``bundle`` has a version's bundle be here before an alias is pointed to it.
    ``protected`` gives the aliases that only move once a second person approves, and how long a
    proposal waits for that. ``clock`` gives the time, with its zone.
    """

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        proposals: Proposals,
        links: BundleLinks,
        bundle: Bundling,
        protected: Mapping[str, timedelta],
        clock: Callable[[], datetime],
    ) -> None:
        self._registry, self._ledger = registry, ledger
        self._proposals, self._links, self._bundle = proposals, links, bundle
        self._following = Following(registry, ledger, protected)
        self._protected = dict(protected)
        self._clock = clock

    def promote(
        self,
        model: str,
        version: str,
        alias: str,
        actor: str,
        why: str,
        gate_report: str | None = None,
    ) -> Promotion | Proposal:
        """Point an alias to a version, bundled first; for a protected alias, propose it.

        Where the alias is there already, the move that brought it there is given and nothing is
        entered. What is given may be unconfirmed still: the registry went away in between.

        Raises:
            InvalidName: no alias may be called so.
            InvalidInput: there is no reason given.
            RegistryUnavailable: the registry cannot be reached; nothing has changed.
            ModelNotFound: there is no such model.
            VersionNotFound: it has no such version.
            Conflict: the version is archived.
            ModelwayError: it has no bundle here, and none can be made.
            PromotionConflict: somebody else moved the alias meanwhile; it says who.
        """
        check_alias(alias)
        _check_why(why)
        version = self._bundled(model, version)
        now = self._clock()
        latest = self._following.notice(model, alias, now)
        if latest is not None and latest.to_version == version:
            return self._shown(latest)
        if alias not in self._protected:
            entry = Promotion(
                *(model, alias, 1, None, version),
                *(Kind.PROMOTED, actor, why, now, gate_report),
            )
            return self._shown(self._enter(entry, latest, self._ledger.append))
        if gate_report is not None:
            why = f"{why} (gate report {gate_report})"
        expires_at = now + self._protected[alias]
        proposal = Proposal(
            *(new_prediction_id(), model, alias, version, actor, why, now, expires_at),
            from_version=None if latest is None else latest.to_version,
        )
        self._proposals.add(proposal)
        return proposal

    def approve(self, id: str, actor: str) -> Promotion:
        """Carry out what was proposed; the ledger has who proposed it, and who approved in why.

        The proposal is decided with the move, in one transaction: whatever dies, it is both or
        neither.

        Raises:
            ProposalNotFound: there is no such proposal.
            ProposalDecided: somebody decided already, or it has expired.
            Forbidden: who approves is who proposed.
            RegistryUnavailable: the registry cannot be reached; the proposal stays open.
            VersionNotFound: the version has been deleted since; the proposal stays open.
            Conflict: the version has been archived since; the proposal stays open.
            ModelwayError: it has no bundle here, and none can be made; the proposal stays open.
            PromotionConflict: somebody has moved the alias since it was proposed; says who.
        """
        proposal = self._open(id)
        if proposal.actor == actor:
            raise Forbidden(
                f"{actor} proposed it and so may not approve it",
                hint="somebody else has to, with a key of their own: modelway model approve "
                f"{proposal.model} {id} --server URL --key KEY",
            )
        version = self._bundled(proposal.model, proposal.version)
        model, alias, now = proposal.model, proposal.alias, self._clock()
        latest = self._following.notice(model, alias, now)
        if proposal.from_version != (None if latest is None else latest.to_version):
            raise self._conflict(model, alias, "since this was proposed", "propose it again")
        why = f"{proposal.why} (approved by {actor})"
        entry = Promotion(model, alias, 1, None, version, Kind.PROMOTED, proposal.actor, why, now)
        append = partial(self._proposals.approve, id, actor)
        return self._shown(self._enter(entry, latest, append))

    def decline(self, id: str, actor: str) -> Proposal:
        """Decide against what was proposed; who proposed it may, too.

        Raises:
            ProposalNotFound: there is no such proposal.
            ProposalDecided: somebody decided already, or it has expired.
        """
        self._open(id)
        return self._proposals.decide(id, Decision.DECLINED, actor)

    def rollback(self, model: str, alias: str, actor: str, why: str) -> Promotion:
        """Point an alias back to the version it had before, whether or not the registry answers.

        That is the last version on the way to the present one that was not itself rolled back
        from, has a bundle, and was neither archived nor deleted, as far as can be seen.

        Raises:
            InvalidName: no alias may be called so.
            InvalidInput: there is no reason given.
            ModelNotFound: there is no such model.
            AliasNotFound: the alias was never set.
            RegistryUnavailable: nothing is known of the alias, and the registry cannot be asked.
            Conflict: there is nothing to go back to, or its bundle is gone and cannot be made.
            PromotionConflict: somebody else moved the alias meanwhile; it says who.
        """
        check_alias(alias)
        _check_why(why)
        now, unreachable = self._clock(), None
        latest = self._following.latest(model, alias)
        try:
            latest = self._following.notice(model, alias, now)
        except RegistryUnavailable as error:
            unreachable = error
        history = self._ledger.history(model, alias)
        if not history:
            known = [one.alias for one in self._ledger.current(model)]
            raise unreachable or AliasNotFound(model, alias, known)
        for version in path_back(history):
            if self._can_go_back(model, version, reachable=unreachable is None):
                self._bundle_to_go_back(model, alias, version)
                entry = Promotion(model, alias, 1, None, version, Kind.ROLLED_BACK, actor, why, now)
                entered = self._enter(entry, latest, self._ledger.append)
                return entered if unreachable else self._shown(entered)
        raise Conflict(
            f"{model}@{alias} has no earlier version to go back to that is bundled",
            hint=_elsewhere(model, alias),
        )

    def reconcile(self, now: datetime) -> Sequence[Promotion]:
        """Bring ledger and registry together; gives the moves it confirmed or entered.

        Moves that the registry does not show yet are shown. What was moved in the registry itself
        is entered as noticed: at once, or ``SETTLING`` after the last move where it could be that
        one still on its way. Open proposals whose time is over expire. Doing it again, or on
        several hosts at once, changes nothing more.

        Raises:
            RegistryUnavailable: the registry cannot be reached.
        """
        for proposal in self._proposals.all():
            if proposal.decision is Decision.OPEN and proposal.expires_at <= now:
                self._expire(proposal)
        return self._following.follow(now)

    def _bundled(self, model: str, version: str) -> str:
        """The number of a version that exists and has a bundle."""
        found = self._registry.version(model, version)
        found.check_not_archived()
        self._bundle(model, found.version)
        # Bundling takes its time, in which somebody may archive or delete the version.
        self._registry.version(model, found.version).check_not_archived()
        return found.version

    def _bundle_to_go_back(self, model: str, alias: str, version: str) -> None:
        try:
            self._bundle(model, version)
        except ModelwayError as error:
            raise Conflict(
                f"{model}@{alias} cannot go back to version {version}: its bundle is not here any "
                f"more, and cannot be made: {error.message}",
                hint=_elsewhere(model, alias),
            ) from error

    def _enter(
        self,
        entry: Promotion,
        latest: Promotion | None,
        append: Callable[[Promotion], object],
    ) -> Promotion:
        """Enter a move behind the latest one, as the one with the next number."""
        if latest is not None:
            entry = replace(entry, number=latest.number + 1, from_version=latest.to_version)
        try:
            append(entry)
        except PromotionConflict as error:
            hint = "look at it again: modelway model history"
            raise self._conflict(entry.model, entry.alias, "meanwhile", hint) from error
        return entry

    def _conflict(self, model: str, alias: str, since: str, hint: str) -> PromotionConflict:
        """Somebody else moved an alias, and who."""
        moves = [m for m in self._ledger.history(model, alias) if m.kind is not Kind.REFUSED]
        told = [f"; {m.actor} moved it to {m.to_version}: {m.why}" for m in moves[-1:]]
        return PromotionConflict(f"{model}@{alias} was moved {since}{''.join(told)}", hint=hint)

    def _shown(self, entry: Promotion) -> Promotion:
        """The entry, shown in the registry if that answers; ``reconcile`` does it else."""
        with contextlib.suppress(RegistryUnavailable):
            self._following.show(entry, self._clock())
        return entry

    def _can_go_back(self, model: str, version: str, *, reachable: bool) -> bool:
        if self._links.digest(model, version) is None:
            return False
        try:
            if reachable:
                return self._registry.version(model, version).archived_by is None
        except NotFound:
            return False
        except RegistryUnavailable:
            return True
        return True

    def _open(self, id: str) -> Proposal:
        """A proposal that may still be decided."""
        proposal = self._proposals.find(id)
        if proposal.decision is Decision.OPEN and proposal.expires_at <= self._clock():
            proposal = self._expire(proposal)
        if proposal.decision is not Decision.OPEN:
            by = f" by {proposal.decided_by}" if proposal.decided_by else ""
            raise ProposalDecided(
                f"the promotion of {proposal.model}:{proposal.version} to {proposal.alias} is "
                f"{proposal.decision}{by} already",
                hint="propose it again",
            )
        return proposal

    def _expire(self, proposal: Proposal) -> Proposal:
        try:
            return self._proposals.decide(proposal.id, Decision.EXPIRED, EXPIRED_BY)
        except ProposalDecided:
            return self._proposals.find(proposal.id)


def _elsewhere(model: str, alias: str) -> str:
    return f"promote another version: modelway model promote {model}:VERSION --to {alias}"


def _check_why(why: str) -> None:
    if not why.strip():
        raise InvalidInput("a move needs a reason", hint='give it with --why "..."')
