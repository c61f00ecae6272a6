"""Counters, gauges and histograms change the numbers of their slot and nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from modelway.telemetry.instruments import Metrics
from modelway.telemetry.metrics import INFERENCE_SECONDS, MODELS_LOADED, QUEUE_DEPTH, REQUESTS
from modelway.telemetry.slots import Slot


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(Slot.in_memory())


def test_a_counter_grows(metrics: Metrics) -> None:
    counter = metrics.counter(REQUESTS, protocol="native", code="200")
    counter.add()
    counter.add(2.5)
    metrics.counter(REQUESTS, code="200", protocol="native").add()
    (series,) = metrics.read().series
    assert series == (REQUESTS, ("native", "200"), [4.5])


def test_a_gauge_is_what_it_was_set_to_until_it_is_cleared(metrics: Metrics) -> None:
    gauge = metrics.gauge(QUEUE_DEPTH, endpoint="iris", version="7")
    assert math.isnan(metrics.read().series[0].cells[0])
    gauge.add(2.0)
    gauge.add(-1.0)
    assert metrics.read().series[0].cells == [1.0]
    gauge.set(7.0)
    assert metrics.read().series[0].cells == [7.0]
    gauge.clear()
    assert math.isnan(metrics.read().series[0].cells[0])


def test_a_value_falls_into_the_bucket_whose_bound_it_does_not_pass(metrics: Metrics) -> None:
    histogram = metrics.histogram(INFERENCE_SECONDS, endpoint="iris", version="7")
    bounds = INFERENCE_SECONDS.buckets
    for value in (0.0, bounds[0], math.nextafter(bounds[0], 1.0), bounds[-1], 11.0):
        histogram.observe(value)
    (series,) = metrics.read().series
    counts = series.cells[:-1]
    assert len(counts) == len(bounds) + 1
    assert (counts[0], counts[1], counts[-2], counts[-1]) == (2.0, 1.0, 1.0, 1.0)
    assert sum(counts) == 5.0
    assert series.cells[-1] == pytest.approx(2 * bounds[0] + bounds[-1] + 11.0)


@pytest.mark.parametrize("values", [(0.001, 0.0012), (0.001, 5.0, 0.2), (11.0,)])
def test_several_values_are_counted_as_one_by_one(values: Sequence[float]) -> None:
    both = [Metrics(Slot.in_memory()) for _ in range(2)]
    single, several = (one.histogram(INFERENCE_SECONDS, endpoint="i", version="7") for one in both)
    for value in values:
        single.observe(value)
    several.observe_all(values)
    (expected,), (found,) = (one.read().series for one in both)
    assert found.cells[:-1] == expected.cells[:-1]
    assert found.cells[-1] == pytest.approx(expected.cells[-1])


def test_the_wrong_kind_or_labels_are_a_fault_of_the_caller(metrics: Metrics) -> None:
    with pytest.raises(TypeError, match="is a counter, not a gauge"):
        metrics.gauge(REQUESTS, protocol="native", code="200")
    with pytest.raises(TypeError, match="has the labels"):
        metrics.counter(REQUESTS, protocol="native")
    with pytest.raises(TypeError, match="has the labels"):
        metrics.counter(REQUESTS, protocol="native", status="200")
    with pytest.raises(TypeError, match="has the labels"):
        metrics.gauge(MODELS_LOADED, endpoint="iris")
    assert metrics.read().series == []
