"""Jobs asked of ``modelway up`` and worked on by processes that a test may kill."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from modelway.endpoints.endpoint import Endpoint
from support.canaries import NUMBERS, PAUSING, controlled, linked_bundle
from support.homes import Up, wait_until
from support.live import MODELWAY
from support.served import function_bundle
from support.stores import rows_of
from support.trained import ROW

DONE_S = 180.0


def row(k: int) -> dict[str, float]:
    """A flower; which it is changes with ``k``."""
    return {**ROW, "petal_length": 1.0 + k % 60 / 10}


def asked(up: Up, path: str, **what: Any) -> Any:
    """The answer to a request; its JSON may be anything."""
    return up.ask(path, **what)


def submitted(up: Up, payload: object, **headers: str) -> Any:
    """The answer to a job that is handed in."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return asked(up, "/models/iris/jobs", payload=payload, headers=named)


def ended(up: Up, job_id: str) -> Any:
    """A job once it is done."""
    found: dict[str, Any] = {}

    def look() -> bool:
        found.update(asked(up, f"/jobs/{job_id}").json)
        return bool(found["done"])

    wait_until(look, DONE_S, lambda: found)
    return found


def without_ids(answer: Any) -> Any:
    """An answer but for what tells it from every other."""
    rows = answer if isinstance(answer, list) else [answer]
    return [{name: row[name] for name in row if name != "prediction_id"} for row in rows]


def answered_by_version_1(home: Path, url: str) -> None:
    """Have a new store know what the home's own does: an endpoint, and the bundle behind it."""
    with controlled(home) as known:
        digest = known.store.links.digest("iris", "1")
        promotions = known.store.ledger.history("iris", "champion")
    with controlled(home, store__url=url) as control:
        control.store.links.link("iris", "1", digest, None)
        control.store.ledger.append(promotions[0])
        control.rollouts.create(Endpoint("iris", "iris@champion"), "the test")


def left(up: Up) -> list[Any]:
    """Jobs that are not done."""
    states = ("queued", "leased")
    return [one for state in states for one in asked(up, f"/jobs?state={state}").json["jobs"]]


def handed_in(up: Up, payload: object, key: str) -> str:
    """The id of a job of the classic flow: what the service cannot take now is sent again."""
    while True:
        with contextlib.suppress(OSError):
            answer = asked(up, "/process", payload=payload, headers={"idempotency-key": f'"{key}"'})
            if answer.status == 202:
                return str(answer.json["id"])
            assert answer.status in (409, 429, 503), answer.body
        time.sleep(0.1)


def answered(up: Up, job_id: str) -> Any:
    """A job of the classic flow, asked for until it is done."""
    while True:
        with contextlib.suppress(OSError):
            answer = asked(up, f"/process?id={job_id}")
            if answer.status == 200 and answer.json["done"]:
                return answer.json
            assert answer.status in (200, 503), answer.body
        time.sleep(0.2)


def classic_flow(
    up: Up, payloads: Sequence[object], callers: int, begun: threading.Event | None = None
) -> dict[str, Any]:
    """Hand jobs in, then ask for each until it is done; the jobs by their ids, in order.

    ``begun`` is set once all are handed in.
    """
    with ThreadPoolExecutor(callers) as pool:
        keys = [f"flow-{k}" for k in range(len(payloads))]
        ids = list(pool.map(partial(handed_in, up), payloads, keys))
        if begun is not None:
            begun.set()
        return dict(zip(ids, pool.map(partial(answered, up), ids), strict=True))


