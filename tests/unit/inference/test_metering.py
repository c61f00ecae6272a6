"""The data plane in numbers: by endpoint, version and code, and never by what a caller makes up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelway.domain.errors import EndpointNotFound, InputRefused
from modelway.inference.metering import InferenceMetrics
from modelway.telemetry import metrics as table
from modelway.telemetry.instruments import Metrics
from modelway.telemetry.slots import Slot

VERSION = "sha256:" + "0123456789ab" * 5


def numbers(metrics: Metrics) -> Mapping[tuple[str, tuple[str, ...]], Sequence[float]]:
    return {(one.metric.name, one.values): one.cells for one in metrics.read().series}


def test_answers_and_refusals_are_counted() -> None:
    metrics = Metrics(Slot.in_memory())
    meter = InferenceMetrics(metrics)
    meter.answered("iris", VERSION, (1, 1), (0.001, 0.002))
    meter.failed("iris", InputRefused("no"), 0.0)
    meter.failed("made up by a caller", EndpointNotFound("x", []), 0.0)
    found = numbers(metrics)
    short = VERSION[:19]
    assert found[table.INFERENCE_REQUESTS.name, ("iris", short, "ok")] == [2.0]
    assert found[table.INFERENCE_SECONDS.name, ("iris", short)][-1] == 0.003
    assert found[table.INFERENCE_REQUESTS.name, ("iris", "", "input-refused")] == [1.0]
    assert found[table.INFERENCE_REQUESTS.name, ("", "", "endpoint-not-found")] == [1.0]
    assert not [labels for _, labels in found if "made up by a caller" in labels]


def test_models_come_and_go() -> None:
    metrics = Metrics(Slot.in_memory())
    meter = InferenceMetrics(metrics)
    meter.loaded("iris", VERSION, 0.25, 1000)
    found = numbers(metrics)
    assert found[table.MODELS_LOADED.name, ()] == [1.0]
    assert found[table.MODEL_MEMORY_BYTES.name, ("iris", VERSION[:19])] == [1000.0]
    meter.unloaded("iris", VERSION)
    meter.load_failed("iris", "load-failed")
    found = numbers(metrics)
    assert found[table.MODELS_LOADED.name, ()] == [0.0]
    assert found[table.MODEL_LOADS.name, ("iris",)] == [1.0]
    assert found[table.MODEL_UNLOADS.name, ("iris",)] == [1.0]
    assert found[table.MODEL_LOAD_FAILURES.name, ("iris", "load-failed")] == [1.0]
    memory = found.get((table.MODEL_MEMORY_BYTES.name, ("iris", VERSION[:19])), [float("nan")])
    assert memory[0] != memory[0], "a gauge of what is gone has no value"


def test_batches_are_measured_by_version() -> None:
    metrics = Metrics(Slot.in_memory())
    watch = InferenceMetrics(metrics).watch("iris", VERSION)
    watch.queued(0.01)
    watch.batch(30, 3, 0.5)
    found = numbers(metrics)
    labels = ("iris", VERSION[:19])
    assert found[table.BATCH_ROWS.name, labels][-1] == 30.0
    assert found[table.BATCH_REQUESTS.name, labels][-1] == 3.0
    assert found[table.QUEUE_SECONDS.name, labels][-1] == 0.01
    assert found[table.RUNNER_BUSY_SECONDS.name, labels] == [0.5]


def test_what_is_called_otherwise_has_its_numbers_under_that_name() -> None:
    metrics = Metrics(Slot.in_memory())
    meter = InferenceMetrics(metrics)
    meter.loaded("iris", "1", 0.25, 1000)
    meter.loaded("iris", VERSION, 0.25, 2000)
    meter.renamed("iris", ["1", VERSION], {"1": 2000})
    found = numbers(metrics)
    assert found[table.MODEL_MEMORY_BYTES.name, ("iris", "1")] == [2000.0]
    memory = found.get((table.MODEL_MEMORY_BYTES.name, ("iris", VERSION[:19])), [float("nan")])
    assert memory[0] != memory[0]
    assert found[table.MODELS_LOADED.name, ()] == [2.0]
