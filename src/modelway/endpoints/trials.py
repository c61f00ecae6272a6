"""Trials: a canary or a shadow beside the live version, from when they began to answer together.

What a trial is follows from the store alone, so every host names it alike: the run of revisions
over which an endpoint's versions and weights stayed as they are, and the moves that brought the
aliases it follows to where they are. Where any of these changes another trial begins, and counts
begin anew, also where it all comes back to what it once was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from modelway.endpoints.comparison import ArmCounts, Paired
from modelway.endpoints.endpoint import Endpoint, Revision, Role, remote_name
from modelway.endpoints.ports import EndpointStore
from modelway.endpoints.rollouts import of_model
from modelway.endpoints.verdict import Verdict
from modelway.registry.ports import BundleLinks, Ledger
from modelway.registry.promotions import Promotion

ROLLED_BACK, PROMOTED, PROPOSED = "rolled back", "promoted", "proposed"
"""What is done about a verdict; proposed is a promotion that somebody has to approve."""

_DIGITS = 32


class Arm(StrEnum):
    """Which requests are counted: ``BESIDE`` are those that the live version answered and a shadow
    was given too, under the shadow's version.
    """

    LIVE = "live"
    CANARY = "canary"
    SHADOW = "shadow"
    BESIDE = "beside"


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted of one version in one arm, while requests were routed as ``routing`` says.

    ``paired`` is what a shadow answered beside the live version, where it is known.
    """

    endpoint: str
    routing: str
    arm: Arm
    version: str
    counts: ArmCounts
    paired: Paired | None = None

    def __add__(self, other: Tally) -> Tally:
        """Both together, of one arm.

        Raises:
            InvalidInput: their losses are of different kinds.
        """
        paired = self.paired
        if other.paired is not None:
            paired = other.paired if paired is None else paired + other.paired
        counts = self.counts + other.counts
        return Tally(self.endpoint, self.routing, self.arm, self.version, counts, paired)


Arms = Mapping[tuple[Arm, str], Tally]
"""The sums of a trial, by arm and version."""


