"""Judging: what the processes of a service have counted, added up, judged, and acted on.

Every second each host asks its processes what they have counted of canaries and shadows, rewrites
its own row in the store, and judges the sums over all hosts. What a verdict asks for is done at the
first one that says so, whatever a later one says; see ``acting`` for who does it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Protocol

import msgspec

from modelway.composition.acting import Acting, ends, promotes
from modelway.composition.control import Control, now
from modelway.composition.label_losses import LabelLosses
from modelway.composition.working_apart import Desk
from modelway.domain.errors import InvalidInput, ModelwayError
from modelway.domain.identifiers import new_prediction_id
from modelway.endpoints.comparison import ArmCounts, Paired
from modelway.endpoints.endpoint import Role
from modelway.endpoints.trials import Arm, ArmSummary, Candidate, Judged, Tally, Trial, Trials
from modelway.endpoints.verdict import judge

_EVERY_S = 1.0
_LABELS_S = 5.0
_AGAIN_S = 30.0
"""A promotion that could not be is tried again after so long: the registry may be away."""

_KEPT = timedelta(hours=1)
"""What was counted in a trial that is over is kept so long: another host may not know it yet."""

_log = logging.getLogger("modelway.judging")


class Counting(Protocol):
    """A service that counts, in one process or many."""

    async def counted(self) -> Sequence[str]:
        """What was counted since this was last asked: a JSON list of tallies of each process."""
        ...


class Judging:
    """Judges the trials of a home's store; used by one event loop."""

    def __init__(self, control: Control) -> None:
        store = control.store
        self._store = store.trials
        self._generation = store.generation
        self._trials = Trials(store.endpoints, store.ledger, store.links)
        self._acting = Acting(control)
        self._losses = LabelLosses(control)
        self._reading = Desk("readings of labels", 1, 0, gives_way=True)
        self._source = f"{socket.gethostname()[:100]} {new_prediction_id()}"
        self._seen = -1
        self._current: Sequence[Trial] = ()
        self._sums: dict[str, dict[tuple[Arm, str], Tally]] = {}
        self._unsaid: set[str] = set()
        self._kept: dict[tuple[str, str], Judged] = {}
        self._condemned: dict[tuple[str, str], Judged] = {}
        self._tried_s: dict[str, float] = {}
        self.promoting: set[asyncio.Task[None]] = set()
        self._troubles: dict[str, str] = {}

    async def follow(self, service: Counting) -> None:
        """Judge what a service counts, until cancelled."""
        reading = asyncio.create_task(self._read_labels())
        try:
            while True:
                await asyncio.sleep(_EVERY_S)
                try:
                    await self.once(service)
                    self._say("canaries cannot be judged now", "")
                except ModelwayError as error:
                    self._say("canaries cannot be judged now", error.message)
                except Exception:  # noqa: BLE001 - whatever it is, the next second is judged
                    _log.exception("canaries could not be judged")
        finally:
            reading.cancel()

    async def once(self, service: Counting) -> None:
        """Ask, add up, judge and act, once.

        Raises:
            StoreUnavailable: the store cannot be reached; what was counted is not lost.
        """
        # Asked before it is looked which trials there are now: it was counted in those of before.
        found = await service.counted() if self._current else ()
        tallies = [one for text in found for one in msgspec.json.decode(text, type=list[Tally])]
        for trial, candidate, judged in await asyncio.to_thread(self._judged, tallies):
            self._promote(trial, candidate, judged)

    def _judged(self, tallies: Sequence[Tally]) -> list[tuple[Trial, Candidate, Judged]]:
        """Judge every candidate and end those that are to be; gives those to be promoted."""
        self._add(tallies)
        self._look()
        promoted = []
        for trial in self._current:
            if trial.key in self._unsaid:
                mine = list(self._sums[trial.key].values())
                self._store.put(trial.key, self._source, mine, now())
                self._unsaid.discard(trial.key)
            said = f"{trial.endpoint.name} cannot be judged now"
            try:
                promoted += self._judge(trial)
                self._say(said, "")
            except InvalidInput as error:
                self._say(said, error.message)
        return promoted

    def _look(self) -> None:
        """Know the trials of now."""
        generation = self._generation.now()
        if generation == self._seen:
            return
        self._current = self._trials.now()
        self._seen = generation
        keys = {one.key for one in self._current}
        self._sums = {key: one for key, one in self._sums.items() if key in keys}
        self._kept = {key: one for key, one in self._kept.items() if key[0] in keys}
        self._condemned = {key: one for key, one in self._condemned.items() if key[0] in keys}
        self._unsaid &= keys
        self._store.prune(sorted(keys), now() - _KEPT)

    def _add(self, tallies: Sequence[Tally]) -> None:
        """Add what was counted to the trials in which requests go as they went then."""
        keys = {(one.endpoint.name, one.routing): one.key for one in self._current}
        for tally in tallies:
            key = keys.get((tally.endpoint, tally.routing))
            if key is not None:
                sums = self._sums.setdefault(key, {})
                place = (tally.arm, tally.version)
                sums[place] = sums[place] + tally if place in sums else tally
                self._unsaid.add(key)

    def _judge(self, trial: Trial) -> list[tuple[Trial, Candidate, Judged]]:
        arms, promoted = self._store.arms(trial.key), []
        for candidate in trial.candidates:
            if (candidate.model, candidate.version) == (trial.live_model, trial.live_version):
                if candidate.role is Role.CANARY and trial.endpoint.automatic:
                    self._acting.end_promoted(trial, candidate)
                continue
            judged = judged_of(trial, candidate, arms)
            place = (trial.key, candidate.reference)
            self._keep(place, judged)
            if ends(trial, judged):
                self._condemned.setdefault(place, judged)
            if place in self._condemned:
                self._acting.end(trial, self._condemned[place])
                break  # whatever it did, this trial is over or not as it was judged
            if promotes(trial, judged):
                promoted.append((trial, candidate, judged))
        return promoted

    def _keep(self, place: tuple[str, str], judged: Judged) -> None:
        """Have a verdict be the latest, where it says or rests on anything else than before."""
        before = self._kept.get(place)
        if before is None or replace(judged, at=before.at) != before:
            self._store.keep(judged)
            self._kept[place] = judged

    def _promote(self, trial: Trial, candidate: Candidate, judged: Judged) -> None:
        """Promote beside what is judged: a registry that is slow keeps no bad canary alive."""
        at = time.monotonic()
        if at - self._tried_s.get(trial.endpoint.name, -_AGAIN_S) < _AGAIN_S:
            return
        self._tried_s[trial.endpoint.name] = at
        task = asyncio.create_task(self._promoted(trial, candidate, judged))
        self.promoting.add(task)
        task.add_done_callback(self.promoting.discard)

    async def _promoted(self, trial: Trial, candidate: Candidate, judged: Judged) -> None:
        try:
            await asyncio.to_thread(self._acting.promote, trial, candidate, judged)
        except ModelwayError as error:
            said = {"endpoint": judged.endpoint, "version": judged.version}
            _log.warning("canary cannot be promoted now: %s", error.message, extra=said)
        except Exception:  # noqa: BLE001 - it is tried again
            _log.exception("a canary could not be promoted")

    async def _read_labels(self) -> None:
        took_s = 0.0
        while True:
            # Many records take long to read; most of the time nobody shall be reading.
            await asyncio.sleep(max(_LABELS_S, 4 * took_s))
            begun_s = time.monotonic()
            try:
                await self._reading.ask(partial(self._losses.bring, self._current))
                self._say("labels cannot be read for canaries", "")
            except ModelwayError as error:
                self._say("labels cannot be read for canaries", error.message)
            except Exception:  # noqa: BLE001 - errors and latency are judged all the same
                _log.exception("labels could not be read for canaries")
            took_s = time.monotonic() - begun_s

    def _say(self, what: str, trouble: str) -> None:
        """Log what cannot be, once; without ``trouble`` it can again."""
        if trouble and self._troubles.get(what) != trouble:
            _log.warning("%s: %s", what, trouble)
        self._troubles[what] = trouble


def judged_of(trial: Trial, candidate: Candidate, arms: Mapping[tuple[Arm, str], Tally]) -> Judged:
    """The verdict on a candidate by the sums of its trial.

    Raises:
        InvalidInput: the sums do not go together.
    """
    live, own = (Arm.LIVE, trial.live_version), (Arm.CANARY, candidate.version)
    if candidate.role is Role.SHADOW:
        live, own = (Arm.BESIDE, candidate.version), (Arm.SHADOW, candidate.version)
    none = Tally(trial.endpoint.name, trial.routing, own[0], candidate.version, ArmCounts())
    theirs, its = arms.get(live, none), arms.get(own, none)
    paired = None
    if candidate.role is Role.SHADOW:
        paired = its.paired or Paired()  # nothing is compared yet
    verdict = judge(theirs.counts, its.counts, paired, trial.endpoint.bounds, candidate.share)
    return Judged(
        trial.endpoint.name,
        candidate.reference,
        candidate.role,
        candidate.version,
        trial.live_version,
        trial.key,
        trial.began,
        now(),
        verdict,
        ArmSummary.of(its.counts),
        ArmSummary.of(theirs.counts),
    )
