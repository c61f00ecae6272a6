"""A slot's numbers outlive its process, and there is always room for one series more."""

from __future__ import annotations

import math
import mmap
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from modelway.telemetry import layout, slots
from modelway.telemetry.layout import END_WORD, FILE_BYTES
from modelway.telemetry.metrics import (
    INFERENCE_REQUESTS,
    INFERENCE_SECONDS,
    MODELS_LOADED,
    OTHER,
    QUEUE_DEPTH,
    REQUESTS,
    TABLE,
    Metric,
)
from modelway.telemetry.slots import Slot, SlotReading, read_slots


def numbers(reading: SlotReading, metric: Metric) -> dict[tuple[str, ...], list[float]]:
    return {one.values: one.cells for one in reading.series if one.metric is metric}


def key(index: int) -> tuple[str, str]:
    return (f"endpoint-{index}", "7")


def test_counters_and_histograms_go_on_where_the_last_process_ended(tmp_path: Path) -> None:
    for turn in range(1, 4):
        slot = Slot.open(tmp_path, "3")
        slot.cells(REQUESTS, ("native", "200"))[0] += 5.0
        slot.cells(INFERENCE_SECONDS, key(0))[-1] += 0.5
        slot.cells(REQUESTS, ("native", f"50{turn}"))[0] += 1.0
        (reading,) = read_slots(tmp_path)
        assert reading.slot == "3"
        assert numbers(reading, REQUESTS)["native", "200"] == [5.0 * turn]
        assert numbers(reading, INFERENCE_SECONDS)[key(0)][-1] == 0.5 * turn
        assert len(numbers(reading, REQUESTS)) == 1 + turn


def test_a_gauge_of_a_dead_process_has_no_value(tmp_path: Path) -> None:
    slot = Slot.open(tmp_path, "3")
    slot.cells(QUEUE_DEPTH, key(0))[0] = 4.0
    slot.cells(MODELS_LOADED, ())[0] = 2.0
    fresh = Slot.open(tmp_path, "3")
    assert all(math.isnan(cells[0]) for cells in numbers(fresh.read(), QUEUE_DEPTH).values())
    assert math.isnan(fresh.cells(MODELS_LOADED, ())[0])
    fresh.cells(MODELS_LOADED, ())[0] = 1.0
    assert numbers(read_slots(tmp_path)[0], MODELS_LOADED) == {(): [1.0]}


def test_slots_are_read_in_order_and_other_files_are_left_out(tmp_path: Path) -> None:
    for name in ("1", "supervisor", "0"):
        Slot.open(tmp_path, name).cells(REQUESTS, ("native", "200"))[0] = 1.0
    (tmp_path / "slot-2.metrics").write_bytes(b"half")
    (tmp_path / "slot-4.fresh").write_bytes(b"")
    assert [one.slot for one in read_slots(tmp_path)] == ["0", "1", "supervisor"]
    assert read_slots(tmp_path / "none") == []


def test_a_file_of_another_table_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "slot-0.metrics"
    path.write_bytes(b"\1" * FILE_BYTES)
    Slot.open(tmp_path, "0").cells(REQUESTS, ("native", "200"))[0] = 1.0
    assert numbers(read_slots(tmp_path)[0], REQUESTS) == {("native", "200"): [1.0]}


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Slot.open(tmp_path / "none", "0")


def test_the_same_series_has_the_same_numbers() -> None:
    slot = Slot.in_memory()
    cells = slot.cells(REQUESTS, ("native", "200"))
    assert slot.cells(REQUESTS, ("native", "200")) is cells
    cells[0] = 3.0
    del cells
    assert slot.cells(REQUESTS, ("native", "200"))[0] == 3.0


def test_a_series_beyond_the_most_is_counted_as_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "MOST_SERIES", 3)
    slot = Slot.in_memory()
    held = [slot.cells(INFERENCE_SECONDS, key(index)) for index in range(5)]
    for cells in held:
        cells[0] += 1.0
    found = numbers(slot.read(), INFERENCE_SECONDS)
    assert set(found) == {key(0), key(1), key(2), (OTHER, OTHER)}
    assert found[OTHER, OTHER][0] == 2.0
    assert slot.cells(INFERENCE_SECONDS, (OTHER, OTHER)) is held[4]


def test_a_series_that_nobody_holds_gives_up_its_place_first_given_up_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slots, "MOST_SERIES", 3)
    slot = Slot.in_memory()
    held = {index: slot.cells(INFERENCE_SECONDS, key(index)) for index in range(3)}
    for cells in held.values():
        cells[-1] = 9.0
    del held[1], held[0], cells
    assert len(numbers(slot.read(), INFERENCE_SECONDS)) == 3
    held[3] = slot.cells(INFERENCE_SECONDS, key(3))
    assert list(held[3]) == [0.0] * INFERENCE_SECONDS.n_cells
    assert set(numbers(slot.read(), INFERENCE_SECONDS)) == {key(0), key(2), key(3)}
    held[0] = slot.cells(INFERENCE_SECONDS, key(0))
    assert held[0][-1] == 9.0
    other = slot.cells(INFERENCE_SECONDS, key(4))
    assert other is slot.cells(INFERENCE_SECONDS, (OTHER, OTHER))
    assert held[2][-1] == 9.0


