"""Small jobs over HTTP, end to end, beside Celery: the same rows, the same load, in turns.

``python bench/jobs.py`` presses each side with wrk for some seconds, single rows over 32
connections, each taken with a 202 that outlives every process; then it waits until the last of them
is answered. What counts is the jobs answered from the first request to the last result. Sides:

- ``embedded``: ``modelway up`` in a home of its own; the queue is its SQLite;
- ``rabbitmq``: ``modelway up`` and a second worker on PostgreSQL and RabbitMQ;
- ``celery``: two processes of Celery on RabbitMQ with results in PostgreSQL behind FastAPI and
  uvicorn, in three configurations, of which the best counts.

Afterwards each side is given known rows, whose answers must be right. The figures of a whole run go
to ``bench/results/jobs.json``. Needs ``wrk``, PostgreSQL and RabbitMQ, as the tests do.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import environments
import fitted_models
import load
from forms import json_form
from forms import records as objects
from http_stack import free_port
from peers.description import SHARED, Environment
from recording import prepare

from modelway.settings import child_environment
from support.stores import empty_database, rows_of

RESULTS = Path(__file__).parent / "results" / "jobs.json"
CELERY = Path(__file__).parent / "celery_jobs"
BROKER = os.environ.get("MODELWAY_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672/%2F")
CONNECTIONS = 32
CELERYS = (("classic", 8), ("quorum", 8), ("quorum", 64))
"""Kinds of queue, and how many tasks a process of Celery takes ahead."""
KNOWN = 50
READY_S = 60.0
DONE_S = 300.0
LEAST = {"embedded": 5.0, "rabbitmq": 3.0}
"""So many times as quick as Celery each of ours must be."""

SIDES = {*LEAST, "celery"}
ROUNDS = 3
PATH = "/models/iris/jobs"


@dataclass(frozen=True)
class Side:
    """A service that takes jobs; ``counts`` gives how many it has, and how many are answered."""

    port: int
    counts: Callable[[], tuple[int, int]]


def main() -> int:
    """Measure, and say whether what must be is so."""
    given = _given()
    fitted = fitted_models.linear()
    celery = Environment("celery", (CELERY / "requirements.txt",))
    environments.install(celery, given.environments)
    python = given.environments / celery.name / "bin" / "python"
    sides: dict[str, Callable[[Path], Any]] = {
        "embedded": partial(embedded, fitted=fitted),
        "rabbitmq": partial(on_rabbitmq, fitted=fitted),
        **{
            f"celery, {kind} queue, prefetch {n}": partial(
                on_celery, fitted=fitted, python=python, kind=kind, prefetch=n
            )
            for kind, n in CELERYS
        },
    }
    sides = {name: side for name, side in sides.items() if name.startswith(tuple(given.sides))}
    found: dict[str, list[float]] = {name: [] for name in sides}
    for k in range(given.rounds):
        for name, side in sides.items():
            with tempfile.TemporaryDirectory() as folder, side(Path(folder)) as one:
                rate = measured(one, fitted, given.seconds)
            found[name].append(rate)
            print(f"round {k}: {name}: {rate:,.0f} jobs/s", flush=True)
    is_whole = set(given.sides) == SIDES and given.rounds >= ROUNDS
    return _told(found, is_whole=is_whole)


def measured(side: Side, fitted: fitted_models.Fitted, seconds: float) -> float:
    """Jobs a second, from the first request to the last result."""
    form = json_form(PATH, lambda rows: objects(rows)[0], lambda answer: [answer])
    asked: Any = SimpleNamespace(rows=fitted.rows)
    _check(side, fitted, 1)
    before, _ = side.counts()
    with load.written(load.bodies(form, asked, 1, side.port)) as requests:
        begun = time.monotonic()
        pressed = load.pressed(side.port, requests, CONNECTIONS, seconds)
        if pressed.refused or pressed.broken:
            raise load.LoadFailed(f"{pressed.refused} refused, {pressed.broken} broken")
        until = time.monotonic() + DONE_S
        while True:
            taken, answered = side.counts()
            if answered == taken:
                break
            if time.monotonic() > until:
                raise load.LoadFailed(f"{taken - answered} of {taken} are not answered")
            time.sleep(0.1)
        took_s = time.monotonic() - begun
    # What was on its way when wrk ended was taken too, and not counted by it.
    if not pressed.requests <= taken - before <= pressed.requests + CONNECTIONS:
        raise load.LoadFailed(f"{pressed.requests} were taken, there are {taken - before}")
    _check(side, fitted, KNOWN)
    return (taken - before) / took_s


def _check(side: Side, fitted: fitted_models.Fitted, n: int) -> None:
    """Hand in known rows and compare their answers."""
    connection = HTTPConnection(load.HOST, side.port, timeout=READY_S)

    def asked(method: str, path: str, body: str | None = None) -> Any:
        connection.request(method, path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status // 100 != 2:
            raise load.LoadFailed(f"{path} answered {answer.status}: {content[:500]!r}")
        return json.loads(content)

    rows = objects(fitted.rows.head(n))
    ids = [asked("POST", PATH, json.dumps(row))["id"] for row in rows]
    for id, expected in zip(ids, fitted.expected.tolist(), strict=False):
        until = time.monotonic() + DONE_S
        while not (job := asked("GET", f"/jobs/{id}"))["done"]:
            if time.monotonic() > until:
                raise load.LoadFailed(f"{id} is not answered")
            time.sleep(0.01)
        if job["response"]["prediction"] != expected:
            raise load.LoadFailed(f"{id} was answered {job}, not {expected}")
    connection.close()


@contextmanager
def embedded(folder: Path, fitted: fitted_models.Fitted) -> Iterator[Side]:
    """``modelway up`` as it is."""
    home = folder / "home"
    prepare(home, fitted)
    with _up(folder, home, {}) as port:
        yield Side(port, lambda: _jobs(f"sqlite:///{home / 'control.db'}"))


@contextmanager
def on_rabbitmq(folder: Path, fitted: fitted_models.Fitted) -> Iterator[Side]:
    """``modelway up`` and a second worker on PostgreSQL and RabbitMQ."""
    home = folder / "home"
    with empty_database("postgresql", folder) as store, ExitStack() as stack:
        environment = {"MODELWAY__STORE__URL": store, "MODELWAY__JOBS__BROKER": BROKER}
        prepare(home, fitted, {"store.url": store})
        port = stack.enter_context(_up(folder, home, environment))
        worker = [sys.executable, "-m", "modelway", "worker", "--home", str(home)]
        stack.enter_context(_running(worker, child_environment(**environment), folder / "worker"))
        yield Side(port, lambda: _jobs(store))


@contextmanager
def on_celery(
    folder: Path, fitted: fitted_models.Fitted, python: Path, kind: str, prefetch: int
) -> Iterator[Side]:
    """Two processes of Celery behind uvicorn."""
    (folder / "model.pickle").write_bytes(fitted.content)
    port = free_port()
    with empty_database("postgresql", folder) as store, ExitStack() as stack:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{CELERY}{os.pathsep}{SHARED}",
            "MODEL": str(folder / "model.pickle"),
            "BROKER": BROKER.replace("amqp:", "pyamqp:"),
            # No wait for the disk at each result: it outlives a process and not a loss of power.
            "RESULTS": f"{store}?options=-c%20synchronous_commit%3Doff".replace(
                "postgresql:", "db+postgresql+psycopg:"
            ),
            "QUEUE": f"modelway-bench-{os.getpid()}-{port}",
            "KIND": kind,
            "PREFETCH": str(prefetch),
        }
        words = (
            "-m",
            "celery",
            "-A",
            "tasks",
            "worker",
            "--concurrency",
            "2",
            "-O",
            "fair",
            "-n",
            f"{port}@%h",
        )
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING")
        worker = [str(python), *words, *quiet]
        stack.enter_context(_running(worker, environment, folder / "worker"))
        front = ("-m", "uvicorn", "front:app", "--port", str(port), "--no-access-log")
        command = [str(python), *front, "--log-level", "warning"]
        stack.enter_context(_running(command, environment, folder / "front"))
        _wait(lambda: _said(port, "/taken") is not None, folder / "front")

        def counts() -> tuple[int, int]:
            taken = int(_said(port, "/taken")["taken"])
            return taken, int(rows_of(store, "SELECT count(*) FROM celery_taskmeta")[0][0])

        yield Side(port, counts)


def _jobs(store: str) -> tuple[int, int]:
    counted = rows_of(store, "SELECT state, count(*) FROM modelway_jobs GROUP BY state")
    states = {str(state): int(n) for state, n in counted}
    if wrong := set(states) - {"queued", "leased", "succeeded"}:
        raise load.LoadFailed(f"jobs have {', '.join(sorted(wrong))}")
    return sum(states.values()), states.get("succeeded", 0)


@contextmanager
def _up(folder: Path, home: Path, environment: Mapping[str, str]) -> Iterator[int]:
    port = free_port()
    words = ("up", "--home", str(home), "--no-mlflow", "--port", str(port), "--admin-port", "0")
    command = [sys.executable, "-m", "modelway", *words]
    own = child_environment(MODELWAY__RECORDS__ENABLED="false", **environment)
    with _running(command, own, folder / "up"):
        _wait(lambda: _said(port, "/health/ready") is not None, folder / "up")
        yield port


@contextmanager
def _running(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=dict(environment))
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def _said(port: int, path: str) -> Any:
    connection = HTTPConnection(load.HOST, port, timeout=READY_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return json.loads(answer.read()) if answer.status == 200 else None
    finally:
        connection.close()


def _wait(ready: Callable[[], bool], log: Path) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        try:
            if ready():
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise load.LoadFailed(log.read_text(errors="replace")[-2000:])


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how many ({ROUNDS})")
    parser.add_argument("--seconds", type=float, default=10, help="of load, each (10)")
    parser.add_argument("--sides", nargs="+", default=sorted(SIDES), help="which (all)")
    parser.add_argument(
        "--environments", type=Path, default=Path.home() / ".cache" / "modelway-bench"
    )
    return parser.parse_args()


def _told(found: Mapping[str, Sequence[float]], *, is_whole: bool) -> int:
    medians = {name: statistics.median(rates) for name, rates in found.items()}
    best = max((rate for name, rate in medians.items() if name.startswith("celery")), default=0.0)
    ratios = {name: medians[name] / best for name in LEAST if name in medians and best}
    figures = {"jobs_per_s": medians, "ratios_to_best_of_celery": ratios, "rounds": found}
    print(json.dumps(figures, indent=1))
    if is_whole:
        RESULTS.write_text(json.dumps(figures, indent=1) + "\n")
    return int(any(ratios.get(name, 0.0) < least for name, least in LEAST.items()))


if __name__ == "__main__":
    sys.exit(main())
