"""Models in processes of their own: a crash costs what was in flight and nothing else."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway.composition.isolation import ProcessRuntime, RuntimePool, opener
from modelway.domain.errors import (
    BadValue,
    InputRefused,
    LoadFailed,
    ModelCrashed,
    PredictFailed,
    UnsafeFormat,
)
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Table
from modelway.inference.execution import Execution
from modelway.settings import InferenceSettings, child_environment
from support.running import (
    OPENED,
    answered,
    assert_same_outputs,
    executed,
    native_bundle,
    rule_bundle,
)

PATIENCE_S = 30.0
SIGNATURE = Signature(
    (
        Column("order", "order", Datatype.STRING),
        Column("value", "value", Datatype.FP64, nullable=True),
    )
)
RULES = """
import os, signal, sys, time

print("the rules are read", flush=True)

def obeys(order, value):
    if order == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if order == "exit":
        os._exit(3)
    if order == "fault":
        import ctypes
        ctypes.string_at(0)
    if order == "babble":
        import socket
        for fd in range(3, 64):
            try:
                socket.socket(fileno=fd).send(b"\\xff" * 64)
            except OSError:
                pass
        time.sleep(60)
    if order == "fork":
        forked = os.fork()
        if forked == 0:
            time.sleep(60)
        print("forked", forked, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if order == "sleep":
        time.sleep(value)
    if order == "raise":
        raise ValueError("no such order")
    if order == "loop":
        while True:
            pass
    if order == "print":
        print("line one\\nline two " + "x" * 20000, file=sys.stderr, flush=True)
    if order == "odd":
        return object()
    if order == "pid":
        return os.getpid()
    return {"order": order, "value": value}
"""

Make = Callable[..., ProcessRuntime]


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rule_bundle(tmp_path_factory.mktemp("rules") / "obeys", RULES, "obeys", SIGNATURE)


@pytest.fixture
def make(rules: Path) -> Iterator[Make]:
    made: list[ProcessRuntime] = []

    def one(folder: Path = rules, **facts: Any) -> ProcessRuntime:
        made.append(ProcessRuntime(folder, allow_pickle=True, **facts))
        return made[-1]

    yield one
    for runtime in made:
        runtime.close()


def order(*orders: str, value: float = np.nan) -> Table:
    texts = np.array(orders, dtype=object)
    return Table(SIGNATURE, len(orders), arrays=[texts, np.full(len(orders), value)])


def pid_of(runtime: ProcessRuntime | RuntimePool | Execution) -> int:
    return int(runtime.predict(order("pid"))["prediction"][0])


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    except OSError:
        return False
    # The first thread may be gone while others still hold what the process has open.
    return state != "Z" or threads > 1


def ends(pid: int) -> bool:
    """Whether the process is gone within a bounded time."""
    end = time.monotonic() + PATIENCE_S
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not is_alive(pid)


def test_a_process_answers_as_a_thread_does(make: Make, rules: Path) -> None:
    from modelway.bundles.manifest import read_manifest

    here = OPENED(rules, SIGNATURE, read_manifest(rules))
    apart = make()
    assert pid_of(apart) != os.getpid()
    for table in (order("a", "ß", "", value=2.5), order(""), order("x")):
        assert_same_outputs(apart.predict(table), here.predict(table))


def test_a_native_model_answers_bit_for_bit_in_a_process(tmp_path: Path, make: Make) -> None:
    from sklearn.datasets import load_iris
    from sklearn.ensemble import GradientBoostingClassifier

    from modelway.bundles.manifest import read_manifest, read_signature
    from modelway.domain.signature import columns_named

    x, y = load_iris(return_X_y=True)
    model = GradientBoostingClassifier(n_estimators=5, random_state=0).fit(x, y)
    folder = native_bundle(tmp_path / "iris", model, Signature(columns_named(list("abcd"))))
    signature = read_signature(folder)
    here = OPENED(folder, signature, read_manifest(folder))
    apart = make(folder)
    for rows in (x[:1], x, x[::-7]):
        table = Table(signature, len(rows), matrix=np.ascontiguousarray(rows))
        assert_same_outputs(apart.predict(table), here.predict(table))
    with pytest.raises(InputRefused, match="refuses these values"):
        apart.predict(Table(signature, 1, matrix=np.full((1, 4), np.nan)))


@pytest.mark.parametrize("way", ["kill", "exit", "fault", "babble", "fork"])
def test_a_process_that_dies_fails_its_request_and_is_started_again(make: Make, way: str) -> None:
    runtime = make()
    before = pid_of(runtime)
    with pytest.raises(ModelCrashed, match="obeys"):
        runtime.predict(order(way))
    after = pid_of(runtime)
    assert after != before
    assert ends(before)


def test_what_a_model_has_forked_ends_with_it(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "modelway.model"):
        runtime = make()
        with pytest.raises(ModelCrashed):
            runtime.predict(order("fork"))
        end = time.monotonic() + PATIENCE_S
        while "forked" not in caplog.text and time.monotonic() < end:
            time.sleep(0.02)
    (line,) = [r.getMessage() for r in caplog.records if "forked" in r.getMessage()]
    assert ends(int(line.split()[-1]))


def test_a_process_that_dies_while_idle_costs_nobody_anything(make: Make) -> None:
    runtime = make()
    before = pid_of(runtime)
    os.kill(before, signal.SIGKILL)
    assert ends(before)
    assert pid_of(runtime) != before


def test_one_that_keeps_dying_is_started_ever_later_and_nobody_waits_for_it(make: Make) -> None:
    runtime = make(delays_s=(2.0, 4.0))
    for _ in range(2):
        with pytest.raises(ModelCrashed):
            runtime.predict(order("kill"))
    started = time.monotonic()
    with pytest.raises(ModelCrashed, match=r"2 times in a row; it is started again in 2\.0 s"):
        while time.monotonic() < started + PATIENCE_S:
            runtime.predict(order("kill"))
    assert time.monotonic() - started < 2.0
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            assert pid_of(runtime) > 0
            break
        except ModelCrashed:
            time.sleep(0.05)
    assert time.monotonic() - started >= 1.6
    with pytest.raises(ModelCrashed):  # it has answered, so this counts as the first again
        runtime.predict(order("kill"))
    assert pid_of(runtime) > 0


@pytest.mark.parametrize(("way", "said"), [("raise", "no such order"), ("odd", "no form in JSON")])
def test_what_a_model_raises_there_does_not_end_it(
    make: Make, way: str, said: str, rules: Path
) -> None:
    execution = executed(rules, opened=lambda *_: make(), isolation="process")
    before = pid_of(execution)
    with pytest.raises(Exception, match=said) as caught:
        execution.predict(order(way))
    assert getattr(caught.value, "code", "") in ("predict-failed", "output-invalid")
    assert pid_of(execution) == before
    assert execution.abandon()


def test_what_it_prints_goes_to_the_log_line_by_line(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "modelway.model"):
        runtime = make()
        runtime.predict(order("print"))
        end = time.monotonic() + PATIENCE_S
        while "line two" not in caplog.text and time.monotonic() < end:
            time.sleep(0.02)
    lines = [record.getMessage() for record in caplog.records]
    assert "obeys: the rules are read" in lines
    assert "obeys: line one" in lines
    assert max(map(len, lines)) < 9000


def test_closing_ends_the_process_whatever_it_is_at(make: Make) -> None:
    import threading

    runtime = make()
    before = pid_of(runtime)
    found: list[BaseException] = []

    def asked() -> None:
        try:
            runtime.predict(order("loop"))
        except ModelCrashed as error:
            found.append(error)

    thread = threading.Thread(target=asked)
    thread.start()
    time.sleep(0.1)
    runtime.close()
    runtime.close()
    thread.join(PATIENCE_S)
    assert len(found) == 1
    assert not is_alive(before)
    with pytest.raises(ModelCrashed, match="is ended"):
        runtime.predict(order("pid"))


@pytest.mark.parametrize(
    ("source", "said"),
    [("raise KeyError('lost')", "lost"), ("import os; os._exit(4)", "died while it opened")],
)
def test_what_cannot_be_opened_there_says_why(tmp_path: Path, source: str, said: str) -> None:
    folder = rule_bundle(tmp_path / "broken", source, "obeys", SIGNATURE)
    with pytest.raises(LoadFailed, match=said):
        ProcessRuntime(folder, allow_pickle=True)


def test_a_pickle_that_is_not_allowed_is_not_opened_there(tmp_path: Path) -> None:
    from modelway.domain.signature import columns_named

    folder = native_bundle(tmp_path / "pickled", object(), Signature(columns_named(["a"])))
    with pytest.raises(UnsafeFormat):
        ProcessRuntime(folder, allow_pickle=False)


def test_a_crash_fails_what_is_in_flight_and_the_event_loop_goes_on(rules: Path) -> None:
    settings = InferenceSettings(isolation="process")
    opened = opener(settings, allow_pickle=True)
    execution = executed(rules, opened=opened, isolation="process")

    async def several() -> None:
        slow = asyncio.create_task(answered(execution, order("sleep", value=0.3)))
        await asyncio.sleep(0.05)
        crashes = asyncio.create_task(answered(execution, order("kill")))
        later = [asyncio.create_task(answered(execution, order(f"n{k}"))) for k in range(5)]
        with pytest.raises(ModelCrashed):
            await crashes
        assert (await slow)["prediction"][0]["order"] == "sleep"
        assert [(await one)["prediction"][0]["order"] for one in later] == [
            f"n{k}" for k in range(5)
        ]

    asyncio.run(several())
    pid = pid_of(execution)
    assert execution.abandon()
    assert ends(pid)


def test_every_runner_has_a_process_of_its_own(rules: Path) -> None:
    opened = opener(InferenceSettings(isolation="process", runners=2), allow_pickle=True)
    execution = executed(rules, opened=opened, runners=2)

    async def several() -> tuple[float, list[Any]]:
        started = time.monotonic()
        both = [execution.run(order("sleep", value=1.0)) for _ in range(2)]
        await asyncio.gather(*both)
        took = time.monotonic() - started
        pids = await asyncio.gather(
            *(execution.run(order("sleep", "pid", value=0.2)) for _ in range(2))
        )
        return took, [one["prediction"][1] for one in pids]

    took, pids = asyncio.run(several())
    assert took < 1.9
    assert len(set(pids)) == 2
    assert execution.abandon()
    assert all(map(ends, pids))


def test_of_several_runtimes_one_that_crashed_is_asked_last(make: Make) -> None:
    one, other = make(), make()
    healthy = pid_of(one)
    pool = RuntimePool([one, other])
    assert pid_of(pool) == pid_of(other)
    with pytest.raises(ModelCrashed):
        pool.predict(order("kill"))
    assert [pid_of(pool) for _ in range(3)] == [healthy] * 3
    pool.close()
    assert not is_alive(healthy)


def test_in_threads_every_runner_has_a_model_of_its_own(tmp_path: Path) -> None:
    source = """
    import time

    class Kept:
        def predict(self, order, value):
            self.order = order
            time.sleep(0.05)
            return self.order
    """
    folder = rule_bundle(tmp_path / "kept", textwrap.dedent(source), "Kept", SIGNATURE)
    opened = opener(InferenceSettings(runners=3), allow_pickle=True)
    execution = executed(folder, opened=opened, runners=3)

    async def several() -> list[Any]:
        calls = [execution.run(order(f"n{k}")) for k in range(6)]
        return [one["prediction"][0] for one in await asyncio.gather(*calls)]

    assert asyncio.run(several()) == [f"n{k}" for k in range(6)]
    assert execution.abandon()


def test_a_compiled_model_needs_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    from modelway.bundles.manifest import read_manifest, read_signature
    from modelway.composition import isolation
    from support.live import ROOT

    folder = ROOT / "tests" / "golden" / "format-1-compiled"
    monkeypatch.setattr(isolation, "ProcessRuntime", None)
    opened = opener(InferenceSettings(isolation="process", runners=4), allow_pickle=True)
    opened(folder, read_signature(folder), read_manifest(folder)).close()


def test_where_no_process_can_inherit_a_socket_the_setting_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(BadValue, match=r"inference\.isolation"):
        opener(InferenceSettings(isolation="process"), allow_pickle=True)


PARENT = """
import sys, time
from pathlib import Path
from modelway.composition.isolation import ProcessRuntime
from tests_order import table
import threading

runtime = ProcessRuntime(Path(sys.argv[1]), allow_pickle=True)
print(int(runtime.predict(table("pid"))["prediction"][0]), flush=True)
threading.Thread(target=runtime.predict, args=(table("loop"),), daemon=True).start()
time.sleep(0.3)
print("busy", flush=True)
time.sleep(60)
"""
ORDER = """
import numpy as np
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Table

SIGNATURE = Signature(
    (Column("order", "order", Datatype.STRING), Column("value", "value", Datatype.FP64))
)

def table(order):
    return Table(SIGNATURE, 1, arrays=[np.array([order], dtype=object), np.zeros(1)])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends with its next call")
def test_a_process_dies_with_its_parent_even_while_it_is_busy(rules: Path, tmp_path: Path) -> None:
    (tmp_path / "tests_order.py").write_text(ORDER)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(rules)],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env=child_environment(PYTHONPATH=str(tmp_path)),
    )
    try:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert parent.stdout.readline() == b"busy\n"
        assert is_alive(child)
    finally:
        parent.kill()
        parent.communicate()
    assert ends(child)


