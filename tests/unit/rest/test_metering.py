"""HTTP in numbers."""

from __future__ import annotations

from modelway.rest.metering import HttpMetrics
from modelway.telemetry import metrics as table
from modelway.telemetry.instruments import Metrics
from modelway.telemetry.slots import Slot


def test_answers_are_counted_by_status_and_bodies_measured() -> None:
    metrics = Metrics(Slot.in_memory())
    meter = HttpMetrics(metrics)
    meter.observe(200, (0.5, 0.25), (100, 100), (300, 300))
    meter.observe(404, (0.25,), (100,), (300,))
    found = {(one.metric.name, one.values): one.cells for one in metrics.read().series}
    assert found[table.REQUESTS.name, ("http", "200")] == [2.0]
    assert found[table.REQUESTS.name, ("http", "404")] == [1.0]
    assert found[table.REQUEST_SECONDS.name, ("http",)][-1] == 1.0
    assert found[table.REQUEST_BYTES.name, ("http",)][-1] == 300.0
    assert sum(found[table.RESPONSE_BYTES.name, ("http",)][:-1]) == 3
    assert found[table.RESPONSE_BYTES.name, ("http",)][-1] == 900.0
