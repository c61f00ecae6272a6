"""Counting arms: what the versions of endpoints on trial did, in one process.

Counted is what the split gave a version, and no other request: who asks for a version by name, or
is answered by the live one because the canary was not open, says nothing about either. A shadow is
compared on the requests that it was given, with what the live version took for the same ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from modelway.domain.errors import DeadlineExceeded, ModelFailed, ModelwayError
from modelway.domain.inference import InferenceRequest
from modelway.endpoints.comparison import LONGEST_S, SHORTEST_S, ArmCounts, bin_of
from modelway.endpoints.router import Routing
from modelway.endpoints.sequential import Moments
from modelway.endpoints.trials import Arm, Tally, routing_name
from modelway.inference.ports import Answered

_FAULTS = (ModelFailed, DeadlineExceeded)
"""What a version is to blame for."""

_TOGETHER = 4096
"""So many latencies are held before they are summed up."""

_Key = tuple[Arm, str]


class ArmCounting:
    """Counts endpoints that have a canary or a shadow; an observer, used by one event loop."""

    def __init__(self) -> None:
        self._trials: dict[str, _Trial] = {}
        self._ended: list[Tally] = []

    def follow(self, endpoint: str, routing: Routing | None) -> None:
        """Count an endpoint as it is routed from now on; None where it is no more."""
        before = self._trials.pop(endpoint, None)
        if routing is None or (
            routing.split is None and not routing.shadows and not routing.remotes
        ):
            # Nobody asks any more; what is left must not be told when a like trial begins.
            self._ended = [one for one in self._ended if one.endpoint != endpoint]
            return
        if before is not None:
            self._ended += before.taken()
        self._trials[endpoint] = _Trial(endpoint, routing)

    def answered(self, answered: Sequence[Answered]) -> None:
        """Requests were answered, all by one version of one endpoint."""
        trial = self._trials.get(answered[0][0].endpoint)
        if trial is not None:
            trial.answered(answered)

    def failed(
        self,
        request: InferenceRequest,
        error: ModelwayError,
        seconds: float,
        version: str | None = None,
    ) -> None:
        """A request could not be answered; it counts where a version is to blame."""
        trial = self._trials.get(request.endpoint)
        if trial is not None and version is not None and isinstance(error, _FAULTS):
            trial.failed(request, version)

    def taken(self) -> Sequence[Tally]:
        """What was counted since this was last asked."""
        found, self._ended = self._ended, []
        for trial in self._trials.values():
            found += trial.taken()
        return found


class _Trial:
    """The sums of an endpoint that is routed in one way."""

    def __init__(self, endpoint: str, routing: Routing) -> None:
        self._endpoint = endpoint
        self._split = split = routing.split
        self._live = routing.live.version
        canaries = () if split is None else split.canaries
        self._answering = {self._live, *(one.version for one in canaries)}
        self._shadows = {one.version for one in routing.shadows} - self._answering
        self._shadows |= {one.reference for one in routing.remotes}
        weights = () if split is None else split.weights
        entries = zip((routing.live, *canaries), (1.0 - sum(weights), *weights), strict=True)
        self._routing = routing_name([(e.version, e.bundle.digest, w) for e, w in entries])
        self._seconds: defaultdict[_Key, list[float]] = defaultdict(list)
        self._sums: defaultdict[_Key, ArmCounts] = defaultdict(ArmCounts)

    def answered(self, answered: Sequence[Answered]) -> None:
        version = answered[0][1].version
        if version in self._shadows:
            for request, _, seconds in answered:
                self._beside(version, request, seconds)
            return
        arm = Arm.LIVE if version == self._live else Arm.CANARY
        if self._split is not None and version in self._answering:
            for request, _, seconds in answered:
                if request.meant_for == version:
                    self._took((arm, version), seconds)

    def failed(self, request: InferenceRequest, version: str) -> None:
        if version in self._shadows:
            self._beside(version, request, None)
        elif self._split is not None and request.meant_for == version in self._answering:
            arm = Arm.LIVE if version == self._live else Arm.CANARY
            self._sums[arm, version].failed()

    def taken(self) -> list[Tally]:
        for key in list(self._seconds):
            self._sum_up(key)
        found = [
            Tally(self._endpoint, self._routing, arm, version, counts)
            for (arm, version), counts in self._sums.items()
        ]
        self._sums.clear()
        return found

    def _beside(self, version: str, request: InferenceRequest, seconds: float | None) -> None:
        """A shadow has answered, or failed; it counts beside the live version of this routing."""
        if request.beside is None or request.beside[0] != self._live:
            return
        self._took((Arm.BESIDE, version), request.beside[1])
        if seconds is None:
            self._sums[Arm.SHADOW, version].failed()
        else:
            self._took((Arm.SHADOW, version), seconds)

    def _took(self, key: _Key, seconds: float) -> None:
        held = self._seconds[key]
        held.append(seconds)
        if len(held) >= _TOGETHER:
            self._sum_up(key)

    def _sum_up(self, key: _Key) -> None:
        self._sums[key] += counts_of(self._seconds.pop(key))


def counts_of(seconds: Sequence[float]) -> ArmCounts:
    """The sums of requests that were answered after so many seconds each."""
    logs = np.log(np.clip(np.asarray(seconds, np.float64), SHORTEST_S, LONGEST_S))
    mean = float(logs.mean()) if len(logs) else 0.0
    places, counts = np.unique(bin_of(logs), return_counts=True)
    return ArmCounts(
        requests=len(logs),
        latency=Moments(len(logs), mean, float(((logs - mean) ** 2).sum())),
        bins=dict(zip(places.tolist(), counts.tolist(), strict=True)),
    )
