"""Callbacks of a real store, told to a real server: again where it fails, and not for ever."""

from __future__ import annotations

import base64
import random
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from modelway.backends.sql.store import Store, open_store
from modelway.backends.webhook_http import WebhookPost
from modelway.composition.calling_back import said_of
from modelway.composition.job_operations import CANCEL, LIST, RETRY, SHOW, OfJob, SomeJobs
from modelway.composition.tending import callbacks, forget_jobs
from modelway.domain.errors import JobNotFound
from modelway.domain.jobs import JobState, Payload
from modelway.jobs.callbacks import AllowedUrls
from modelway.jobs.calling_back import CallingBack, Telling
from modelway.jobs.ports import Succeeded
from modelway.jobs.retrying import Retrying
from support.canaries import controlled
from support.homes import HOME, cli, wait_until
from support.jobs import JSON, failed, lease, new_job, now, succeeded
from support.webhooks import KEY, SECRET, Called, called

ENDED = threading.Event()
"""Is never set."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'jobs.sqlite'}") as store:
        yield store


@pytest.fixture
def server() -> Iterator[Called]:
    with called() as server:
        yield server


class Clock:
    """A time that goes on when it is told to."""

    def __init__(self) -> None:
        self.at = now()

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


def telling(store: Store, server: Called) -> Telling:
    return Telling(
        AllowedUrls([server.url()]),
        lambda: [KEY],
        WebhookPost(private=False),
        lambda callback: said_of(store.jobs, callback),
        timedelta(hours=1),
        Retrying(first_s=10, longest_s=600, drawn=random.Random(3)),
    )


def ended(store: Store, server: Called, *ids: str) -> None:
    store.jobs.enqueue([new_job(id, callback=server.url(f"/hooks/{id}")) for id in ids])
    store.jobs.complete([succeeded(one) for one in lease(store)])


def until_settled(calling: CallingBack, clock: Clock) -> int:
    """Call back for two hours, a look every ten seconds; gives how many posts there were."""
    posts = 0
    for _ in range(720):
        clock.at += timedelta(seconds=10)
        posts += calling.once(ENDED)
    return posts


def test_who_asked_is_told_how_the_job_ended(store: Store, server: Called, clock: Clock) -> None:
    ended(store, server, "a")
    store.jobs.enqueue([new_job("b", callback=server.url("/hooks/b"))])
    store.jobs.fail([failed(one, error="no such luck") for one in lease(store)])
    clock.at = now()
    calling = CallingBack(store.jobs, telling(store, server), clock)
    assert calling.once(ENDED) == 2
    assert calling.once(ENDED) == 0
    told = {one.path: one for one in server.calls}
    assert all(one.is_signed() for one in told.values())
    good, bad = told["/hooks/a"].json, told["/hooks/b"].json
    assert good["type"] == "job.succeeded"
    assert good["data"]["id"] == "a"
    assert (good["data"]["done"], good["data"]["response"]) == (True, [2])
    assert bad["type"] == "job.failed"
    said = "the model failed; modelway job show b has the reason"
    assert bad["data"]["error"] == {"code": "predict-failed", "message": said}
    assert b"no such luck" not in told["/hooks/b"].body
    assert store.jobs.callbacks("a")[0].told


def test_who_asked_is_told_that_the_job_was_cancelled_and_not_what_failed_before(
    store: Store, server: Called, clock: Clock
) -> None:
    store.jobs.enqueue([new_job("a", callback=server.url())])
    store.jobs.fail([failed(one, now()) for one in lease(store)])
    assert store.jobs.cancel("a").error_code == "predict-failed"
    clock.at = now()
    CallingBack(store.jobs, telling(store, server), clock).once(ENDED)
    (call,) = server.calls
    assert call.json["type"] == "job.cancelled"
    said = "the job was cancelled before it was answered"
    assert call.json["data"]["error"] == {"code": "job-cancelled", "message": said}


def test_who_does_not_hear_is_told_again_with_the_same_id(
    store: Store, server: Called, clock: Clock
) -> None:
    ended(store, server, "a")
    server.answers = [500, 302, 429]
    calling = CallingBack(store.jobs, telling(store, server), clock)
    assert until_settled(calling, clock) == 4
    assert len({one.headers["webhook-id"] for one in server.calls}) == 1
    assert len({one.body for one in server.calls}) == 1
    stamps = [int(one.headers["webhook-timestamp"]) for one in server.calls]
    assert stamps == sorted(stamps)
    assert all(one.is_signed() for one in server.calls)
    (kept,) = store.jobs.callbacks("a")
    assert (kept.told, kept.tries) == (True, 4)


def test_nobody_is_called_for_ever(store: Store, server: Called, clock: Clock) -> None:
    ended(store, server, "a")
    server.answers = [503] * 1000
    calling = CallingBack(store.jobs, telling(store, server), clock)
    posts = until_settled(calling, clock)
    assert 5 < posts < 50
    (kept,) = store.jobs.callbacks("a")
    assert (kept.told, kept.error, kept.next_at) == (False, "it answers 503", None)


def test_who_is_gone_is_left_alone(store: Store, server: Called, clock: Clock) -> None:
    ended(store, server, "a")
    server.answers = [410]
    assert until_settled(CallingBack(store.jobs, telling(store, server), clock), clock) == 1
    assert store.jobs.callbacks("a")[0].error == "it answers 410"


def test_what_is_not_allowed_any_more_is_not_called(
    store: Store, server: Called, clock: Clock
) -> None:
    ended(store, server, "a")
    told = replace(telling(store, server), allowed=AllowedUrls(["https://other.example.com"]))
    until_settled(CallingBack(store.jobs, told, clock), clock)
    assert server.calls == []
    assert "not among those that are allowed" in str(store.jobs.callbacks("a")[0].error)


def test_a_large_response_is_not_sent(store: Store, server: Called, clock: Clock) -> None:
    store.jobs.enqueue([new_job("a", callback=server.url())])
    (leased,) = lease(store)
    large = Payload(b"[" + b"1," * 20_000 + b"1]", JSON)
    store.jobs.complete([Succeeded(leased.id, leased.token, large)])
    clock.at = now()
    CallingBack(store.jobs, telling(store, server), clock).once(ENDED)
    (call,) = server.calls
    assert call.json["data"]["done"]
    assert "response" not in call.json["data"]


def test_many_are_told_in_one_look(store: Store, server: Called, clock: Clock) -> None:
    ended(store, server, *(f"{k}" for k in range(40)))
    clock.at = now()
    calling = CallingBack(store.jobs, telling(store, server), clock)
    assert calling.once(ENDED) == 40
    assert sorted(one.path for one in server.calls) == sorted(f"/hooks/{k}" for k in range(40))


def test_one_that_does_not_answer_holds_up_no_other_and_no_end(
    store: Store, server: Called, clock: Clock
) -> None:
    over = threading.Event()
    slow_ids = [f"{k}" for k in range(40)]
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent, ThreadPoolExecutor(1) as one:
        slow = f"http://127.0.0.1:{silent.getsockname()[1]}"
        store.jobs.enqueue([new_job(id, callback=slow) for id in slow_ids])
        store.jobs.complete([succeeded(leased) for leased in lease(store)])
        ended(store, server, "a")
        clock.at = now()
        told = replace(telling(store, server), allowed=AllowedUrls([slow, server.url()]))
        calling = one.submit(CallingBack(store.jobs, told, clock).once, over)
        wait_until(lambda: len(server.calls) == 1)
        ended(store, server, "b")  # also what is due only now
        clock.at = now()
        wait_until(lambda: len(server.calls) == 2)
        over.set()
        assert calling.result(30) == 4

    def failed_posts() -> int:
        return sum(one.error is not None for id in slow_ids for one in store.jobs.callbacks(id))

    wait_until(lambda: failed_posts() == 2)


def test_a_secret_that_cannot_be_read_is_said_and_read_later(
    tmp_path: Path, server: Called
) -> None:
    secret = tmp_path / "secret"
    says = {"jobs__callbacks": server.url(), "jobs__callback_secret": str(secret)}
    with controlled(tmp_path / HOME, **says) as control:
        ended(control.store, server, "a")
        (telling,) = callbacks(control, ENDED)
        telling.tried()
        assert "jobs.callback_secret" in telling.trouble
        secret.write_text(SECRET)
        telling.tried()
        assert (telling.trouble, len(server.calls)) == ("", 1)


def test_a_secret_is_exchanged_while_both_sides_go_on(tmp_path: Path, server: Called) -> None:
    newer = bytes(32)
    lines = [f"whsec_{base64.b64encode(newer).decode()}", SECRET]
    secret = tmp_path / "secret"
    says = {"jobs__callbacks": server.url(), "jobs__callback_secret": str(secret)}
    with controlled(tmp_path / HOME, **says) as control:
        (telling,) = callbacks(control, ENDED)
        known = []
        for id, some in {"a": lines[1:], "b": lines, "c": lines[:1]}.items():
            secret.write_text("\n".join(some))
            ended(control.store, server, id)
            telling.tried()
            known.append([server.calls[-1].is_signed(key) for key in (newer, KEY)])
    assert known == [[False, True], [True, True], [True, False]]
    assert len(server.calls) == 3


def test_a_job_is_kept_until_who_was_away_has_been_told(tmp_path: Path, server: Called) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    says = {"jobs__callbacks": server.url(), "jobs__callback_secret": str(secret)}
    with controlled(tmp_path / HOME, jobs__keep_s=1, **says) as control:
        server.answers = [503]
        ended(control.store, server, "a")
        (telling,) = callbacks(control, ENDED)
        telling.tried()
        time.sleep(1.1)
        forget_jobs(control)
        assert control.store.jobs.get("a").state is JobState.SUCCEEDED
        (one,) = control.store.jobs.callbacks("a")
        control.store.jobs.settle(one, one.error, now())  # who was away is there again
        telling.tried()
        assert server.calls[-1].json["data"]["response"] == [2]
        forget_jobs(control)
        with pytest.raises(JobNotFound):
            control.store.jobs.get("a")


def test_a_job_is_not_kept_for_longer_than_callbacks_last(tmp_path: Path, server: Called) -> None:
    keeps = {"jobs__keep_s": 1, "jobs__callback_lasts_s": 1}
    with controlled(tmp_path / HOME, **keeps) as control:
        ended(control.store, server, "a")
        time.sleep(1.1)
        forget_jobs(control)
        assert control.store.jobs.callbacks("a") == []


def test_no_worker_begins_that_could_not_sign(tmp_path: Path) -> None:
    environment = {"MODELWAY__JOBS__CALLBACKS": "https://hooks.example.com"}
    refused = cli(tmp_path, "worker", exit_code=2, environment=environment)
    assert "there is no secret" in refused.stderr


def test_no_operation_shows_what_is_secret_in_a_callback(tmp_path: Path) -> None:
    secret = "https://ann:hunter2@hooks.example/a?token=hunter3"
    with controlled(tmp_path / HOME) as control:
        control.store.jobs.enqueue([new_job("a", callback=secret)])
        of = OfJob("a")
        done = [
            CANCEL.carry_out(control, of, "ann"),
            SHOW.carry_out(control, of, "ann"),
            RETRY.carry_out(control, of, "ann"),
            LIST.carry_out(control, SomeJobs(), "ann"),
        ]
    for one in done:
        said = msgspec.json.encode(one)
        assert b"https://hooks.example/a" in said
        assert b"hunter" not in said
    assert [one.url for one in done[1].callbacks] == ["https://hooks.example/a"]
