"""Counters, gauges and histograms: what code holds to change the numbers of its slot.

An instrument is asked for once, where a model is loaded or a route is made, and then costs a load
and a store in memory. It is used on the event loop's thread only (``slots.py`` says why); work on
another thread brings its figures back and they are added there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import isnan, nan
from threading import Lock

from modelway.telemetry.metrics import Kind, Metric
from modelway.telemetry.slots import Slot, SlotReading


class Counter:
    """A number that only grows."""

    __slots__ = ("_cells",)

    def __init__(self, cells: memoryview[float]) -> None:
        self._cells = cells

    def add(self, amount: float = 1.0) -> None:
        """Let it grow; ``amount`` is not negative."""
        self._cells[0] += amount


class Gauge:
    """A number that is what it is now, or has no value."""

    __slots__ = ("_cells",)

    def __init__(self, cells: memoryview[float]) -> None:
        self._cells = cells

    def set(self, value: float) -> None:
        """Give it a value."""
        self._cells[0] = value

    def add(self, amount: float) -> None:
        """Change it by ``amount``; without a value it was 0."""
        value = self._cells[0]
        self._cells[0] = amount if isnan(value) else value + amount

    def clear(self) -> None:
        """Take its value away: what it spoke of is gone."""
        self._cells[0] = nan


class Histogram:
    """How often values fell into each bucket, and their sum."""

    __slots__ = ("_bounds", "_cells")

    def __init__(self, cells: memoryview[float], bounds: tuple[float, ...]) -> None:
        self._cells = cells
        self._bounds = bounds

    def observe(self, value: float) -> None:
        """Count a value, which is a number and not negative, in the bucket that ends with it."""
        cells = self._cells
        cells[bisect_left(self._bounds, value)] += 1.0
        cells[-1] += value

    def observe_all(self, values: Sequence[float]) -> None:
        """The same for several values, of which there is at least one."""
        cells, bounds = self._cells, self._bounds
        low = bisect_left(bounds, min(values))
        if low == bisect_left(bounds, max(values)):  # as the values of one turn mostly are
            cells[low] += len(values)
        else:
            for value in values:
                cells[bisect_left(bounds, value)] += 1.0
        cells[-1] += sum(values)


class Metrics:
    """The instruments of one slot.

    Each method gives the same numbers for the same metric and labels. Label sets beyond the room
    there is share the numbers of ``other``; no call fails for it.

    Raises:
        TypeError: the metric is of another kind, or has other labels: a fault of the caller.
    """

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self._finding = Lock()  # models are opened on threads, and each has instruments

    def counter(self, metric: Metric, /, **labels: str) -> Counter:
        """The counter of a metric with these labels."""
        return Counter(self._cells("counter", metric, labels))

    def gauge(self, metric: Metric, /, **labels: str) -> Gauge:
        """The gauge of a metric with these labels; it has no value before it is set."""
        return Gauge(self._cells("gauge", metric, labels))

    def histogram(self, metric: Metric, /, **labels: str) -> Histogram:
        """The histogram of a metric with these labels."""
        return Histogram(self._cells("histogram", metric, labels), metric.buckets)

    def read(self) -> SlotReading:
        """The numbers of this slot now."""
        return self.slot.read()

    def _cells(self, kind: Kind, metric: Metric, labels: dict[str, str]) -> memoryview[float]:
        if metric.kind != kind:
            raise TypeError(f"{metric.name} is a {metric.kind}, not a {kind}")
        try:
            values = tuple([str(labels[name]) for name in metric.labels])
        except KeyError:
            values = ()
        if len(values) != len(labels) or len(values) != len(metric.labels):
            raise TypeError(f"{metric.name} has the labels {metric.labels}, not {tuple(labels)}")
        with self._finding:
            return self.slot.cells(metric, values)
