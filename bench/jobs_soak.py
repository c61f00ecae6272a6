"""The soak of jobs: 10,000 of them while a worker is killed every second, by the same client twice.

The client is the classic one: ``POST /process``, then ``GET /process?id=`` until it is done.

Once on the embedded store, once on PostgreSQL with RabbitMQ, each a server of this run that is
killed and started again in the middle. ``make soak`` runs it, prints a table, and writes
``bench/results/jobs_soak.json``. Ends with 1 where a job is lost, has another answer than
``predict``, or ended twice. Linux only.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.homes import HOME, Homes, Up, children_of, copied
from support.job_flow import Workers, answered_by_version_1, classic_flow, row, without_ids
from support.own_postgresql import OwnPostgresql, own_postgresql
from support.own_rabbitmq import OwnRabbitmq, own_rabbitmq
from support.stores import rows_of
from support.trained import follow_tutorial

RESULTS = Path(__file__).parent / "results" / "jobs_soak.json"
JOBS = 10_000
CALLERS = 8
KILL_EVERY_S = 1.0
LEASE_S = "2"
DIFFERENT = 60
"""How many different rows are sent."""

Act = Callable[[], object]


@dataclass
class Disturbing:
    """Kills a worker every second, and lets each of some ``breaks`` happen once on the way.

    ``done`` says which share of the jobs has ended.
    """

    up: Up
    workers: Workers
    breaks: Sequence[Act]
    done: Callable[[], float]
    drawn: random.Random
    kills: int = 0
    broken_at: list[float] = field(default_factory=list)

    def run(self, over: threading.Event) -> None:
        """Do so until it is over."""
        breaking = [threading.Thread(target=one) for one in self.breaks]
        while not over.wait(KILL_EVERY_S):
            self._kill()
            begun = len(self.broken_at)
            done = self.done() if begun < len(breaking) else 0.0
            if done >= (begun + 1) / (len(breaking) + 1):
                self.broken_at.append(round(done, 2))
                breaking[begun].start()
        for one in breaking[: len(self.broken_at)]:
            one.join()

    def _kill(self) -> None:
        """Kill one of the two in the folder, or the one that ``up`` has started."""
        own = [pid for pid in children_of(self.up.process.pid) if is_worker(pid)]
        if own and self.drawn.random() < 1 / 3:
            with contextlib.suppress(ProcessLookupError):
                os.kill(own[0], signal.SIGKILL)
        else:
            self.workers.kill_one(self.drawn)
        self.kills += 1


def is_worker(pid: int) -> bool:
    """Whether a process is a ``modelway worker``."""
    with contextlib.suppress(OSError):
        return b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False


def soaked(folder: Path, url: str, broker: str, breaks: Sequence[Act], seed: int) -> dict[str, Any]:
    """Run the classic flow on a store and a broker; what came of it."""
    environment = {"MODELWAY__JOBS__LEASE_S": LEASE_S, "MODELWAY__JOBS__BROKER": broker}
    with Homes() as homes:
        up = homes.up(folder, "--no-mlflow", "--store", url, environment=environment)
        expected = {
            k: without_ids(up.ask("/models/iris/predict", payload=row(k)).json)
            for k in range(DIFFERENT)
        }
        over = threading.Event()
        begun = time.monotonic()
        with Workers(folder, environment) as workers:
            disturbing = Disturbing(
                up, workers, breaks, lambda: share_done(url), random.Random(seed)
            )
            kills = threading.Thread(target=disturbing.run, args=(over,), daemon=True)
            kills.start()
            jobs = classic_flow(up, [row(k) for k in range(JOBS)], CALLERS)
            seconds = time.monotonic() - begun
            over.set()
            kills.join()
    faults = [*faulty(jobs, expected), *doubled(url, jobs)]
    if len(disturbing.broken_at) < len(breaks):
        faults.append("a server was not restarted before the end")
    attempts = Counter(job["metadata"]["attempt"] for job in jobs.values())
    return {
        "jobs": len(jobs),
        "seconds": round(seconds, 1),
        "kills": disturbing.kills,
        "restarts_at_share_done": disturbing.broken_at,
        "attempts_of_jobs": {str(n): attempts[n] for n in sorted(attempts)},
        "faults": faults,
    }


def share_done(url: str) -> float:
    """Which share of the jobs has succeeded, as the store says it; nothing while it is away."""
    try:
        ((n,),) = rows_of(url, "SELECT COUNT(*) FROM modelway_jobs WHERE state = 'succeeded'")
    except Exception:  # noqa: BLE001 - each driver has errors of its own for a store that is away
        return 0.0
    return int(n) / JOBS


def faulty(jobs: Mapping[str, Any], expected: Mapping[int, Any]) -> Iterator[str]:
    """The jobs that are missing, have not succeeded, or have another answer than ``predict``."""
    if len(jobs) != JOBS:
        yield f"{JOBS - len(jobs)} jobs were given an id that another has"
    for k, (id, job) in enumerate(jobs.items()):
        if job["state"] != "succeeded":
            yield f"{id} is {job['state']}: {job.get('error')}"
        elif without_ids(job["response"]) != expected[k % DIFFERENT]:
            yield f"{id} was answered {job['response']}"


def doubled(url: str, jobs: Mapping[str, Any]) -> Iterator[str]:
    """What the store has beside one result and one successful attempt of each job."""
    for what, query in (
        ("jobs", "SELECT id FROM modelway_jobs"),
        ("results", "SELECT job FROM modelway_job_payloads WHERE part = 'result'"),
        ("ends", "SELECT job FROM modelway_job_attempts WHERE outcome = 'succeeded'"),
    ):
        found = Counter(id for (id,) in rows_of(url, query))
        if found != Counter(jobs.keys()):
            lost, more = Counter(jobs.keys()) - found, found - Counter(jobs.keys())
            yield f"{what}: {lost.total()} are missing, {more.total()} too many"


def restarting(server: OwnPostgresql | OwnRabbitmq) -> Act:
    """What kills a server and starts it again two seconds later."""

    def act() -> None:
        server.kill() if isinstance(server, OwnRabbitmq) else server.stop()
        time.sleep(2)
        server.start()

    return act


def main() -> int:
    """Run it on both; write the figures; print them."""
    seed = secrets.randbelow(1_000_000)
    told: dict[str, Any] = {"seed": seed}
    with tempfile.TemporaryDirectory() as root:
        trained = Path(root) / "trained"
        trained.mkdir()
        follow_tutorial(trained)
        folder = copied(trained, Path(root) / "embedded")
        own = f"sqlite:///{folder / HOME / 'control.db'}"
        told["sqlite"] = soaked(folder, own, "", (), seed)
        folder = copied(trained, Path(root) / "spread")
        with own_postgresql() as store, own_rabbitmq() as broker:
            broker.start()
            answered_by_version_1(folder / HOME, store.url)
            breaks = (restarting(broker), restarting(store))
            told["postgresql and rabbitmq"] = soaked(folder, store.url, broker.url, breaks, seed)
    RESULTS.write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told, indent=1))
    runs = (told["sqlite"], told["postgresql and rabbitmq"])
    return int(any(run["faults"] for run in runs))


if __name__ == "__main__":
    sys.exit(main())
