"""``modelway worker`` on a host where nothing else runs, or ``modelway up`` only later."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from functools import partial
from pathlib import Path

import pytest

from modelway.endpoints.endpoint import Endpoint
from support.canaries import STEADY, controlled, linked, moved
from support.homes import HOME, Homes, Up, children_of, wait_until
from support.job_flow import DONE_S, asked
from support.jobs import new_job
from support.live import MODELWAY
from support.stores import empty_database
from support.webhooks import SECRET, called

pytestmark = pytest.mark.services

ENDLESS = """
import pathlib, time

pathlib.Path({opening!r}).touch()
time.sleep(600)


""" + STEADY.format(number=1)


def test_what_it_answers_is_recorded_where_all_hosts_read(tmp_path: Path) -> None:
    bundles, records = (f"file://{tmp_path / name}" for name in ("bundles", "records"))
    with empty_database("postgresql", tmp_path) as store, Homes() as homes:
        here, there = tmp_path / "here", tmp_path / "there"
        here.mkdir()
        there.mkdir()
        with controlled(here / HOME, store__url=store, bundles__url=bundles) as control:
            linked(control, tmp_path, {"1": STEADY.format(number=1)})
            moved(control, "1")
            control.rollouts.create(Endpoint("rule", "rule@champion"), "ann")
            control.registered.share(control.store.links.digest("rule", "1") or "")
            jobs = control.store.jobs
            jobs.enqueue([new_job("asked", endpoint="rule", content=b'{"a": 3}')])
            words = ("--store", store, "--bundles", bundles, "--records", records)
            with OneWorker(there, *words) as worker:
                wait_until(lambda: jobs.get("asked").state.is_done, 60, worker.log.read_text)
                assert jobs.get("asked").state == "succeeded"
            up = homes.up(here, *words, "--no-mlflow", workers=1)
            wait_until(partial(recorded, up, "asked"), told=worker.log.read_text)


def test_it_tends_to_the_home_only_while_no_service_does(tmp_path: Path) -> None:
    with OneWorker(tmp_path) as worker, Homes() as homes:
        wait_until(worker.tends, DONE_S, worker.log.read_text)
        up = homes.up(tmp_path, "--no-mlflow", workers=1)
        wait_until(lambda: not worker.tends(), DONE_S, worker.log.read_text)
        assert up.stop() == 0
        wait_until(worker.tends, DONE_S, worker.log.read_text)


def test_callbacks_wait_for_nobody_who_tends_to_the_home(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    with controlled(tmp_path / HOME) as control, called() as server, Homes() as homes:
        linked(control, tmp_path, {"1": STEADY.format(number=1)})
        control.rollouts.create(Endpoint("rule", "rule:1"), "ann")
        environment = {
            "MODELWAY__JOBS__CALLBACKS": server.url(),
            "MODELWAY__JOBS__CALLBACK_SECRET": str(secret),
        }
        with control.home.tended(threading.Event()):
            up = homes.up(tmp_path, "--no-mlflow", workers=1, environment=environment)
            headers = {"modelway-callback": server.url("/hooks/7")}
            assert asked(up, "/models/rule/jobs", payload={"a": 3}, headers=headers).status == 202
            wait_until(lambda: len(server.calls) == 1, DONE_S, up.log.read_text)


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_it_ends_while_a_bundle_opens(
    tmp_path: Path, isolation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELWAY__INFERENCE__ISOLATION", isolation)
    opening = tmp_path / "opening"
    with controlled(tmp_path / HOME) as control:
        linked(control, tmp_path, {"1": ENDLESS.format(opening=str(opening))})
        control.rollouts.create(Endpoint("rule", "rule:1"), "ann")
    with OneWorker(tmp_path) as worker:
        wait_until(opening.exists, DONE_S, worker.log.read_text)


def test_it_ends_while_a_bundle_opens_that_is_wanted_later(tmp_path: Path) -> None:
    opening = tmp_path / "opening"
    with controlled(tmp_path / HOME) as control, OneWorker(tmp_path) as worker:
        linked(control, tmp_path, {"1": ENDLESS.format(opening=str(opening))})
        wait_until(lambda: "Working on" in worker.log.read_text(), DONE_S)
        control.rollouts.create(Endpoint("rule", "rule:1"), "ann")
        wait_until(opening.exists, DONE_S, worker.log.read_text)


def test_a_home_is_there_for_others_while_it_works(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/shared.db"
    with controlled(tmp_path / HOME, store__url=store) as control:
        with OneWorker(tmp_path, "--store", store) as worker:
            wait_until(lambda: "Working on" in worker.log.read_text(), DONE_S)
            assert [one.home for one in control.store.homes.all()] == [control.home.id]
        assert control.store.homes.all() == []


def test_what_keeps_it_from_tending_is_said(tmp_path: Path) -> None:
    with OneWorker(tmp_path) as worker:
        wait_until(worker.tends, DONE_S, worker.log.read_text)
        lock = tmp_path / HOME / "up.lock"
        lock.unlink(missing_ok=True)
        lock.symlink_to(lock)  # nobody can open it
        try:
            wait_until(lambda: "goes on beside" in worker.log.read_text(), DONE_S)
        finally:
            lock.unlink()


def recorded(up: Up, id: str) -> bool:
    """Whether a host knows the record of a prediction."""
    return up.administer("GET", f"/records/{id}").status == 200


class OneWorker:
    """A worker with its home in a folder, until the end of the block."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.log = folder / "worker.log"
        with self.log.open("w") as said:
            self._process = subprocess.Popen(
                [*MODELWAY, "worker", *words], cwd=folder, stdout=said, stderr=said, env=os.environ
            )

    def tends(self) -> bool:
        """Whether it has a process that tends to the home."""
        for pid in children_of(self._process.pid):
            with contextlib.suppress(OSError):
                if b"tend" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    return True
        return False

    def __enter__(self) -> OneWorker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            assert self._process.wait(60) == 0, self.log.read_text()
        finally:
            self._process.kill()
            self._process.wait()
