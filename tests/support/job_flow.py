"""Jobs asked of ``modelway up`` and worked on by processes that a test may kill."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from modelway.endpoints.endpoint import Endpoint
from support.canaries import controlled
from support.homes import Up, wait_until
from support.live import MODELWAY
from support.stores import rows_of
from support.trained import ROW

DONE_S = 180.0
_KILLING_S = 8.0


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
        place = drawn.randrange(2)
        self._running[place].kill()
        self._running[place].wait()
        self._running[place] = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [*MODELWAY, "worker"]
        return subprocess.Popen(
            command, cwd=self._folder, env=self._environment, stdout=self._log, stderr=self._log
        )


def taken_while_killing(
    up: Up, folder: Path, environment: Mapping[str, str], n: int, drawn: random.Random
) -> dict[str, int]:
    """Hand ``n`` jobs in while workers in a folder are killed, and wait until all are done.

    Gives which row each job asks for, by its id.
    """
    with Workers(folder, environment) as workers, ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda k: (k, submitted(up, row(k))), range(n))
        until = time.monotonic() + _KILLING_S
        while time.monotonic() < until:
            time.sleep(drawn.uniform(0.3, 1.3))
            workers.kill_one(drawn)
        taken = {answer.json["id"]: k for k, answer in answers if answer.status == 202}
        assert len(taken) == n
        wait_until(lambda: not left(up), DONE_S, lambda: left(up))
    return taken


def check_ended_once(up: Up, url: str, taken: Mapping[str, int]) -> None:
    """Every job has the answer of ``predict``, and in the store one result and one such attempt."""
    expected = {k: asked(up, "/models/iris/predict", payload=row(k)).json for k in range(60)}
    for id, k in taken.items():
        job = asked(up, f"/jobs/{id}").json
        assert job["state"] == "succeeded", job
        assert without_ids(job["response"]) == without_ids(expected[k % 60])
    for once in (
        "SELECT job FROM modelway_job_attempts WHERE outcome = 'succeeded'",
        "SELECT job FROM modelway_job_payloads WHERE part = 'result'",
    ):
        assert sorted(job for (job,) in rows_of(url, once)) == sorted(taken)
