"""Processes that lease and end jobs are killed at any moment, while others hand jobs in.

Every job that was kept ends exactly once, and none is lost.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import pytest

from modelway.backends.sql.store import open_store
from modelway.domain.jobs import JobState
from support.jobs import new_job
from support.stores import KINDS, empty_database, rows_of

JOBS, AT_ONCE, WORKERS, KILLS = 600, 30, 3, 5
WORKER = """
import os, sys
from modelway.backends.sql.store import open_store
from modelway.domain.jobs import Payload
from modelway.jobs.ports import Succeeded
with open_store(sys.argv[1]) as store:
    os.write(1, b"ready\\n")
    while True:
        leased = store.jobs.lease({"a": 16, "b": 16}, 2**20, sys.argv[2], 0.5)
        done = [Succeeded(one.id, one.token, Payload(sys.argv[2].encode(), "")) for one in leased]
        for id in store.jobs.complete(done):
            os.write(1, f"{id}\\n".encode())  # whole: others write to the same file
        if not leased:
            store.jobs.wait(["a", "b"], 1)
"""

HOLDER = """
import sys
from modelway.backends.sql.store import open_store
with open_store(sys.argv[1]) as store:
    leased = store.jobs.lease({"a": 16, "b": 16}, 2**20, "holder", 0.5)
    print(len(leased), flush=True)
    sys.stdin.read()
"""
"""Is killed while it has leases; of the others nobody knows what they do at that moment."""


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A store in which nothing is."""
    with empty_database(str(request.param), tmp_path) as made:
        yield made


def test_every_job_ends_once_and_none_is_lost(url: str, tmp_path: Path) -> None:
    chance = random.Random(7)
    told = tmp_path / "told"
    with open_store(url) as store, told.open("w") as ends:

        def begun(name: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-W", "error", "-c", WORKER, url, name]
            return subprocess.Popen(command, stdout=ends, stderr=subprocess.PIPE, text=True)

        first = [new_job(endpoint="a") for _ in range(AT_ONCE)]
        kept = [one.id for one in store.jobs.enqueue(first)]
        held = leased_and_killed(url)
        workers = [begun(f"w{n}") for n in range(WORKERS)]
        try:
            kills = 0
            while len(kept) < JOBS:
                jobs = [new_job(endpoint=chance.choice("ab")) for _ in range(AT_ONCE)]
                kept += [one.id for one in store.jobs.enqueue(jobs)]
                if len(kept) * KILLS >= (kills + 1) * JOBS:
                    time.sleep(chance.uniform(0.1, 0.4))
                    victim = chance.randrange(WORKERS)
                    workers[victim].kill()
                    workers[victim].communicate()
                    kills += 1
                    workers[victim] = begun(f"k{kills}")
            until = time.monotonic() + 120
            while any(d.queued + d.leased for d in store.jobs.depths().values()):
                assert time.monotonic() < until
                time.sleep(0.05)
            assert [one.poll() for one in workers] == [None] * WORKERS
        finally:
            for one in workers:
                one.kill()
                one.communicate()
        found = store.jobs.page(JobState.SUCCEEDED, None, None, 2 * JOBS)
    said = [line for line in told.read_text().split() if line != "ready"]
    assert len(said) == len(set(said)), "one ended twice"
    assert set(said) <= {one.id for one in found} == set(kept)
    once = "SELECT job FROM modelway_job_attempts WHERE outcome = 'succeeded'"
    assert sorted(job for (job,) in rows_of(url, once)) == sorted(kept)
    assert rows_of(url, "SELECT COUNT(*) FROM modelway_job_payloads") == [(2 * JOBS,)]
    lapsed = "SELECT outcome FROM modelway_job_attempts WHERE worker = 'holder'"
    assert rows_of(url, lapsed) == [("lapsed",)] * held


def leased_and_killed(url: str) -> int:
    """A process leases some jobs and is killed; gives how many."""
    command = [sys.executable, "-W", "error", "-c", HOLDER, url]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as holder:
        assert holder.stdout is not None
        said = holder.stdout.readline()
        holder.kill()
        _, error = holder.communicate()
    assert said, error
    held = int(said)
    assert held > 0
    return held
