"""Where models run, who waits for whom, and what becomes of failures."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from modelway.bundles.manifest import FORMAT_VERSION, Manifest, OriginalModel, Task
from modelway.domain.errors import (
    DeadlineExceeded,
    InputRefused,
    PredictFailed,
    QueueFull,
    Unavailable,
)
from modelway.domain.inference import Outputs
from modelway.domain.signature import Datatype, Signature, TensorSpec, columns_named
from modelway.domain.tables import Table
from modelway.inference.cost import Cost
from modelway.inference.execution import Execution
from modelway.settings import InferenceSettings
from support.running import answered
from support.tables import said

NUMBERS = Signature(columns_named(["a"]))
TENSOR = Signature(tensors=(TensorSpec("x", Datatype.FP32, (-1, 2)),))
PATIENCE_S = 20.0


def manifest(runtime: str, **facts: Any) -> Manifest:
    original = OriginalModel("sklearn" if runtime == "onnx" else runtime, "m", "pickle")
    return Manifest(FORMAT_VERSION, Task.REGRESSION, runtime, original, "matrix", **facts)


COMPILED = manifest("onnx")
ROW_WISE = manifest("sklearn", row_wise=True)
NATIVE = manifest("sklearn")


class Gated:
    """A model that gives back its first column once ``gate`` is open, and refuses 13 and 14.

    ``asked`` are the values of each call, ``threads`` where it ran, ``most`` how many ran at once.
    """

    def __init__(self, *, is_open: bool = True) -> None:
        self.gate = threading.Event()
        self.begun = threading.Semaphore(0)
        self.asked: list[list[float]] = []
        self.threads: list[str] = []
        self.most = self.running = 0
        self.closed = 0
        if is_open:
            self.gate.set()

    def predict(self, table: Table) -> Outputs:
        first = table.arrays[0].ravel()
        self.running += 1
        self.most = max(self.most, self.running)
        self.asked.append(first.tolist())
        self.threads.append(threading.current_thread().name)
        self.begun.release()
        assert self.gate.wait(PATIENCE_S)
        self.running -= 1
        if (first == 13).any():
            raise InputRefused("no 13")
        if (first == 14).any():
            raise SystemExit("secret")
        return {"prediction": first.copy()}

    def close(self) -> None:
        self.closed += 1

    async def begins(self) -> None:
        """Wait until one more call has begun."""
        assert await asyncio.to_thread(self.begun.acquire, timeout=PATIENCE_S)


class Counted:
    """A watch that keeps what it is told."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.batches: list[tuple[int, int]] = []

    def queued(self, seconds: float) -> None:
        self.waits.append(seconds)

    def batch(self, rows: int, requests: int, seconds: float) -> None:
        assert seconds >= 0.0
        self.batches.append((rows, requests))


Make = Callable[..., Execution]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[tuple[Execution, Gated]] = []

    def one(
        runtime: Gated, of: Manifest = NATIVE, signature: Signature = NUMBERS, **settings: Any
    ) -> Execution:
        watch = settings.pop("watch", None)
        execution = Execution(
            "iris", runtime, of, signature, InferenceSettings(threads=2, **settings)
        )
        execution.watch = watch
        made.append((execution, runtime))
        return execution

    yield one
    for execution, runtime in made:
        runtime.gate.set()
        execution.abandon()


def rows(*values: float) -> Table:
    return Table(NUMBERS, len(values), matrix=np.array(values, dtype=np.float64)[:, None])


def ask(execution: Execution, *values: float) -> asyncio.Task[list[float]]:
    """A request under way; its result are the predictions."""

    async def asked() -> list[float]:
        outputs = await execution.run(rows(*values))
        found: list[float] = outputs["prediction"].tolist()
        return found

    return asyncio.create_task(asked())


async def settled(tasks: Sequence[Awaitable[Any]]) -> list[Any]:
    """Results, and the codes of errors."""
    found = await asyncio.gather(*tasks, return_exceptions=True)
    return [getattr(one, "code", one) for one in found]