class Workers:
    """Two ``modelway worker`` in a folder; one that was killed is started again."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._log = (folder / "workers.log").open("w")
        self._running = [self._start() for _ in range(2)]

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._running:
            one.send_signal(signal.SIGTERM)
        for one in self._running:
            one.wait(30)
        self._log.close()

    def kill_one(self, drawn: random.Random) -> None:
        """Kill one of them with SIGKILL, and start another."""
        self._kill(drawn.randrange(2))

    def kill(self, pid: int) -> None:
        """Kill the process of this id with SIGKILL; another is started for one of these."""
        for place, one in enumerate(self._running):
            if one.pid == pid:
                self._kill(place)
                return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def _kill(self, place: int) -> None:
        self._running[place].kill()
        self._running[place].wait()
        self._running[place] = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [*MODELWAY, "worker"]
        return subprocess.Popen(
            command, cwd=self._folder, env=self._environment, stdout=self._log, stderr=self._log
        )


PAUSED = "paused"
"""An endpoint that takes 10 ms for a row, so that who is killed has something to do."""


def paused(home: Path, url: str) -> None:
    """Have a new store know that endpoint, and a home its bundle."""
    with controlled(home, store__url=url) as control:
        source = PAUSING.format(seconds=0.01)
        bundle = function_bundle(home.parent / PAUSED, source, "rule", NUMBERS, row_wise=True)
        linked_bundle(control, bundle, PAUSED, "1")
        control.rollouts.create(Endpoint(PAUSED, f"{PAUSED}:1"), "the test")


def check_ended_once_while_killing(
    up: Up, url: str, folder: Path, environment: Mapping[str, str], n: int
) -> None:
    """Jobs of ``PAUSED`` whose workers are killed with them in their hands end once, and right.

    The workers run in a folder, beside the one of ``up``.
    """
    payloads = [{"a": k % 60} for k in range(n)]
    expected = {
        one["a"]: without_ids(asked(up, f"/models/{PAUSED}/predict", payload=one).json)
        for one in payloads[:60]
    }
    over, begun = threading.Event(), threading.Event()
    with Workers(folder, environment) as workers, ThreadPoolExecutor(1) as pool:
        killing = pool.submit(_killed_at_work, workers, url, begun, over)
        try:
            jobs = classic_flow(up, payloads, 4, begun)
        finally:
            over.set()
            begun.set()
        assert killing.result() >= _LEAST_KILLS
    for (id, job), payload in zip(jobs.items(), payloads, strict=True):
        assert job["state"] == "succeeded", job
        assert without_ids(job["response"]) == expected[payload["a"]], job
        assert job["id"] == id
    _check_once(url, jobs)
    lapsed = rows_of(url, "SELECT COUNT(*) FROM modelway_job_attempts WHERE outcome = 'lapsed'")
    assert lapsed[0][0] >= _LEAST_KILLS


def check_ended_once(up: Up, url: str, taken: Mapping[str, int]) -> None:
    """Every job has the answer of ``predict``, and in the store one result and one such attempt.

    ``taken`` says which row each asks for, by its id.
    """
    expected = {k: asked(up, "/models/iris/predict", payload=row(k)).json for k in range(60)}
    for id, k in taken.items():
        job = asked(up, f"/jobs/{id}").json
        assert job["state"] == "succeeded", job
        assert without_ids(job["response"]) == without_ids(expected[k % 60])
    _check_once(url, taken)


def _check_once(url: str, ids: Collection[str]) -> None:
    for once in (
        "SELECT job FROM modelway_job_attempts WHERE outcome = 'succeeded'",
        "SELECT job FROM modelway_job_payloads WHERE part = 'result'",
    ):
        assert sorted(job for (job,) in rows_of(url, once)) == sorted(ids)


_LEAST_KILLS = 3
_MOST_KILLS = 6


def _killed_at_work(
    workers: Workers, url: str, begun: threading.Event, over: threading.Event
) -> int:
    """Kill whoever the store says has jobs, some times; how often."""
    begun.wait()
    kills = 0
    while kills < _MOST_KILLS and not over.wait(0.1):
        query = "SELECT DISTINCT worker FROM modelway_jobs WHERE state = 'leased'"
        with contextlib.suppress(sqlite3.OperationalError):  # it is being written
            for (worker,) in rows_of(url, query)[:1]:
                workers.kill(int(worker.rpartition("-")[2]))
                kills += 1
                over.wait(0.3)
    return kills
