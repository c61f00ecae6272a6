"""The recorder on an event loop: when frames are made, by whom, and what finds no room."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from modelway.backends.duckdb_records import DuckdbRecords
from modelway.records.identity import Identity
from modelway.records.recorder import Recorder, RecordingBounds
from support.recording import Counted, identify, iris, people


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not done():
            await asyncio.sleep(0.002)


def on_a_loop(
    root: Path,
    work: Callable[[Recorder, Counted], Coroutine[Any, Any, None]],
    bounds: RecordingBounds | None = None,
    by: Callable[[str, str | None], Identity] = identify,
) -> Counted:
    counted = Counted()

    async def run() -> None:
        recorder = Recorder(root, "0", by, counted, bounds=bounds)
        recorder.start()
        try:
            await work(recorder, counted)
        finally:
            await asyncio.to_thread(recorder.close)

    asyncio.run(run())
    return counted


def test_single_rows_are_made_frames_of_by_the_loop_and_written_within_the_time(
    tmp_path: Path,
) -> None:
    made_by: list[str] = []

    def noted(endpoint: str, version: str | None) -> Identity:
        made_by.append(threading.current_thread().name)
        return identify(endpoint, version)

    async def work(recorder: Recorder, counted: Counted) -> None:
        for _ in range(20):
            recorder.answered(iris(9))
        told = time.monotonic()
        await until(lambda: counted.n_recorded == 180)
        assert time.monotonic() - told < 5

    on_a_loop(tmp_path, work, by=noted)
    assert made_by == ["MainThread"]


def test_what_is_much_does_not_wait_for_the_time(tmp_path: Path) -> None:
    async def work(recorder: Recorder, counted: Counted) -> None:
        for _ in range(2 * 114):  # twice as many as make a frame
            recorder.answered(iris(9))
        await until(lambda: counted.n_recorded == 2052)

    counted = on_a_loop(tmp_path, work, RecordingBounds(flush_s=3600.0))
    assert counted.n_shed == 0


def test_a_request_of_many_rows_is_left_to_the_thread(tmp_path: Path) -> None:
    made_by: list[str] = []

    def noted(endpoint: str, version: str | None) -> Identity:
        made_by.append(threading.current_thread().name)
        return identify(endpoint, version)

    async def work(recorder: Recorder, counted: Counted) -> None:
        recorder.answered(people(["Ann"] * 2000, [1.0] * 2000))
        await until(lambda: counted.n_recorded == 1)

    on_a_loop(tmp_path, work, by=noted)
    assert made_by == ["records"]


def test_the_newest_find_no_room_and_are_counted(tmp_path: Path) -> None:
    async def work(recorder: Recorder, counted: Counted) -> None:
        for _ in range(10):
            recorder.answered(iris(9))
        await until(lambda: counted.n_recorded + counted.n_shed == 90)
        assert (counted.n_recorded, counted.n_shed) == (45, 45)
        recorder.answered(iris(9))  # there is room again
        await until(lambda: counted.n_recorded == 54)

    on_a_loop(tmp_path, work, RecordingBounds(requests=50))


def test_closing_writes_what_was_told_last(tmp_path: Path) -> None:
    async def work(recorder: Recorder, _: Counted) -> None:
        recorder.answered(iris(700))

    counted = on_a_loop(tmp_path, work, RecordingBounds(flush_s=3600.0))
    assert counted.n_recorded == 700
    assert counted.n_shed == 0


def test_rows_of_one_call_and_others_told_at_once_are_all_recorded_as_they_were(
    tmp_path: Path,
) -> None:
    whole, alone = iris(300), [one for one in iris(40) for _ in (0,)]
    gap = iris(10)
    told = [whole[:120], whole[120:], gap[:3] + gap[5:], alone[:1], alone[1:]]

    async def work(recorder: Recorder, counted: Counted) -> None:
        for one in told:
            recorder.answered(one)
        await until(lambda: counted.n_recorded == sum(map(len, told)))

    on_a_loop(tmp_path, work)
    found = {
        row[0]: row[1:]
        for row in DuckdbRecords(tmp_path, lambda: [])
        .query("select prediction_id, inputs.a::double, prediction from predictions")
        .rows
    }
    expected = {
        response.prediction_id: (
            request.table.matrix[0, 0],
            str(int(response.outputs["class_index"][0])),
        )
        for one in told
        for request, response, _ in one
    }
    assert found == expected
