"""The recorder of one process: its plan, who answered by its router, and its own numbers."""

from __future__ import annotations

import threading
from pathlib import Path

from modelway.composition.home import Home
from modelway.composition.plan import RecordPlan
from modelway.endpoints.endpoint import Role, remote_name
from modelway.endpoints.router import EndpointRouter
from modelway.records.identity import Identify, Identity
from modelway.records.policy import EndpointPolicy, RecordingPolicy
from modelway.records.recorder import Recorder, RecordingBounds
from modelway.settings import RecordSettings
from modelway.telemetry import metrics as table
from modelway.telemetry.instruments import Metrics


class RecordMetrics:
    """Counts what a recorder and its thread do; the loop brings it to the metrics (``look``)."""

    def __init__(self, metrics: Metrics) -> None:
        self._recorded = metrics.counter(table.RECORDED)
        self._shed = metrics.counter(table.RECORDS_SHED)
        self._failed = {
            reason: metrics.counter(table.RECORD_FAILURES, reason=reason)
            for reason in ("disk", "internal")
        }
        self._lock = threading.Lock()
        self._done = dict.fromkeys(("recorded", "shed", *self._failed), 0)
        self._told = dict(self._done)

    def recorded(self, n: int) -> None:
        """The records of so many requests were written."""
        self._add("recorded", n)

    def shed(self, n: int) -> None:
        """The records of so many requests found no room."""
        self._add("shed", n)

    def failed(self, reason: str) -> None:
        """Records could not be written."""
        self._add(reason, 1)

    def _add(self, name: str, n: int) -> None:
        with self._lock:
            self._done[name] += n

    def look(self) -> None:
        """Bring what was counted to the metrics; on the event loop."""
        counters = {"recorded": self._recorded, "shed": self._shed, **self._failed}
        for name, counter in counters.items():
            done = self._done[name]
            if done > self._told[name]:
                counter.add(done - self._told[name])
                self._told[name] = done


RECORDS_KEY = "records.key"
"""The file of the key that hashes columns, in the home."""


def record_plan(home: Home, settings: RecordSettings) -> RecordPlan | None:
    """What is recorded in a home, None for nothing."""
    if not settings.enabled:
        return None
    return RecordPlan(
        str(home.records),
        settings.sampling,
        settings.dropped_columns,
        settings.hashed_columns,
        home.secret(RECORDS_KEY).hex(),
        settings.flush_s,
    )


def recorder_of(
    plan: RecordPlan, slot: str, router: EndpointRouter, meter: RecordMetrics
) -> Recorder:
    """The recorder of a process; it is to be started. Raises BadValue for a plan that cannot be."""
    default = EndpointPolicy(plan.sampling, frozenset(plan.dropped), frozenset(plan.hashed))
    policy = RecordingPolicy(default, key=bytes.fromhex(plan.key))
    bounds = RecordingBounds(flush_s=plan.flush_s)
    return Recorder(Path(plan.root), slot, identify_by(router), meter, policy, bounds)


def identify_by(router: EndpointRouter) -> Identify:
    """Who answered, as a router knows it; what no version answered has no more than its model."""

    def identity(endpoint: str, version: str | None, is_shadow: bool) -> Identity | None:
        if version is not None and remote_name(version) is not None:
            return Identity(version=version, role=Role.SHADOW)
        entry = router.live(endpoint, version)
        if version is None:
            return Identity(entry.registered or endpoint)
        # What a caller is given is no shadow's answer, also where a shadow was asked for by name.
        is_canary = not is_shadow and router.role(endpoint, version) is Role.CANARY
        role = Role.SHADOW if is_shadow else Role.CANARY if is_canary else Role.LIVE
        manifest = entry.bundle.manifest
        return Identity(
            entry.registered or endpoint,
            version,
            entry.bundle.digest,
            role,
            manifest.classes,
            manifest.batch_invariant,
        )

    return identity
