"""The recorder on an event loop: when frames are made, by whom, and what finds no room."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from modelway.backends.duckdb_records import DuckdbRecords
from modelway.backends.parquet_records import ParquetRecords
from modelway.domain.errors import InvalidInput
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.domain.parts import Part, Whole
from modelway.domain.tables import Table
from modelway.records.identity import Identify, Identity
from modelway.records.policy import EndpointPolicy, RecordingPolicy
from modelway.records.recorder import Recorder, RecordingBounds
from modelway.records.segments import SegmentBounds
from modelway.records.told import Answered
from support.patience import promised
from support.recording import IRIS, Counted, identify, iris, people


class Noted(RecordingPolicy):
    """A policy that notes who makes frames: those ask it."""

    made_by: ClassVar[list[str]]

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "made_by", [])

    def of(self, endpoint: str) -> EndpointPolicy:
        """The policy of an endpoint."""
        self.made_by.append(threading.current_thread().name)
        return super().of(endpoint)


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not done():
            await asyncio.sleep(0.002)


def on_a_loop(
    root: Path,
    work: Callable[[Recorder, Counted], Coroutine[Any, Any, None]],
    bounds: RecordingBounds | None = None,
    by: Identify = identify,
    policy: RecordingPolicy | None = None,
) -> Counted:
    counted = Counted()

    async def run() -> None:
        recorder = Recorder(root, "0", by, counted, policy, bounds)
        recorder.start()
        try:
            await work(recorder, counted)
        finally:
            await recorder.closed()

    asyncio.run(run())
    return counted


def test_single_rows_are_made_frames_of_by_the_loop_and_written_within_the_time(
    tmp_path: Path,
) -> None:
    policy = Noted()

    async def work(recorder: Recorder, counted: Counted) -> None:
        for _ in range(20):
            recorder.answered(iris(9))
        told = time.monotonic()
        await until(lambda: counted.n_recorded == 180)
        assert time.monotonic() - told < promised(5)

    on_a_loop(tmp_path, work, policy=policy)
    assert set(policy.made_by) == {"MainThread"}


def test_what_is_much_does_not_wait_for_the_time(tmp_path: Path) -> None:
    async def work(recorder: Recorder, counted: Counted) -> None:
        for _ in range(2 * 114):  # twice as many as make a frame
            recorder.answered(iris(9))
        await until(lambda: counted.n_recorded == 2052)

    counted = on_a_loop(tmp_path, work, RecordingBounds(flush_s=3600.0))
    assert counted.n_shed == 0


def test_a_request_of_many_rows_is_left_to_the_thread(tmp_path: Path) -> None:
    policy = Noted()

    async def work(recorder: Recorder, counted: Counted) -> None:
        recorder.answered(people(["Ann"] * 2000, [1.0] * 2000))
        await until(lambda: counted.n_recorded == 1)

    on_a_loop(tmp_path, work, policy=policy)
    assert policy.made_by == ["records"]


def test_after_a_slow_write_the_thread_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelway.records.recorder._SLOW_S", -1.0)  # every write takes longer
    policy = Noted()

    async def work(recorder: Recorder, counted: Counted) -> None:
        for n in (9, 18, 27):
            recorder.answered(iris(9))
            await until(partial(lambda n: counted.n_recorded == n, n))
        segments = sorted(one.name for one in (tmp_path / "segments").iterdir())
        assert len(segments) == 2
        assert len([one for one in segments if "aside" in one]) == 1

    on_a_loop(tmp_path, work, policy=policy)
    assert set(policy.made_by) == {"MainThread"}
    assert DuckdbRecords(tmp_path).query("select count(*) from iris").rows == [(27,)]


def test_a_segment_is_ended_by_its_age_though_nothing_more_comes(tmp_path: Path) -> None:
    async def work(recorder: Recorder, counted: Counted) -> None:
        recorder.answered(iris(9))
        await until(lambda: counted.n_recorded == 9)
        await until(lambda: ParquetRecords(tmp_path).seal_once().records == 9)

    on_a_loop(tmp_path, work, RecordingBounds(segments=SegmentBounds(seconds=0.1)))


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


def test_who_answered_is_looked_up_before_a_version_is_called_otherwise(tmp_path: Path) -> None:
    looked_up: list[str | None] = []

    def noted(endpoint: str, version: str | None, is_shadow: bool) -> Identity:
        looked_up.append(version)
        return identify(endpoint, version, is_shadow)

    async def work(recorder: Recorder, counted: Counted) -> None:
        for _ in range(2 * 114):  # more than is made frames of at once
            recorder.answered(iris(9))
        recorder.settle()
        looked_up.clear()
        await until(lambda: counted.n_recorded == 2052)
        assert looked_up == []

    on_a_loop(tmp_path, work, RecordingBounds(flush_s=3600.0), by=noted)


def test_who_answered_is_who_did_when_it_was_told(tmp_path: Path) -> None:
    roles = {"7": "canary"}

    def by(endpoint: str, version: str | None, is_shadow: bool) -> Identity:
        return Identity(endpoint, version, role="shadow" if is_shadow else roles[version or ""])

    async def work(recorder: Recorder, counted: Counted) -> None:
        def recorded(n: int) -> bool:
            return counted.n_recorded == n

        for done in (3, 6):
            recorder.answered(iris(2))  # as rows
            recorder.answered(people(["Ann"], [1.0], endpoint="iris", version="7"))
            roles["7"] = "live"  # it was promoted before frames were made
            await until(partial(recorded, done))

    on_a_loop(tmp_path, work, by=by)
    assert roles_in(tmp_path) == [("7", "canary")] * 3 + [("7", "live")] * 3


def test_what_a_caller_asked_of_a_shadow_and_what_it_was_asked_beside_are_told_apart(
    tmp_path: Path,
) -> None:
    async def work(recorder: Recorder, counted: Counted) -> None:
        beside = iris(2)
        for request, _, _ in beside:
            request.is_shadow = True
        for one in (iris(1), beside, iris(1)):
            recorder.answered(one)
        await until(lambda: counted.n_recorded == 4)

    on_a_loop(tmp_path, work)
    assert roles_in(tmp_path) == [("7", "live")] * 2 + [("7", "shadow")] * 2


def test_a_batch_has_one_name_whoever_makes_the_frames_of_its_requests(tmp_path: Path) -> None:
    sizes = (1, 9000, 600, 2)  # the second is cut, and the third is left to the thread as well
    n = sum(sizes)
    whole = Whole(
        Table(IRIS, n, matrix=np.arange(4.0 * n).reshape(n, 4)), {"prediction": np.arange(n)}
    )
    ends = np.cumsum(sizes).tolist()

    def by(endpoint: str, version: str | None, is_shadow: bool) -> Identity:
        return Identity(endpoint, version, batch_invariant=False)

    async def work(recorder: Recorder, counted: Counted) -> None:
        for size, end in zip(sizes, ends, strict=True):
            part = Part(whole, end - size, end)
            table = whole.table.rows(slice(end - size, end))
            response = InferenceResponse("iris", "7", f"id-{size}", part, size)
            recorder.answered([(InferenceRequest("iris", table), response, 0.001)])
        await until(lambda: counted.n_recorded == len(sizes))

    on_a_loop(tmp_path, work, by=by)
    sql = (
        "select prediction_id, min(batch.place), max(batch.place), min(batch.rows), count(*), "
        "count(distinct prediction), min(row), max(row) from predictions group by all order by 2"
    )
    found = DuckdbRecords(tmp_path, lambda: []).query(sql).rows
    assert [tuple(row) for row in found] == [
        (f"id-{size}", end - size, end - size, n, size, size, 0, size - 1)
        for size, end in zip(sizes, ends, strict=True)
    ]
    named = DuckdbRecords(tmp_path, lambda: []).query("select distinct batch.id from predictions")
    assert len(named.rows) == 1


def test_a_large_request_that_was_asked_alone_names_no_batch(tmp_path: Path) -> None:
    async def work(recorder: Recorder, counted: Counted) -> None:
        recorder.answered(people(["Ann"] * 9000, [1.0] * 9000))
        await until(lambda: counted.n_recorded == 1)

    def by(endpoint: str, version: str | None, is_shadow: bool) -> Identity:
        return Identity(endpoint, version, batch_invariant=False)

    on_a_loop(tmp_path, work, by=by)
    sql = "select count(*), count(batch), max(row) from predictions"
    (found,) = DuckdbRecords(tmp_path, lambda: []).query(sql).rows
    assert tuple(found) == (9000, 0, 8999)


def test_what_waits_is_bounded_in_bytes_where_answers_are_text_of_any_length(
    tmp_path: Path,
) -> None:
    def answer(text: str) -> list[Answered]:
        outputs = {"prediction": np.array([text], object)}
        table = Table(IRIS, 1, cells=[(1.0, 2.0, 3.0, 4.0)])
        response = InferenceResponse("rule", "1", new_prediction_id(), outputs, 1)
        return [(InferenceRequest("rule", table), response, 0.001)]

    async def work(recorder: Recorder, counted: Counted) -> None:
        recorder.answered(answer("short"))
        for _ in range(20):
            recorder.answered(answer("x" * 1_000_000))
        await until(lambda: counted.n_recorded + counted.n_shed == 21)
        assert counted.n_recorded == 10  # the short one, and 9 within the bound

    on_a_loop(tmp_path, work, RecordingBounds(n_bytes=10_000_000))


class Unwritable:
    """What has no text."""

    def __str__(self) -> str:
        raise RuntimeError


def test_what_cannot_be_recorded_costs_no_other_its_record(tmp_path: Path) -> None:
    async def work(recorder: Recorder, counted: Counted) -> None:
        recorder.answered(people(["Ann"], [1.0]))
        strange = people(["Bob"], [1.0], endpoint="strange")
        strange[0][1].prediction_id = Unwritable()  # type: ignore[assignment] # no type lets it by
        recorder.answered(strange)
        recorder.failed(strange[0][0], InvalidInput("it is not"), 0.0)
        await until(lambda: counted.n_recorded == 2)

    counted = on_a_loop(tmp_path, work)
    assert (counted.n_recorded, counted.reasons) == (2, ["internal"])


def test_rows_that_cannot_be_recorded_are_counted_once(tmp_path: Path) -> None:
    async def work(recorder: Recorder, counted: Counted) -> None:
        strange = [(request, response, None) for request, response, _ in iris(2)]
        recorder.answered(iris(3))
        recorder.answered(strange)  # type: ignore[arg-type] # which no type would let by
        await until(lambda: bool(counted.reasons))
        recorder.answered(iris(4))
        await until(lambda: counted.n_recorded == 4)

    counted = on_a_loop(tmp_path, work)
    assert (counted.n_shed, counted.reasons) == (5, ["internal"])


def roles_in(root: Path) -> list[tuple[object, ...]]:
    sql = "select version, role from predictions order by role, version"
    return [tuple(row) for row in DuckdbRecords(root, lambda: []).query(sql).rows]
