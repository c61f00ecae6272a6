"""The supervisor: real child processes that are restarted, drained, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from support.ending import killed
from support.homes import is_running, wait_until

WORKER = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
plan = sys.stdin.readline().strip()
with open(sys.argv[1], "a") as log:
    log.write(f"{sys.argv[2]} {os.getpid()} {plan}\\n")
if plan == "fail":
    sys.exit(7)
if plan == "fork" and not os.fork():
    with open(sys.argv[1] + ".forked", "a") as forked:
        forked.write(f"{os.getpid()}\\n")
    time.sleep(600)
    os._exit(0)
print("ready", flush=True)
held = ""
for line in sys.stdin:
    number, _, order = line.partition(" ")
    if order == f"die {sys.argv[2]}\\n":
        os._exit(1)
    if order == f"sleep {sys.argv[2]}\\n":
        continue
    if order == "wait\\n":
        held = f"{number} {sys.argv[2]} heard {order}"
        continue
    print(f"{number} {sys.argv[2]} heard {order}{held}", end="", flush=True)
    held = ""
"""

SUPERVISOR = """
import asyncio, sys
from modelway.settings import child_environment
from modelway.supervisor.workers import Supervisor, WorkerCommand
worker, log, plan, *orders = sys.argv[1:]
command = WorkerCommand(
    arguments=lambda slot: [sys.executable, worker, log, str(slot)],
    fds=(), plan=lambda: plan.encode(), environment=child_environment(),
)

def late(slot, line):
    print(f"late {slot} {line}", flush=True)

async def supervise():
    ready = asyncio.Event()
    supervisor = Supervisor(
        command, 2, 3.0, when_ready=ready.set,
        restarted=lambda slot: print(f"restarted {slot}", flush=True),
    )
    running = asyncio.create_task(supervisor.run())
    await asyncio.wait((running, asyncio.create_task(ready.wait())), return_when="FIRST_COMPLETED")
    if ready.is_set():
        print("all ready", flush=True)
        for words in orders:
            asked = [supervisor.ask(one.encode(), 1.0, late=late) for one in words.split(" + ")]
            for reports in await asyncio.gather(*asked):
                print(reports, flush=True)
    return await running

sys.exit(asyncio.run(supervise()))
"""


def start(tmp_path: Path, plan: str, *orders: str) -> tuple[subprocess.Popen[str], Path]:
    worker, log = tmp_path / "worker.py", tmp_path / "log"
    worker.write_text(WORKER)
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(worker), str(log), plan, *orders],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process, log


def started(log: Path, number: int) -> list[tuple[int, int]]:
    """(slot, process) of each worker, once ``number`` of them were started."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        lines = log.read_text().splitlines() if log.exists() else []
        if len(lines) >= number:
            return [(int(line.split()[0]), int(line.split()[1])) for line in lines]
        time.sleep(0.02)
    raise AssertionError(f"{number} workers were not started")


def gone(process: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_a_killed_worker_is_replaced_in_its_slot_and_sigterm_ends_all(tmp_path: Path) -> None:
    supervisor, log = start(tmp_path, "go")
    with killed(supervisor):
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "all ready\n"
        slot, process = started(log, 2)[1]
        os.kill(process, signal.SIGKILL)
        workers = started(log, 3)
        assert workers[2][0] == slot
        supervisor.terminate()
        assert supervisor.wait(20) == 0
    assert all(gone(one) for _, one in workers)


def test_what_a_worker_has_forked_ends_with_it_and_keeps_its_slot_from_nobody(
    tmp_path: Path,
) -> None:
    supervisor, log = start(tmp_path, "fork")
    forked = tmp_path / "log.forked"

    def all_forked() -> list[int]:
        return [int(line) for line in forked.read_text().splitlines()] if forked.exists() else []

    with supervisor:
        try:
            assert supervisor.stdout is not None
            assert supervisor.stdout.readline() == "all ready\n"
            wait_until(lambda: len(all_forked()) == 2)
            slot, process = started(log, 2)[1]
            os.kill(process, signal.SIGKILL)
            assert started(log, 3)[2][0] == slot
            wait_until(lambda: len(all_forked()) == 3)
            wait_until(lambda: sum(map(is_running, all_forked())) == 2)
            supervisor.terminate()
            assert supervisor.wait(20) == 0
            wait_until(lambda: not any(map(is_running, all_forked())))
        finally:
            supervisor.kill()
            for one in filter(is_running, all_forked()):
                os.kill(one, signal.SIGKILL)


def test_workers_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    supervisor, log = start(tmp_path, "go")
    with killed(supervisor):
        workers = started(log, 2)
        supervisor.kill()
    assert all(gone(one) for _, one in workers)


def test_a_worker_that_cannot_start_ends_the_service_with_its_exit_code(tmp_path: Path) -> None:
    supervisor, log = start(tmp_path, "fail")
    with killed(supervisor):
        assert supervisor.wait(20) == 7
    assert len(log.read_text().splitlines()) <= 2


def test_every_worker_is_asked_and_one_that_does_not_report_is_replaced(tmp_path: Path) -> None:
    supervisor, log = start(tmp_path, "go", "hello", "die 0", "sleep 1", "again")
    with killed(supervisor):
        assert supervisor.stdout is not None
        said = [supervisor.stdout.readline().strip() for _ in range(2)]
        assert said == ["all ready", "{0: b'0 heard hello\\n', 1: b'1 heard hello\\n'}"]
        rest: list[str] = []
        while not {"restarted 0", "restarted 1"} <= set(rest) or len(rest) < 5:
            rest.append(supervisor.stdout.readline().strip())
            assert rest[-1], rest
        # Whoever is just starting is told late, or begins by a plan that says it already.
        answers = [line for line in rest if not line.startswith(("late", "restarted"))]
        assert answers[0] == "{0: None, 1: b'1 heard die 0\\n'}"
        assert "1:" not in answers[1], "who does not report in time is left out"
        started(log, 4)
        supervisor.terminate()
        assert supervisor.wait(20) == 0


def test_each_report_is_the_one_of_its_order_whichever_comes_first(tmp_path: Path) -> None:
    supervisor, _ = start(tmp_path, "go", "wait + hello")
    with killed(supervisor):
        assert supervisor.stdout is not None
        said = [supervisor.stdout.readline().strip() for _ in range(3)]
        assert said == [
            "all ready",
            "{0: b'0 heard wait\\n', 1: b'1 heard wait\\n'}",
            "{0: b'0 heard hello\\n', 1: b'1 heard hello\\n'}",
        ]
        supervisor.terminate()
        assert supervisor.wait(20) == 0