def test_the_process_imports_nothing_that_trains_or_serves(rules: Path) -> None:
    code = "import sys; import modelway.composition.model_process; print(*sorted(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    banned = {"sklearn", "pandas", "onnxruntime", "mlflow", "uvicorn", "onnx"}
    assert not banned & {name.partition(".")[0] for name in found}


def test_requests_outlive_a_model_that_is_killed_now_and_then(rules: Path) -> None:
    """For a few seconds: whatever is killed, every request ends, and only crashes fail."""
    opened = partial(ProcessRuntime, allow_pickle=True, delays_s=(0.01, 0.05))
    execution = executed(rules, opened=lambda folder, *_: opened(folder), isolation="process")

    async def client(counts: dict[str, int], end: float) -> None:
        while time.monotonic() < end:
            try:
                outputs = await execution.run(order("x"), time.monotonic() + PATIENCE_S)
                assert outputs["prediction"][0]["order"] == "x"
                counts["answered"] += 1
            except ModelCrashed:
                counts["crashed"] += 1
                await asyncio.sleep(0.01)

    async def several() -> dict[str, int]:
        counts = {"answered": 0, "crashed": 0}
        end = time.monotonic() + 4
        clients = [asyncio.create_task(client(counts, end)) for _ in range(6)]
        for _ in range(3):
            await asyncio.sleep(0.9)
            with pytest.raises((ModelCrashed, PredictFailed)):
                await execution.run(order("kill"))
        await asyncio.wait_for(asyncio.gather(*clients), PATIENCE_S)
        return counts

    counts = asyncio.run(several())
    assert execution.abandon()
    assert counts["answered"] > 20 * max(1, counts["crashed"])