def test_after_a_restart_old_series_give_up_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "MOST_SERIES", 3)
    slot = Slot.open(tmp_path, "0")
    held = [slot.cells(QUEUE_DEPTH, key(index)) for index in range(3)]
    fresh = Slot.open(tmp_path, "0")
    held = [fresh.cells(QUEUE_DEPTH, key(index)) for index in range(3, 6)]
    assert all(math.isnan(cells[0]) for cells in held)
    assert set(numbers(fresh.read(), QUEUE_DEPTH)) == {key(3), key(4), key(5)}


def test_a_key_that_is_too_long_is_counted_as_other() -> None:
    slot = Slot.in_memory()
    cells = slot.cells(INFERENCE_SECONDS, ("x" * 600, "7"))
    assert cells is slot.cells(INFERENCE_SECONDS, (OTHER, OTHER))


def test_a_longer_name_does_not_take_a_shorter_ones_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "MOST_SERIES", 2)
    slot = Slot.in_memory()
    slot.cells(INFERENCE_SECONDS, ("x" * 300, "7"))
    slot.cells(INFERENCE_SECONDS, ("y", "7"))
    slot.cells(INFERENCE_SECONDS, ("z" * 290, "7"))
    slot.cells(INFERENCE_SECONDS, ("w" * 299, "7"))
    found = numbers(slot.read(), INFERENCE_SECONDS)
    assert set(found) == {("w" * 299, "7"), ("y", "7")}


def test_a_full_file_has_room_for_the_other_series_of_every_metric(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slots, "MOST_SERIES", 10**9)
    slot, index = Slot.in_memory(), 0
    held: list[memoryview[float]] = []
    last = slot.cells(INFERENCE_REQUESTS, (OTHER, OTHER, OTHER))
    for padding in ("e" * 400, ""):
        cells = None
        while cells is not last:
            index += 1
            cells = slot.cells(INFERENCE_REQUESTS, (f"{index}{padding}", "7", "ok"))
            held.append(cells)
    assert index > 1000
    for metric in TABLE:
        cells = slot.cells(metric, ("unheard of",) * len(metric.labels))
        assert slot.cells(metric, (OTHER,) * len(metric.labels)) is cells
        cells[0] = 1.0
    reading = slot.read()
    for metric in TABLE:
        assert numbers(reading, metric)[(OTHER,) * len(metric.labels)][0] == 1.0
    with memoryview(slot._memory) as raw, raw.cast("Q") as words:
        assert words[END_WORD] <= FILE_BYTES


def test_a_late_word_that_a_series_was_given_up_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The collector of cycles clears all references first and tells of them afterwards."""
    monkeypatch.setattr(slots, "MOST_SERIES", 1)
    slot = Slot.in_memory()
    cells = slot.cells(QUEUE_DEPTH, key(0))
    told = slot._held[QUEUE_DEPTH.name, key(0)]
    del cells
    cells = slot.cells(QUEUE_DEPTH, key(0))
    slot._released(told)
    assert slot.cells(QUEUE_DEPTH, key(1)) is slot.cells(QUEUE_DEPTH, (OTHER, OTHER))
    assert slot.cells(QUEUE_DEPTH, key(0)) is cells


@pytest.mark.parametrize("most", [2, 3], ids=["takes a place", "is appended"])
def test_a_death_before_any_line_leaves_every_series_whole(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """What a reader, and the next process in the slot, would find if the process ended there."""
    monkeypatch.setattr(slots, "MOST_SERIES", most)
    slot, found = Slot.in_memory(), []
    held = slot.cells(INFERENCE_SECONDS, key(0))
    slot.cells(INFERENCE_SECONDS, key(1))[0] = 5.0
    held[0] = 7.0

    def line(frame: FrameType, event: str, _argument: object) -> Any:
        if frame.f_code.co_filename == slots.__file__ and event == "line":
            left = mmap.mmap(-1, FILE_BYTES)
            left[:] = slot._memory[:]
            found.append(numbers(SlotReading("0", layout.series(left)), INFERENCE_SECONDS))
            after = Slot("0", left)
            after.cells(INFERENCE_SECONDS, key(9))[0] += 1.0
            assert numbers(after.read(), INFERENCE_SECONDS)[key(9)][0] == 1.0
        return line

    before = sys.gettrace()
    sys.settrace(line)
    try:
        fresh = slot.cells(INFERENCE_SECONDS, key(2))
    finally:
        sys.settrace(before)
    fresh[0] = 1.0
    assert len(found) > 20
    for one in found:
        assert one.pop(key(0))[0] == 7.0
        assert one.pop(key(1), [5.0])[0] == 5.0
        assert one.pop(key(2), [0.0])[0] == 0.0
        assert not one
    assert (key(1) in numbers(slot.read(), INFERENCE_SECONDS)) == (most == 3)


def test_any_text_can_be_a_label() -> None:
    slot = Slot.in_memory()
    values = ('a"b\\c\n\0', "\ud800 é 中")
    slot.cells(REQUESTS, values)[0] = 1.0
    assert numbers(slot.read(), REQUESTS) == {values: [1.0]}
