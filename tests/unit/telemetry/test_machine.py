"""What a process says of itself is what the system says of it."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from modelway.telemetry.instruments import Metrics
from modelway.telemetry.machine import (
    Machine,
    free_bytes,
    open_descriptors,
    resident_bytes,
    started_s,
)
from modelway.telemetry.metrics import CPU_SECONDS, HOME_FREE_BYTES, RESIDENT_BYTES, START_SECONDS
from modelway.telemetry.slots import Slot

MEBIBYTE = 1024 * 1024

linux = pytest.mark.skipif(sys.platform != "linux", reason="the present figure is Linux's")


def value(metrics: Metrics, name: str) -> float | None:
    found = [one.cells[0] for one in metrics.read().series if one.metric.name == name]
    return found[0] if found and found[0] == found[0] else None


@linux
def test_resident_memory_follows_what_is_touched() -> None:
    before = resident_bytes()
    block = bytearray(os.urandom(1)) * (64 * MEBIBYTE)
    after = resident_bytes()
    assert before is not None
    assert after is not None
    assert 48 * MEBIBYTE < after - before < 96 * MEBIBYTE
    del block


def test_an_opened_file_is_one_descriptor_more() -> None:
    before = open_descriptors()
    with Path(__file__).open():
        after = open_descriptors()
    assert before is not None
    assert after == before + 1
    assert open_descriptors() == before


def test_free_space_is_that_of_the_folders_file_system(tmp_path: Path) -> None:
    free = free_bytes(tmp_path)
    assert free is not None
    assert abs(free - shutil.disk_usage(tmp_path).free) < 1024 * MEBIBYTE
    assert free_bytes(tmp_path / "none") is None


def test_the_start_is_before_now_and_stays() -> None:
    started = started_s()
    assert time.time() - 24 * 3600 < started <= time.time()
    if sys.platform == "linux":
        assert started_s() == started


def test_readings_are_written_into_the_slot(tmp_path: Path) -> None:
    metrics = Metrics(Slot.in_memory())
    machine = Machine(metrics, tmp_path / "home")
    machine.read()
    assert value(metrics, HOME_FREE_BYTES.name) is None
    (tmp_path / "home").mkdir()
    machine.read()
    assert value(metrics, HOME_FREE_BYTES.name)
    assert value(metrics, RESIDENT_BYTES.name)
    assert value(metrics, START_SECONDS.name) == pytest.approx(started_s(), abs=1)


def test_cpu_time_of_a_slot_goes_on_from_process_to_process(tmp_path: Path) -> None:
    Machine(Metrics(Slot.open(tmp_path, "0")), tmp_path).read()
    before = time.process_time()
    metrics = Metrics(Slot.open(tmp_path, "0"))
    first = value(metrics, CPU_SECONDS.name)
    machine = Machine(metrics, tmp_path)
    machine.read()
    machine.read()
    second = value(metrics, CPU_SECONDS.name)
    assert first is not None
    assert second is not None
    assert first <= before
    assert first + before <= second <= first + time.process_time()