def routing_name(versions: Sequence[tuple[str, str, float]]) -> str:
    """What a way of routing is called: of versions, their digests and weights, the live one first.

    A process that answers knows no revisions; by this name it says what it has counted.
    """
    raw = msgspec.json.encode(
        [(version, digest, repr(weight)) for version, digest, weight in versions]
    )
    return hashlib.sha256(raw).hexdigest()[:_DIGITS]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that is judged against the live one.

    ``share`` is its share of the requests that it and the live version have, 0.5 for a shadow. A
    remote is of no model.
    """

    reference: str
    role: Role
    model: str
    version: str
    share: float


@dataclass(frozen=True, slots=True)
class Trial:
    """The candidates of an endpoint; ``key`` names the trial, ``routing`` how requests go in it."""

    key: str
    routing: str
    began: datetime
    endpoint: Endpoint
    live_model: str
    live_version: str
    live_digest: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """What an arm did, in a few numbers; seconds are None where nothing was answered."""

    requests: int
    errors: int
    median_s: float | None
    p99_s: float | None
    labels: int

    @staticmethod
    def of(counts: ArmCounts) -> ArmSummary:
        """The summary of sums."""
        median, p99 = counts.quantile_s(0.5), counts.quantile_s(0.99)
        known = bool(counts.bins)
        return ArmSummary(
            counts.requests,
            counts.errors,
            median if known else None,
            p99 if known else None,
            counts.labels,
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """The latest verdict on a candidate, and what it rests on.

    ``acted`` is what was done about it, empty for nothing.
    """

    endpoint: str
    reference: str
    role: Role
    version: str
    live_version: str
    trial: str
    began: datetime
    at: datetime
    verdict: Verdict
    candidate: ArmSummary
    live: ArmSummary
    acted: str = ""


class TrialStore(Protocol):
    """What was counted in trials, and what was concluded.

    ``put`` rewrites what one source has counted of a trial so far, so nothing is counted twice.
    ``arms`` are the sums over all sources.
    ``prune`` forgets what was counted in other trials than ``keys`` and last before a time.
    ``keep`` has a verdict be the latest. What was done in a trial stays noted in it, and a verdict
    that ended a canary or promoted it stays the latest of its trial.
    ``claim`` notes that something is done about a verdict; of all who do it at once one is told so.
    ``labels`` is a number that grows whenever labels come.
    """

    def put(self, trial: str, source: str, tallies: Sequence[Tally], at: datetime) -> None:
        """Rewrite what a source has counted."""
        ...

    def arms(self, trial: str) -> Arms:
        """The sums over all sources."""
        ...

    def prune(self, keys: Sequence[str], before: datetime) -> int:
        """Forget other trials; gives how many rows there were."""
        ...

    def keep(self, judged: Judged) -> None:
        """Have a verdict be the latest."""
        ...

    def claim(self, judged: Judged, acted: str) -> bool:
        """Note what is done; gives whether nobody had noted anything."""
        ...

    def judged(self, endpoint: str) -> Sequence[Judged]:
        """The latest verdict on each reference, by reference."""
        ...

    def labels(self) -> int:
        """A number that grows with labels."""
        ...


class Trials:
    """The trials of a store; a version without a bundle is in none, and keeps no other from one."""

    def __init__(self, endpoints: EndpointStore, ledger: Ledger, links: BundleLinks) -> None:
        self._endpoints = endpoints
        self._ledger = ledger
        self._links = links

    def now(self) -> Sequence[Trial]:
        """Every trial of now. Raises StoreUnavailable."""
        found = [one for one in self._endpoints.current() if _on_trial(one.endpoint)]
        if not found:
            return ()
        moves = {(one.model, one.alias): one for one in self._ledger.current()}
        meanings = _Meanings(self._links, self._ledger, moves)
        trials = [self._trial(one, meanings) for one in found]
        return [one for one in trials if one is not None]

    def _trial(self, revision: Revision, meanings: _Meanings) -> Trial | None:
        endpoint = revision.endpoint
        live = None if endpoint is None else meanings.of(endpoint.live)
        if endpoint is None or live is None:
            return None
        asked = [(one, meanings.of(one.reference)) for one in endpoint.canaries]
        canaries = [(one, meaning) for one, meaning in asked if meaning is not None]
        remotes = [one for one in endpoint.shadows if remote_name(one) is not None]
        shadows = [(one, meanings.of(one)) for one in endpoint.shadows if one not in remotes]
        rest = 1.0 - sum(one.weight for one, _ in canaries)
        taken = {live.version: live.digest}
        routed, moves, candidates = [(live.version, live.digest, rest)], [live.move], []
        for canary, meaning in canaries:
            version = meaning.called(taken)
            routed.append((version, meaning.digest, canary.weight))
            moves.append(meaning.move)
            share = canary.weight / (canary.weight + rest)
            candidates.append(
                Candidate(canary.reference, Role.CANARY, meaning.model, version, share)
            )
        for reference, its in shadows:
            if its is not None:
                version = its.called(taken)
                candidates.append(Candidate(reference, Role.SHADOW, its.model, version, 0.5))
        candidates += [Candidate(one, Role.SHADOW, "", one, 0.5) for one in remotes]
        if not candidates:
            return None
        routing, first = routing_name(routed), self._first(revision)
        raw = msgspec.json.encode([endpoint.name, first.number, routing, moves])
        times = [first.at, live.at, *(meaning.at for _, meaning in canaries)]
        return Trial(
            hashlib.sha256(raw).hexdigest()[:_DIGITS],
            routing,
            max(one for one in times if one is not None),
            endpoint,
            live.model,
            live.version,
            live.digest,
            tuple(candidates),
        )

    def _first(self, revision: Revision) -> Revision:
        """The revision since which requests have been routed as they are now."""
        first = revision
        for earlier in reversed(self._endpoints.history(revision.name)):
            if earlier.number > revision.number:
                continue
            if earlier.endpoint is None or _routed(earlier.endpoint) != _routed(revision.endpoint):
                break
            first = earlier
        return first


@dataclass(frozen=True, slots=True)
class _Meaning:
    """The version that a reference means; ``move`` is the number of the one that brought its alias
    there, 0 of none.
    """

    model: str
    version: str
    digest: str
    move: int
    at: datetime | None

    def called(self, taken: dict[str, str]) -> str:
        """What processes that answer call it: its number, or its digest where another has that.

        ``taken`` are the digests behind the numbers of those before it, and then behind its own.
        """
        is_own = taken.setdefault(self.version, self.digest) == self.digest
        return self.version if is_own else self.digest


class _Meanings:
    """What references mean by the moves of aliases and the links of bundles."""

    def __init__(
        self, links: BundleLinks, ledger: Ledger, moves: Mapping[tuple[str, str], Promotion]
    ) -> None:
        self._links = links
        self._ledger = ledger
        self._moves = moves

    def of(self, reference: str) -> _Meaning | None:
        """The version, None where there is none or it has no bundle."""
        named = of_model(reference)
        number, at, version = 0, None, named.version
        if version is None:
            move = self._moves.get((named.name, named.alias or ""))
            if move is None or move.to_version is None:
                return None
            version, began = move.to_version, self._brought_there(move)
            number, at = began.number, began.at
        digest = self._links.digest(named.name, version)
        return None if digest is None else _Meaning(named.name, version, digest, number, at)

    def _brought_there(self, latest: Promotion) -> Promotion:
        """The move since which an alias is where it is; one that was refused changed nothing."""
        if latest.from_version != latest.to_version:
            return latest
        history = self._ledger.history(latest.model, latest.alias)
        changes = [one for one in history if one.from_version != one.to_version]
        return changes[-1] if changes else latest


def _on_trial(endpoint: Endpoint | None) -> bool:
    return endpoint is not None and bool(endpoint.canaries or endpoint.shadows)


def _routed(endpoint: Endpoint | None) -> object:
    """What of an endpoint decides who answers a request."""
    if endpoint is None:
        return None
    return endpoint.live, endpoint.canaries, endpoint.split_by, endpoint.salt
