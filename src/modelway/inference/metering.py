"""The data plane in numbers: what was asked, how long it took, what is open.

One object counts the answers of the data plane, is the meter of its catalogue, and gives each
model the watch over its batches. Its instruments are found once a version, and then cost what an
addition does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from modelway.domain.errors import EndpointNotFound, ModelwayError
from modelway.telemetry import metrics as table
from modelway.telemetry.instruments import Counter, Gauge, Histogram, Metrics
from modelway.telemetry.machine import resident_bytes
from modelway.telemetry.metrics import short_version

if TYPE_CHECKING:
    from modelway.inference.catalogue import Catalogue

OK = "ok"


class BatchWatch:
    """The batches of one version, in numbers."""

    def __init__(self, metrics: Metrics, name: str, version: str) -> None:
        labels = {"endpoint": name, "version": short_version(version)}
        self._queue_s = metrics.histogram(table.QUEUE_SECONDS, **labels)
        self._rows = metrics.histogram(table.BATCH_ROWS, **labels)
        self._requests = metrics.histogram(table.BATCH_REQUESTS, **labels)
        self._busy_s = metrics.counter(table.RUNNER_BUSY_SECONDS, **labels)

    def queued(self, seconds: float) -> None:
        """A request waited so long for its batch."""
        self._queue_s.observe(seconds)

    def batch(self, rows: int, requests: int, seconds: float) -> None:
        """A model was given these rows at once, of so many requests, and took so long."""
        self._rows.observe(rows)
        self._requests.observe(requests)
        self._busy_s.add(seconds)


class InferenceMetrics:
    """Counts what the data plane does; used by one event loop."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._answered: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        self._failed: dict[tuple[str, str], Counter] = {}
        self._open = metrics.gauge(table.MODELS_LOADED)
        self._open.set(0)

    def answered(
        self, endpoint: str, version: str, rows: Sequence[int], seconds: Sequence[float]
    ) -> None:
        """Requests were answered by one version, each in its time."""
        found = self._answered.get((endpoint, version))
        if found is None:
            found = self._of_answers(endpoint, version)
        count, duration = found
        count.add(len(seconds))
        duration.observe_all(seconds)

    def failed(self, endpoint: str, error: ModelwayError, seconds: float) -> None:
        """A request could not be answered."""
        # A name that no endpoint has is the caller's choice, and no label.
        endpoint = "" if isinstance(error, EndpointNotFound) else endpoint
        key = (endpoint, error.code)
        count = self._failed.get(key)
        if count is None:
            count = self._metrics.counter(
                table.INFERENCE_REQUESTS, endpoint=endpoint, version="", code=error.code
            )
            self._failed[key] = count
        count.add()

    def watch(self, name: str, version: str) -> BatchWatch:
        """The watch over the batches of a version."""
        return BatchWatch(self._metrics, name, version)

    def shadowed(self, endpoint: str, requests: int) -> None:
        """So many requests were given to a shadow."""
        self._metrics.counter(table.SHADOW_REQUESTS, endpoint=endpoint).add(requests)

    def shadow_shed(self, endpoint: str, requests: int) -> None:
        """So many requests found no room, or no shadow that was open."""
        self._metrics.counter(table.SHADOW_SHED, endpoint=endpoint).add(requests)

    def resident_bytes(self) -> int:
        """What this process holds in memory now; 0 where nobody knows."""
        return resident_bytes() or 0

    def loaded(self, name: str, version: str, seconds: float, held_bytes: int) -> None:
        """A model was opened."""
        self._metrics.counter(table.MODEL_LOADS, endpoint=name).add()
        self._metrics.histogram(table.MODEL_LOAD_SECONDS, endpoint=name).observe(seconds)
        self._held(name, version).set(held_bytes)
        self._open.add(1)

    def load_failed(self, name: str, code: str) -> None:
        """A model could not be opened."""
        self._metrics.counter(table.MODEL_LOAD_FAILURES, endpoint=name, code=code).add()

    def unloaded(self, name: str, version: str) -> None:
        """A model was closed."""
        self._metrics.counter(table.MODEL_UNLOADS, endpoint=name).add()
        self._clear(name, version)
        self._open.add(-1)
        self._answered.pop((name, version), None)

    def renamed(self, name: str, before: Collection[str], now: Mapping[str, int]) -> None:
        """Open versions of a model are called otherwise ``now``, and hold so many bytes each."""
        for version in before:
            self._clear(name, version)
        for version, held_bytes in now.items():
            self._held(name, version).set(held_bytes)

    def observer_failed(self, observer: str) -> None:
        """An observer of this kind raised."""
        self._metrics.counter(table.OBSERVER_FAILURES, observer=observer).add()

    def look(self, catalogue: Catalogue) -> None:
        """Write down how much waits for each open model, and what runs it; every now and then."""
        for entry in catalogue:
            if entry.model is not None:
                labels = {"endpoint": entry.name, "version": short_version(entry.version)}
                execution = entry.model.execution
                self._metrics.gauge(table.QUEUE_DEPTH, **labels).set(execution.waiting)
                self._metrics.gauge(table.RUNNERS, **labels).set(execution.runners)

    def _clear(self, name: str, version: str) -> None:
        labels = {"endpoint": name, "version": short_version(version)}
        for gauge in (table.MODEL_MEMORY_BYTES, table.QUEUE_DEPTH, table.RUNNERS):
            self._metrics.gauge(gauge, **labels).clear()

    def _held(self, name: str, version: str) -> Gauge:
        return self._metrics.gauge(
            table.MODEL_MEMORY_BYTES, endpoint=name, version=short_version(version)
        )

    def _of_answers(self, endpoint: str, version: str) -> tuple[Counter, Histogram]:
        labels = {"endpoint": endpoint, "version": short_version(version)}
        found = (
            self._metrics.counter(table.INFERENCE_REQUESTS, **labels, code=OK),
            self._metrics.histogram(table.INFERENCE_SECONDS, **labels),
        )
        self._answered[endpoint, version] = found
        return found
