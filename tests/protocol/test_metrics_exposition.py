"""The metrics of many processes as Prometheus' own client reads them.

The processes are real, and are ended with ``kill -9`` while they write and while they are read.
"""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from modelway.telemetry.exposition import CONTENT_TYPE, exposition
from modelway.telemetry.instruments import Metrics
from modelway.telemetry.metrics import (
    INFERENCE_SECONDS,
    QUEUE_DEPTH,
    REQUESTS,
    TABLE,
)
from modelway.telemetry.slots import Slot, read_slots
from support.ending import killed

WRITER = """
import sys
from itertools import count
from pathlib import Path
from modelway.telemetry.instruments import Metrics
from modelway.telemetry.metrics import INFERENCE_REQUESTS, INFERENCE_SECONDS, QUEUE_DEPTH, REQUESTS
from modelway.telemetry import slots
from modelway.telemetry.slots import Slot

slots.MOST_SERIES = int(sys.argv[5])
folder, slot, first, turns = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
metrics = Metrics(Slot.open(folder, slot))
requests = metrics.counter(REQUESTS, protocol="native", code="200")
seconds = metrics.histogram(INFERENCE_SECONDS, endpoint="iris", version="7")
depth = metrics.gauge(QUEUE_DEPTH, endpoint="iris", version="7")
print("writing", flush=True)
for turn in count(first):
    if turn == first + turns:
        break
    requests.add()
    seconds.observe(0.25)
    depth.set(turn % 3)
    labels = {"endpoint": f"e{turn}", "version": f"v{turn}", "code": f"c{turn}"}
    metrics.counter(INFERENCE_REQUESTS, **labels).add(turn)
"""

FOREVER = 10**9
MOST_SERIES = 200
"""So few that places change hands all the time."""


def families(text: bytes) -> dict[str, Family]:
    return {one.name: one for one in text_string_to_metric_families(text.decode())}


def value(family: Family, sample: str, **labels: str) -> float:
    (found,) = [one for one in family.samples if one.name == sample and one.labels == labels]
    return float(found.value)


@contextmanager
def writing(folder: Path, slot: int, first: int, turns: int) -> Iterator[subprocess.Popen[str]]:
    """A process that writes a slot; it is killed at the end if it has not ended."""
    arguments = [str(one) for one in (folder, slot, first, turns, MOST_SERIES)]
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE, text=True
    )
    with killed(process):
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        yield process


def test_every_metric_is_read_with_its_type_help_and_labels(tmp_path: Path) -> None:
    metrics = Metrics(Slot.open(tmp_path, "0"))
    for one in TABLE:
        labels = {label: f"a {label}" for label in one.labels}
        if one.kind == "counter":
            metrics.counter(one, **labels).add(3.0)
        elif one.kind == "gauge":
            metrics.gauge(one, **labels).set(3.0)
        else:
            metrics.histogram(one, **labels).observe(3.0)
    found = families(exposition(read_slots(tmp_path)))
    assert len(found) == len(TABLE)
    for one in TABLE:
        family = found[one.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (one.kind, one.help)
        labels = {label: f"a {label}" for label in one.labels}
        if one.across == "slot":
            labels["slot"] = "0"
        if one.kind == "histogram":
            assert value(family, f"{one.name}_sum", **labels) == 3.0
            assert value(family, f"{one.name}_count", **labels) == 1.0
            bounds = [s.labels["le"] for s in family.samples if s.name == f"{one.name}_bucket"]
            assert [float(bound) for bound in bounds] == [*one.buckets, math.inf]
        else:
            assert value(family, one.name, **labels) == 3.0


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a\\nb", "é 中 \U0001f600", "{}=,", " "])
def test_any_label_value_is_read_back(name: str) -> None:
    metrics = Metrics(Slot.in_memory())
    metrics.counter(REQUESTS, protocol=name, code="200").add()
    found = families(exposition([metrics.read()]))["modelway_requests"]
    assert value(found, "modelway_requests_total", protocol=name, code="200") == 1.0


def test_the_content_type_names_the_format() -> None:
    assert CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"


def test_restarted_processes_count_on_and_nothing_twice(tmp_path: Path) -> None:
    turns = MOST_SERIES // 3
    for start in range(3):
        for slot in range(2):
            with writing(tmp_path, slot, 1 + start * turns, turns) as process:
                assert process.wait(timeout=30) == 0
    found = families(exposition(read_slots(tmp_path)))
    requests = value(
        found["modelway_requests"], "modelway_requests_total", protocol="native", code="200"
    )
    assert requests == 2 * 3 * turns
    family, labels = found[INFERENCE_SECONDS.name], {"endpoint": "iris", "version": "7"}
    assert value(family, f"{INFERENCE_SECONDS.name}_count", **labels) == 2 * 3 * turns
    assert value(family, f"{INFERENCE_SECONDS.name}_sum", **labels) == 2 * 3 * turns * 0.25
    summed = [one.value for one in found["modelway_inference_requests"].samples]
    assert sorted(summed) == [2.0 * turn for turn in range(1, 3 * turns + 1)]


def test_a_reader_is_never_disturbed_by_writers_that_are_killed(tmp_path: Path) -> None:
    """Series come and go all the time; each must be whole, and no counter may fall."""
    chance, before, n_readings = random.Random(7), 0.0, 0
    for round_ in range(1, 6):
        first = round_ * 10**7
        with (
            writing(tmp_path, 0, first, FOREVER) as one,
            writing(tmp_path, 1, first, FOREVER) as two,
        ):
            deadline = time.monotonic() + chance.uniform(0.1, 0.4)
            while time.monotonic() < deadline:
                before = checked(exposition(read_slots(tmp_path)), before)
                n_readings += 1
            os.kill(chance.choice((one, two)).pid, signal.SIGKILL)
            before = checked(exposition(read_slots(tmp_path)), before)
        before = checked(exposition(read_slots(tmp_path)), before)
    assert n_readings >= 5
    assert len(Slot.open(tmp_path, "0").read().series) > MOST_SERIES


def checked(text: bytes, before: float) -> float:
    """The count of requests, having looked at every sample."""
    found = families(text)
    for sample in found["modelway_inference_requests"].samples:
        turn = sample.labels["endpoint"].removeprefix("e")
        assert sample.labels == {"endpoint": f"e{turn}", "version": f"v{turn}", "code": f"c{turn}"}
        assert sample.value in (0.0, float(turn), 2.0 * float(turn))
    labels = {"endpoint": "iris", "version": "7"}
    if QUEUE_DEPTH.name in found:
        assert value(found[QUEUE_DEPTH.name], QUEUE_DEPTH.name, **labels) in range(5)
    buckets = [
        one.value
        for one in found[INFERENCE_SECONDS.name].samples
        if one.name.endswith("_bucket") and one.labels["endpoint"] == "iris"
    ]
    assert buckets == sorted(buckets)
    count = value(found[INFERENCE_SECONDS.name], f"{INFERENCE_SECONDS.name}_count", **labels)
    total = value(found[INFERENCE_SECONDS.name], f"{INFERENCE_SECONDS.name}_sum", **labels)
    assert buckets[-1] == count
    # The sum is stored last and read last, so it lacks at most what the kills have cut in two.
    assert total >= 0.25 * (count - 20)
    requests = value(
        found["modelway_requests"], "modelway_requests_total", protocol="native", code="200"
    )
    assert requests >= before
    return requests