def test_a_cheap_compiled_model_answers_on_the_event_loop(make: Make) -> None:
    runtime = Gated()
    execution = make(runtime, COMPILED)
    execution.warm_up()
    assert asyncio.run(answered(execution, rows(1, 2)))["prediction"].tolist() == [1, 2]
    assert set(runtime.threads) == {threading.current_thread().name}
    assert [len(values) for values in runtime.asked] == [1, 1, 64, 2]


def test_a_compiled_model_that_is_predicted_to_take_long_answers_on_threads(make: Make) -> None:
    runtime = Gated()
    execution = make(runtime, COMPILED, inline_s=0.001)
    for _ in range(40):
        execution.cost.learn(1, 0.1e-3)
        execution._learn(100, 2e-3)
    asyncio.run(answered(execution, rows(*range(10))))
    asyncio.run(answered(execution, rows(*range(100, 200))))
    assert runtime.threads == [threading.current_thread().name, "infer-iris_0"]


def test_inline_calls_are_measured_now_and_then_and_one_that_became_slow_leaves_the_loop(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Gated()
    execution = make(runtime, COMPILED)
    monkeypatch.setattr(execution._sampled, "_clock", Ticking(1e-5))
    execution.warm_up()

    async def several() -> None:
        for _ in range(300):
            await execution.run(rows(1))
        assert set(runtime.threads) == {threading.current_thread().name}
        assert execution.cost.surprises == 0
        runtime.threads.clear()
        # The time on a core is what counts: this one really takes it.
        for one in (execution, execution._sampled):
            monkeypatch.setattr(one, "_clock", Ticking(0.5))
        for _ in range(36):
            await execution.run(rows(1))

    asyncio.run(several())
    # One in 32 is measured; then three in a row, which are no accident.
    inline = runtime.threads.index("infer-iris_0")
    assert 3 <= inline <= 34
    assert set(runtime.threads[inline:]) == {"infer-iris_0"}
    assert execution.cost.seconds(1) > 0.4


class Ticking:
    """A clock that has gone on by ``step_s`` whenever it is looked at."""

    def __init__(self, step_s: float) -> None:
        self.now = 0.0
        self.step_s = step_s

    def __call__(self) -> float:
        self.now += self.step_s
        return self.now


def test_without_rows_a_model_that_takes_columns_is_not_asked(make: Make) -> None:
    runtime = Gated()
    execution = make(runtime)
    empty = Table(NUMBERS, 0, matrix=np.empty((0, 1)))
    assert asyncio.run(answered(execution, empty))["prediction"].shape == (0,)
    assert execution.predict(empty)["prediction"].shape == (0,)
    assert runtime.asked == []


def test_a_tensor_without_elements_is_the_models_own_affair(make: Make) -> None:
    runtime = Gated()
    execution = make(runtime, COMPILED, TENSOR)
    empty = Table(TENSOR, 0, arrays=[np.empty((0, 2), np.float32)])
    assert asyncio.run(answered(execution, empty))["prediction"].shape == (0,)
    assert runtime.asked == [[]]


def test_what_waits_while_a_runner_is_busy_goes_together(make: Make) -> None:
    async def several() -> None:
        first = ask(execution, 1)
        await runtime.begins()
        others = [ask(execution, 2), ask(execution, 3, 4), ask(execution, 5)]
        await asyncio.sleep(0.01)
        assert (execution.waiting, execution.running, execution.busy) == (3, 1, True)
        runtime.gate.set()
        assert await settled([first, *others]) == [[1], [2], [3, 4], [5]]
        assert (execution.waiting, execution.busy) == (0, False)

    runtime, watch = Gated(is_open=False), Counted()
    execution = make(runtime, ROW_WISE, watch=watch)
    asyncio.run(several())
    assert runtime.asked == [[1], [2, 3, 4, 5]]
    assert watch.batches == [(1, 1), (4, 3)]
    assert len(watch.waits) == 4
    assert all(0 <= seconds < PATIENCE_S for seconds in watch.waits)


def test_requests_of_one_turn_of_the_loop_go_together_without_waiting(make: Make) -> None:
    async def several() -> list[Any]:
        return await settled([ask(execution, k) for k in range(8)])

    runtime = Gated()
    execution = make(runtime, ROW_WISE)
    assert asyncio.run(several()) == [[k] for k in range(8)]
    assert runtime.asked == [list(range(8))]


def test_a_model_that_is_not_row_wise_is_asked_each_request_for_itself(make: Make) -> None:
    async def several() -> list[Any]:
        return await settled([ask(execution, k) for k in (1, 13, 2, 14, 3)])

    runtime = Gated()
    execution = make(runtime)
    expected = [[1], "input-refused", [2], "predict-failed", [3]]
    assert asyncio.run(several()) == expected
    assert runtime.asked == [[1], [13], [2], [14], [3]]


def test_requests_with_other_parameters_do_not_share_a_call(make: Make) -> None:
    async def several() -> None:
        tops: list[dict[str, object]] = [{"top": 1}, {"top": 2}, {"top": 1}]
        calls = [execution.run(said(rows(k), top)) for k, top in enumerate(tops)]
        await asyncio.gather(*calls)

    runtime = Gated()
    execution = make(runtime, ROW_WISE)
    asyncio.run(several())
    assert runtime.asked == [[0, 2], [1]]


def test_a_failing_batch_costs_only_the_culprit_its_answer(make: Make) -> None:
    async def several() -> list[Any]:
        return await settled([ask(execution, k) for k in (1, 2, 13, 4, 14)])

    execution = make(Gated(), ROW_WISE)
    expected = [[1], [2], "input-refused", [4], "predict-failed"]
    assert asyncio.run(several()) == expected


def test_a_batch_keeps_to_its_bounds(make: Make) -> None:
    async def several() -> None:
        first = ask(execution, 0)
        await runtime.begins()
        others = [
            ask(execution, 1, 2),
            ask(execution, 3),
            ask(execution, *range(10)),
            ask(execution, 4),
        ]
        await asyncio.sleep(0.01)
        runtime.gate.set()
        await settled([first, *others])

    runtime = Gated(is_open=False)
    execution = make(runtime, ROW_WISE, batch_rows=3)
    asyncio.run(several())
    assert runtime.asked == [[0], [1, 2, 3], list(range(10)), [4]]


def test_a_batch_grows_no_larger_than_pays(make: Make) -> None:
    """A request of many rows must not keep one that came before it."""

    async def several() -> None:
        await settled([ask(execution, 1), ask(execution, *range(500))])

    runtime = Gated()
    execution = make(runtime, ROW_WISE)
    for _ in range(40):  # 1 ms a call and 1 ms a row: ten rows are as good as any number
        execution.cost.learn(1, 2e-3)
        execution.cost.learn(100, 101e-3)
    asyncio.run(several())
    assert [len(values) for values in runtime.asked] == [1, 500]


def test_a_larger_batch_is_tried_now_and_then(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was learned from small batches alone may be wrong, and would keep them small."""

    async def several() -> None:
        await settled([ask(execution, k) for k in range(1000, 2000)])

    runtime = Gated()
    execution = make(runtime, ROW_WISE)
    execution.cost.learn(1, 1e-3)
    monkeypatch.setattr(Cost, "learn", lambda *_: None)
    asyncio.run(several())
    assert [len(values) for values in runtime.asked] == [*[64] * 7, 256, *[64] * 4, 40]


def test_a_full_queue_refuses_at_once(make: Make) -> None:
    async def several() -> None:
        tasks = [ask(execution, 1)]
        await runtime.begins()
        tasks += [ask(execution, 2), ask(execution, 3)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFull, match="2 requests wait for the model iris"):
            await execution.run(rows(4))
        runtime.gate.set()
        assert await settled(tasks) == [[1], [2], [3]]

    runtime = Gated(is_open=False)
    execution = make(runtime, queue_requests=2)
    asyncio.run(several())


def test_a_deadline_is_kept_to_the_moment_whether_the_work_has_begun_or_not(make: Make) -> None:
    async def several() -> None:
        async def late(value: float) -> float:
            started = time.monotonic()
            with pytest.raises(DeadlineExceeded, match="iris did not answer in time"):
                await execution.run(rows(value), started + 0.05)
            return time.monotonic() - started

        begun = asyncio.create_task(late(1))
        await runtime.begins()
        took = [await begun, await late(2)]
        assert all(0.04 < seconds < PATIENCE_S / 2 for seconds in took)
        kept = ask(execution, 3)
        await asyncio.sleep(0.01)
        faults: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        runtime.gate.set()
        assert await kept == [3]
        assert not faults

    runtime = Gated(is_open=False)
    execution = make(runtime, ROW_WISE)
    asyncio.run(several())
    assert runtime.asked == [[1], [3]]


@pytest.mark.parametrize("of", [COMPILED, NATIVE])
def test_a_deadline_that_has_passed_costs_no_work(make: Make, of: Manifest) -> None:
    runtime = Gated()
    execution = make(runtime, of)
    execution.warm_up()
    asked = len(runtime.asked)
    with pytest.raises(DeadlineExceeded):
        asyncio.run(answered(execution, rows(1), time.monotonic()))
    assert len(runtime.asked) == asked


def test_a_caller_who_leaves_is_taken_out_of_the_queue(make: Make) -> None:
    async def several() -> None:
        first = ask(execution, 1)
        await runtime.begins()
        leaves, stays = ask(execution, 2), ask(execution, 3)
        await asyncio.sleep(0)
        leaves.cancel()
        first.cancel()
        await asyncio.sleep(0.01)
        assert execution.waiting == 1
        runtime.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await leaves
        assert await stays == [3]

    runtime = Gated(is_open=False)
    execution = make(runtime, ROW_WISE)
    asyncio.run(several())
    assert runtime.asked == [[1], [3]]


def test_of_gathered_requests_those_given_up_meanwhile_are_not_asked(make: Make) -> None:
    async def several() -> None:
        for _ in range(3):
            execution.cost.learn(1, 1e-5)
        tasks = [ask(execution, k) for k in (1, 2, 3)]
        await runtime.begins()
        tasks[1].cancel()
        await asyncio.sleep(0.01)
        runtime.gate.set()
        assert await tasks[0] == [1]
        assert await tasks[2] == [3]

    runtime = Gated(is_open=False)
    execution = make(runtime)
    asyncio.run(several())
    assert runtime.asked == [[1], [3]]


def test_a_batch_waits_for_company_only_as_long_as_it_is_told(make: Make) -> None:
    async def several() -> float:
        tasks = [ask(execution, 1)]
        await asyncio.sleep(0.02)
        tasks.append(ask(execution, 2))
        started = time.monotonic()
        await settled(tasks)
        return time.monotonic() - started

    runtime = Gated()
    execution = make(runtime, ROW_WISE, batch_wait_s=0.2)
    assert asyncio.run(several()) > 0.1
    assert runtime.asked == [[1, 2]]


def test_a_batch_that_is_full_waits_for_nobody(make: Make) -> None:
    async def several() -> None:
        tasks = [ask(execution, 1)]
        await asyncio.sleep(0.02)
        tasks += [ask(execution, 2), ask(execution, 3)]
        await asyncio.wait_for(settled(tasks), PATIENCE_S)

    runtime = Gated()
    execution = make(runtime, ROW_WISE, batch_wait_s=10.0, batch_rows=3)
    execution.cost.learn(1, 1.0)
    execution.cost.learn(100, 1.0)
    asyncio.run(several())
    assert runtime.asked == [[1, 2, 3]]


@pytest.mark.parametrize(("runners", "most"), [(1, 1), (3, 3)])
def test_as_many_calls_run_at_a_time_as_there_are_runners(
    make: Make, runners: int, most: int
) -> None:
    async def several() -> None:
        tasks = [ask(execution, k) for k in range(9)]
        for _ in range(most):
            await runtime.begins()
        await asyncio.sleep(0.02)
        assert (execution.running, runtime.most) == (most, most)
        runtime.gate.set()
        await settled(tasks)

    runtime = Gated(is_open=False)
    execution = make(runtime, runners=runners)
    asyncio.run(several())
    assert runtime.most == most
    assert execution.runners == runners
    assert set(runtime.threads) <= {f"infer-iris_{k}" for k in range(runners)}


def test_one_models_queue_keeps_no_other_waiting(make: Make) -> None:
    async def several() -> list[float]:
        held = [ask(blocked, k) for k in range(5)]
        found = await asyncio.wait_for(ask(free, 7), PATIENCE_S)
        assert not any(task.done() for task in held)
        runtime.gate.set()
        await settled(held)
        return found

    runtime = Gated(is_open=False)
    blocked, free = make(runtime), make(Gated())
    assert asyncio.run(several()) == [7]


@pytest.mark.parametrize("of", [NATIVE, ROW_WISE])
def test_what_runners_take_is_learned(make: Make, of: Manifest) -> None:
    execution = make(Gated(), of)
    asyncio.run(answered(execution, rows(1)))
    assert execution.cost.is_known
    assert 0 < execution.cost.seconds(1) < PATIENCE_S


def test_no_thread_is_made_before_it_is_needed(make: Make) -> None:
    before = set(threading.enumerate())
    execution = make(Gated())
    execution.warm_up()
    assert not set(threading.enumerate()) - before
    asyncio.run(answered(execution, rows(1)))
    assert len(set(threading.enumerate()) - before) == 1


@pytest.mark.parametrize("opens", ["before", "between", "after"])
def test_an_execution_outlives_the_loop_that_left_work_behind(make: Make, opens: str) -> None:
    async def left() -> None:
        ask(execution, 1)
        await runtime.begins()
        ask(execution, 2)
        await asyncio.sleep(0)
        if opens == "before":
            runtime.gate.set()
            time.sleep(0.05)  # the answer is given while the loop cannot hear it

    async def again() -> list[float]:
        task = ask(execution, 3)
        await asyncio.sleep(0)
        runtime.gate.set()
        return await asyncio.wait_for(task, PATIENCE_S)

    runtime = Gated(is_open=False)
    execution = make(runtime)
    asyncio.run(left())
    if opens == "between":
        runtime.gate.set()
    assert asyncio.run(again()) == [3]
    assert runtime.asked[-1] == [3]
    assert not execution.busy


def test_abandoning_drops_what_waits_and_does_not_wait_for_what_runs(make: Make) -> None:
    async def several() -> None:
        runs = ask(execution, 1)
        await runtime.begins()
        waits = ask(execution, 2)
        await asyncio.sleep(0)
        assert not execution.abandon()
        with pytest.raises(Unavailable, match="iris is being closed"):
            await waits
        with pytest.raises(Unavailable):
            await execution.run(rows(3))
        assert runtime.closed == 0
        runtime.gate.set()
        assert await runs == [1]
        assert execution.abandon()
        assert execution.abandon()

    runtime = Gated(is_open=False)
    execution = make(runtime)
    asyncio.run(several())
    assert runtime.closed == 2


def test_closing_waits_for_what_runs(make: Make) -> None:
    async def several() -> None:
        runs = ask(execution, 1)
        await runtime.begins()
        closing = asyncio.create_task(execution.close())
        await asyncio.sleep(0.05)
        assert not closing.done()
        runtime.gate.set()
        await closing
        assert runtime.closed == 1
        assert await runs == [1]
        await execution.close()

    runtime = Gated(is_open=False)
    execution = make(runtime)
    asyncio.run(several())


def test_a_model_that_fails_on_its_sample_row_is_not_warmed_up(make: Make) -> None:
    class Failing(Gated):
        def predict(self, table: Table) -> Outputs:
            raise ValueError("secret")

    with pytest.raises(PredictFailed, match="iris"):
        make(Failing()).warm_up()
