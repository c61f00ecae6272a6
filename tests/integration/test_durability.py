"""What a job outlives: every process, or the power too, where that is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from modelway.backends.sql.store import Store, open_store
from modelway.composition.job_keeping import StoredJobs, stored_jobs
from modelway.composition.plan import JobPlan
from modelway.domain.errors import BadValue
from modelway.settings import load_settings
from support.canaries import controlled
from support.jobs import new_job
from support.own_postgresql import OwnPostgresql, own_postgresql
from support.stores import SERVERS, empty_database

SYNCHRONOUS = {"process": 1, "power": 2}
"""What SQLite calls NORMAL and FULL."""


def synchronous(store: Store) -> object:
    with store._database.reading() as connection:
        return connection.exec_driver_sql("PRAGMA synchronous").scalar()


async def kept(jobs: StoredJobs) -> Store:
    """The store of what keeps jobs, once it has kept one."""
    job = new_job("a")
    assert (await jobs.keep(job)).id == "a"
    return await jobs._store()


@pytest.mark.parametrize("durability", ["process", "power"])
def test_jobs_are_kept_as_the_settings_say(tmp_path: Path, durability: str) -> None:
    settings = load_settings({"jobs.durability": durability}, folder=tmp_path, environment={})
    url = f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    plan = JobPlan(url, 60.0, 60, settings.jobs.uploads_bytes, durable=settings.jobs.durable)
    with asyncio.run(kept(stored_jobs(plan))) as store:
        assert synchronous(store) == SYNCHRONOUS[durability]
        assert store.jobs.get("a").expires_at > store.jobs.get("a").created_at + timedelta(0)
    with controlled(tmp_path / "home", jobs__durability=durability) as control:
        assert synchronous(control.store) == SYNCHRONOUS[durability]


@pytest.fixture
def careless() -> Iterator[OwnPostgresql]:
    """A server that does not wait for the disk."""
    with own_postgresql() as server:
        yield server


@pytest.mark.services
def test_a_server_that_loses_what_it_has_kept_is_refused(careless: OwnPostgresql) -> None:
    with pytest.raises(BadValue, match="has fsync = off"):
        open_store(careless.url, durable=True)
    open_store(careless.url).close()


@pytest.mark.services
@pytest.mark.parametrize("kind", SERVERS)
def test_servers_as_they_are_installed_keep_it(tmp_path: Path, kind: str) -> None:
    with empty_database(kind, tmp_path) as url:
        with open_store(url, durable=True) as store:
            store.jobs.enqueue([new_job("a")])
        if kind == "postgresql":
            options = quote("-c synchronous_commit=off")
            with pytest.raises(BadValue, match="has synchronous_commit = off"):
                open_store(f"{url}?options={options}", durable=True)
