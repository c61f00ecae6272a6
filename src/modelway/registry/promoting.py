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

from modelway.domain.errors import (
    AliasNotFound,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    PromotionConflict,
    ProposalDecided,
    RegistryUnavailable,
)
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.references import check_alias
from modelway.registry.following import Following
from modelway.registry.path_back import path_back
from modelway.registry.ports import BundleLinks, Ledger, Proposals, RegistryReader, RegistryWriter
from modelway.registry.promotions import Decision, Kind, Promotion, Proposal

EXPIRED_BY = "modelway"
"""Who decides a proposal whose time is over."""


class Promoting:
    """Moves aliases; safe in threads and with several hosts, as the ledger decides.

    ``protected`` gives the aliases that only move once a second person approves, and how long a
    proposal waits for that. ``clock`` gives the time, with its zone.
    """

    def __init__(
        self,
        reader: RegistryReader,
        writer: RegistryWriter,
        ledger: Ledger,
        proposals: Proposals,
        links: BundleLinks,
        protected: Mapping[str, timedelta],
        clock: Callable[[], datetime],
    ) -> None:
        self._reader, self._ledger = reader, ledger
        self._proposals, self._links = proposals, links
        self._following = Following(reader, writer, ledger)
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
        """Point an alias to a version; for a protected alias, propose it.

        Where the alias is there already, the move that brought it there is given and nothing is
        entered. What is given may be unconfirmed still: the registry went away in between.

        Raises:
            InvalidName: no alias may be called so.
            InvalidInput: there is no reason given.
            RegistryUnavailable: the registry cannot be reached; nothing has changed.
            ModelNotFound: there is no such model.
            VersionNotFound: it has no such version.
            Conflict: the version has no bundle yet; bundle it and promote again.
            PromotionConflict: somebody else moved the alias meanwhile; it says who.
        """
        check_alias(alias)
        _check_why(why)
        version = self._bundled(model, version)
        now = self._clock()
        if alias not in self._protected:
            return self._move(
                Promotion(
                    *(model, alias, 1, None, version),
                    *(Kind.PROMOTED, actor, why, now, gate_report),
                )
            )
        if gate_report is not None:
            why = f"{why} (gate report {gate_report})"
        expires_at = now + self._protected[alias]
        proposal = Proposal(new_prediction_id(), model, alias, version, actor, why, now, expires_at)
        self._proposals.add(proposal)
        return proposal

    def approve(self, id: str, actor: str) -> Promotion:
        """Carry out what was proposed; the ledger has who proposed it, and who approved in why.

        Raises:
            ProposalNotFound: there is no such proposal.
            ProposalDecided: somebody decided already, or it has expired.
            Forbidden: who approves is who proposed.
            RegistryUnavailable: the registry cannot be reached; the proposal stays open.
            VersionNotFound: the version has been deleted since; the proposal stays open.
            Conflict: the version has no bundle any more; the proposal stays open.
            PromotionConflict: somebody moved the alias in this moment; propose it again.
        """
        proposal = self._open(id)
        if proposal.actor == actor:
            raise Forbidden(
                f"{actor} proposed it and so may not approve it",
                hint="somebody else with the right to approve has to",
            )
        version = self._bundled(proposal.model, proposal.version)
        self._proposals.decide(id, Decision.APPROVED, actor)
        why = f"{proposal.why} (approved by {actor})"
        model, alias, now = proposal.model, proposal.alias, self._clock()
        return self._move(
            Promotion(model, alias, 1, None, version, Kind.PROMOTED, proposal.actor, why, now)
        )

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
        from, has a bundle, and was not deleted, as far as can be seen.

        Raises:
            InvalidName: no alias may be called so.
            InvalidInput: there is no reason given.
            ModelNotFound: there is no such model.
            AliasNotFound: the alias was never set.
            RegistryUnavailable: nothing is known of the alias, and the registry cannot be asked.
            Conflict: there is nothing to go back to.
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
                entry = Promotion(model, alias, 1, None, version, Kind.ROLLED_BACK, actor, why, now)
                entered = self._enter(entry, latest)
                return entered if unreachable else self._shown(entered)
        raise Conflict(
            f"{model}@{alias} has no earlier version to go back to that is bundled",
            hint=f"promote another version: modelway model promote {model}:VERSION --to {alias}",
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
        found = self._reader.version(model, version)
        if self._links.digest(model, found.version) is None:
            reason = self._links.reason(model, found.version) or "none was built yet"
            raise Conflict(
                f"{model}:{found.version} has no bundle, so nothing can answer with it: {reason}",
                hint="bundle it, then promote it again",
            )
        return found.version

    def _move(self, entry: Promotion) -> Promotion:
        """Enter a promotion as the next move of its alias, and show it."""
        latest = self._following.notice(entry.model, entry.alias, entry.at)
        if latest is not None and latest.to_version == entry.to_version:
            return self._shown(latest)
        return self._shown(self._enter(entry, latest))

    def _enter(self, entry: Promotion, latest: Promotion | None) -> Promotion:
        """Enter a move behind the latest one, as the one with the next number."""
        if latest is not None:
            entry = replace(entry, number=latest.number + 1, from_version=latest.to_version)
        try:
            self._ledger.append(entry)
        except PromotionConflict as error:
            quicker = self._following.latest(entry.model, entry.alias)
            told = (
                f"{quicker.actor} moved it to {quicker.to_version}: {quicker.why}"
                if quicker
                else error.message
            )
            raise PromotionConflict(
                f"{entry.model}@{entry.alias} was moved meanwhile; {told}",
                hint="look at it again: modelway model history",
            ) from error
        return entry

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
                self._reader.version(model, version)
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


def _check_why(why: str) -> None:
    if not why.strip():
        raise InvalidInput("a move needs a reason", hint='give it with --why "..."')
