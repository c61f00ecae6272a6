"""What is done about a verdict: a canary ended, or promoted.

The store decides who acts: an endpoint is changed by whoever is first, and only if it still is as
it was judged. So several hosts that come to the same verdict do one thing once.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from modelway.access.auditing import Audited
from modelway.composition.control import Control, now
from modelway.domain.errors import EndpointChanged, EndpointNotFound
from modelway.endpoints.endpoint import Endpoint, Role
from modelway.endpoints.rollouts import of_model
from modelway.endpoints.trials import (
    PROMOTED,
    PROPOSED,
    ROLLED_BACK,
    Candidate,
    Judged,
    Trial,
    Trials,
)
from modelway.endpoints.verdict import Decision, Outcome
from modelway.registry.promotions import Decision as Decided

ACTOR = "modelway"

_log = logging.getLogger("modelway.judging")


def ends(trial: Trial, judged: Judged) -> bool:
    """Whether a canary is ended by itself: its bounds are broken, or the verdict is acted on.

    A shadow answers nobody, so nothing has to be done about it at once.
    """
    if judged.role is not Role.CANARY or judged.verdict.decision is not Decision.ROLL_BACK:
        return False
    broken = any(one.outcome is Outcome.BROKEN for one in judged.verdict.evidence)
    return broken or trial.endpoint.automatic


def promotes(trial: Trial, judged: Judged) -> bool:
    """Whether a canary is promoted by itself: the endpoint follows an alias of the same model."""
    return (
        judged.role is Role.CANARY
        and judged.verdict.decision is Decision.PROMOTE
        and trial.endpoint.automatic
        and of_model(trial.endpoint.live).alias is not None
    )


class Acting:
    """Acts on the endpoints and aliases of a home; blocks."""

    def __init__(self, control: Control) -> None:
        store = control.store
        self._control = control
        self._audited = Audited(store.audit, now)
        self._trials = Trials(store.endpoints, store.ledger, store.links)

    def end(self, trial: Trial, judged: Judged) -> bool:
        """End a canary for what the verdict says; gives whether it was this that ended it.

        Raises:
            StoreUnavailable: the store cannot be reached.
        """
        why = judged.verdict.why
        if not self._ended(trial, judged.reference, why):
            return False
        self._control.store.trials.keep(replace(judged, acted=ROLLED_BACK))
        said = {"endpoint": judged.endpoint, "version": judged.version}
        _log.warning("canary rolled back: %s", why, extra=said)
        return True

    def end_promoted(self, trial: Trial, candidate: Candidate) -> bool:
        """End a canary whose version is live by now; gives whether it was this that ended it."""
        return self._ended(trial, candidate.reference, f"version {candidate.version} is live now")

    def promote(self, trial: Trial, candidate: Candidate, judged: Judged) -> bool:
        """Move the alias that the endpoint follows to a canary's version.

        Where the alias is protected the move is proposed, once. Gives whether anything was done;
        the canary is ended once the version is live.

        Raises:
            RegistryUnavailable: the registry cannot be reached; nothing has changed.
            ModelwayError: the version cannot be promoted; nothing has changed.
        """
        live, trials = of_model(trial.endpoint.live), self._control.store.trials
        if live.alias is None or live.name != candidate.model:
            return False
        protected = live.alias in self._control.protected
        if protected and (self._waits(candidate, live.alias) or not trials.claim(judged, PROPOSED)):
            return False
        why = f"canary of {judged.endpoint}: {judged.verdict.why}"
        detail = {"version": candidate.version, "to": live.alias, "why": why}
        promote = self._control.promoting.promote
        try:
            with self._audited.act(ACTOR, "model.promote", candidate.model, detail):
                promote(candidate.model, candidate.version, live.alias, ACTOR, why)
        except BaseException:
            if protected:
                trials.claim(judged, "")
            raise
        if not protected:
            trials.keep(replace(judged, acted=PROMOTED))
        said = {"endpoint": judged.endpoint, "version": judged.version}
        _log.info("%s: %s", PROPOSED if protected else PROMOTED, why, extra=said)
        return True

    def _ended(self, trial: Trial, reference: str, why: str) -> bool:
        """End a canary of a trial that still goes on as it was judged."""
        name = trial.endpoint.name

        def change(one: Endpoint) -> Endpoint:
            if one != trial.endpoint or trial.key not in {now.key for now in self._trials.now()}:
                raise EndpointChanged(name)
            canaries = tuple(canary for canary in one.canaries if canary.reference != reference)
            return replace(one, canaries=canaries)

        try:
            with self._audited.act(ACTOR, "endpoint.end-canary", name, {"reference": reference}):
                self._control.rollouts.change(name, change, ACTOR, why)
        except (EndpointChanged, EndpointNotFound):
            return False  # somebody was quicker, and what there is now is judged anew
        return True

    def _waits(self, candidate: Candidate, alias: str) -> bool:
        """Whether the same move waits to be approved already."""
        return any(
            one.decision is Decided.OPEN and (one.alias, one.version) == (alias, candidate.version)
            for one in self._control.store.proposals.all(candidate.model)
        )
