"""Jobs that RabbitMQ spreads, while workers are killed, the broker is, or has lost what it had."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from modelway.backends.rabbitmq import broker as broker_module
from modelway.backends.rabbitmq import consuming as consuming_module
from modelway.backends.rabbitmq import declaring as declaring_module
from modelway.backends.rabbitmq import link as link_module
from modelway.backends.rabbitmq import queue as queue_module
from modelway.backends.rabbitmq.broker import Broker
from modelway.backends.rabbitmq.consuming import Consumer
from modelway.backends.rabbitmq.link import Link
from modelway.backends.rabbitmq.queue import RabbitmqJobQueue
from modelway.backends.sql.store import Store, open_store
from modelway.jobs.dispatching import Line
from modelway.jobs.ports import Leased
from support.brokers import RABBITMQ, connected, own_queues, remove_queues
from support.homes import HOME, Homes, cli, copied, wait_until
from support.job_flow import (
    DONE_S,
    PAUSED,
    asked,
    check_ended_once,
    check_ended_once_while_killing,
    left,
    paused,
    row,
    submitted,
)
from support.jobs import new_job, succeeded
from support.once import Once
from support.own_rabbitmq import own_rabbitmq
from support.stores import empty_database, rows_of
from support.trained import follow_tutorial

N_JOBS = 500
MEDIUM_S = 30.0
LINE = Line("loan", 4)

pytestmark = pytest.mark.services


@pytest.fixture(scope="session")
def trained(once: Once) -> Path:
    """The folder in which the tutorial was followed; nobody may change it."""
    return once("trained-home", follow_tutorial)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A store in which nothing is."""
    with empty_database("sqlite", tmp_path) as made:
        yield made


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """That store, which announces its jobs."""
    with open_store(url, announces=True) as opened:
        yield opened


@pytest.fixture
def broker() -> Iterator[Broker]:
    """Names of one test on the machine's broker."""
    with own_queues("loan", "iris") as named:
        yield named


def worker_of(store: Store, broker: Broker) -> contextlib.closing[RabbitmqJobQueue]:
    """A worker's queue."""
    return closing(RabbitmqJobQueue(store.jobs, store.jobs, broker))


def leased_in_time(queue: RabbitmqJobQueue, n: int) -> list[Leased]:
    """As many jobs as were asked for, however many leases that takes."""
    found: list[Leased] = []

    def have() -> bool:
        queue.wait(["loan"], 0.5)
        found.extend(queue.lease({"loan": n - len(found)}, 2**20, "worker", 60))
        return len(found) == n

    wait_until(have, MEDIUM_S, lambda: found)
    return found


def test_what_a_killed_process_could_not_announce_another_does(
    store: Store, broker: Broker
) -> None:
    jobs = [new_job() for _ in range(5)]
    store.jobs.enqueue(jobs)  # and nothing that would tell the broker
    with worker_of(store, broker) as queue:
        found = leased_in_time(queue, 5)
        assert {one.id for one in found} == {one.id for one in jobs}
        wait_until(lambda: not store.jobs.announcements(1, 0.0))


def test_an_announcement_goes_with_its_job_or_not_at_all(store: Store, url: str) -> None:
    outbox = "SELECT job, endpoint, priority FROM modelway_job_outbox"
    job = new_job("a", priority=9)
    store.jobs.enqueue([job])
    assert rows_of(url, outbox) == [("a", "loan", 9)]
    store.jobs.enqueue([job])
    (first, *_) = store.jobs.announcements(10, 60.0)
    assert store.jobs.announcements(10, 60.0) == []
    assert (first.job, first.line) == ("a", Line("loan", 9))
    store.jobs.announced([first.number])
    store.jobs.cancel("a")
    assert store.jobs.announce_again(["a"]) == 0
    store.jobs.retry("a", job.created_at)
    assert rows_of(url, outbox)[-1:] == [("a", "loan", 9)]


def test_a_worker_that_does_not_ask_gives_back_what_it_was_delivered(
    store: Store, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consuming_module, "_ASKED_S", 2.0)
    with worker_of(store, broker) as busy, worker_of(store, broker) as other:
        busy.enqueue([new_job() for _ in range(20)])
        (_,) = leased_in_time(busy, 1)
        wait_until(lambda: busy.delivered == 19)
        assert len(leased_in_time(other, 19)) == 19


def test_a_worker_that_was_idle_does_not_wait_for_company(
    store: Store, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "_GATHER_S", 2 * MEDIUM_S)
    with worker_of(store, broker) as queue:
        for _ in range(5):
            assert queue.lease({"loan": 9}, 2**20, "worker", 60) == []
        queue.enqueue([new_job("a")])
        assert [one.id for one in leased_in_time(queue, 1)] == ["a"]


def test_one_thread_gathers_and_keeps_no_other_from_its_work(
    store: Store, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "_GATHER_S", 2.0)
    found: list[Leased] = []
    with worker_of(store, broker) as queue:
        queue.enqueue([new_job("a")])
        (_,) = leased_in_time(queue, 1)
        gathering = threading.Thread(
            target=lambda: found.extend(queue.lease({"loan": 9}, 2**20, "worker", 60))
        )
        gathering.start()
        wait_until(queue._gathering.locked)
        queue.enqueue([new_job("b"), new_job("c")])
        assert queue.lease({"loan": 9}, 2**20, "worker", 60) == []
        gathering.join()
        assert {one.id for one in found} == {"b", "c"}


def test_a_line_that_is_full_holds_up_no_other(
    store: Store, broker: Broker, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr(broker_module, "_LIMITS", {**broker_module._LIMITS, "x-max-length": 2})
    outbox = "SELECT COUNT(*) FROM modelway_job_outbox WHERE endpoint = "
    with closing(RabbitmqJobQueue(store.jobs, store.jobs, broker)) as told:
        for _ in range(5):
            told.enqueue([new_job() for _ in range(10)])
            time.sleep(0.2)  # the broker refuses what comes once it has seen that a queue is full
        wait_until(lambda: 0 < rows_of(url, outbox + "'loan'")[0][0] < 50)
        told.enqueue([new_job(endpoint="iris")])
        wait_until(lambda: waiting(broker, broker.queue(Line("iris", 4))) == 1)
    assert rows_of(url, outbox + "'loan'")[0][0] > 0


def test_messages_of_dying_workers_go_to_others_and_none_is_lost(
    store: Store, broker: Broker, url: str
) -> None:
    with closing(RabbitmqJobQueue(store.jobs, store.jobs, broker)) as told:
        told.enqueue([new_job("a")])
        wait_until(lambda: rows_of(url, "SELECT COUNT(*) FROM modelway_job_outbox") == [(0,)])
    queue = broker.queue(LINE)
    times = 0
    # Between a worker's death and the next delivery the message is in neither queue.
    while not waiting(broker, broker.dead) and times < 100:
        with connected() as channel:
            if channel.basic_get(queue)[0] is not None:
                times += 1
    assert times == broker.limits["x-delivery-limit"] + 1
    wait_until(lambda: waiting(broker, broker.dead) == 1)
    with worker_of(store, broker) as queue_again:
        (job,) = leased_in_time(queue_again, 1)
        assert (job.id, job.tries) == ("a", 1)
        wait_until(lambda: waiting(broker, broker.dead) == 0)


def waiting(broker: Broker, queue: str) -> int:
    """How many messages a queue has that nobody was given."""
    with connected() as channel:
        limits = broker.dead_limits if queue == broker.dead else broker.limits
        declared = channel.queue_declare(queue, durable=True, arguments=dict(limits))
        return int(declared.method.message_count)


def test_what_the_broker_has_lost_is_announced_again(
    store: Store, broker: Broker, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr(queue_module, "_LOST_S", 2.0)
    with closing(RabbitmqJobQueue(store.jobs, store.jobs, broker)) as told:
        told.enqueue([new_job() for _ in range(5)])
        wait_until(lambda: rows_of(url, "SELECT COUNT(*) FROM modelway_job_outbox") == [(0,)])
    with connected() as channel:
        channel.queue_delete(broker.queue(LINE))
    with worker_of(store, broker) as queue:
        assert len(leased_in_time(queue, 5)) == 5


def test_all_that_is_due_is_seen_to_at_once(
    store: Store, broker: Broker, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr(queue_module, "_TEND_S", 3600.0)
    store.jobs.enqueue([new_job(hours=0) for _ in range(2500)])
    with worker_of(store, broker) as queue:
        for _ in range(3):
            assert queue.lease({"loan": 9}, 2**20, "worker", 60) == []
    ended = "SELECT COUNT(*) FROM modelway_jobs WHERE ended_at IS NOT NULL"
    assert rows_of(url, ended) == [(2500,)]


def test_a_broker_that_says_nothing_is_asked_of_one_line(
    store: Store, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "_LOST_S", -1.0)
    asked_of: list[Line] = []
    monkeypatch.setattr(Consumer, "ready", lambda _, line: asked_of.append(line))
    store.jobs.enqueue([new_job(priority=priority) for priority in range(4)])
    with worker_of(store, broker) as queue:
        queue.lease({"loan": 1}, 2**20, "worker", 60)
    assert len(asked_of) == 1


def test_a_queue_that_is_deleted_under_a_worker_is_made_again(store: Store, broker: Broker) -> None:
    with worker_of(store, broker) as queue:
        queue.enqueue([new_job("a")])
        (job,) = leased_in_time(queue, 1)
        with connected() as channel:
            channel.queue_delete(broker.queue(LINE))
            channel.queue_delete(broker.dead)
        queue.enqueue([new_job("b")])
        assert [one.id for one in leased_in_time(queue, 1)] == ["b"]
        assert queue.complete([succeeded(job)]) == {"a"}


def test_messages_of_others_are_taken_away_and_do_no_harm(broker: Broker, tmp_path: Path) -> None:
    with (
        empty_database("postgresql", tmp_path) as url,  # it takes no NUL
        open_store(url, announces=True) as store,
        worker_of(store, broker) as queue,
    ):
        queue.enqueue([new_job("a")])
        (_,) = leased_in_time(queue, 1)
        wait_until(lambda: waiting(broker, broker.dead) == 0)
        with connected() as channel:
            for body in (b"nobody", b"\xff\xfe", b"", b"a\0b"):
                for to in (broker.queue(LINE), broker.dead):
                    channel.basic_publish("", to, body, pika.BasicProperties())
        queue.enqueue([new_job("b")])
        assert [one.id for one in leased_in_time(queue, 1)] == ["b"]
        wait_until(lambda: queue.lease({"loan": 9}, 1, "worker", 60) == [] and not queue.delivered)
        time.sleep(queue_module._TEND_S)
        assert queue.lease({"loan": 9}, 1, "worker", 60) == []  # what was dead is seen to as well


def set_aside(caplog: pytest.LogCaptureFixture, queue: str) -> int:
    """How often was said that a queue is set aside."""
    return sum(f"{queue} is set aside" in one.getMessage() for one in caplog.records)


@pytest.mark.parametrize("is_dead", [False, True], ids=["of a line", "of dead messages"])
def test_a_queue_that_is_refused_holds_up_no_other(
    store: Store,
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    is_dead: bool,
) -> None:
    monkeypatch.setattr(declaring_module, "_LONGEST_S", 3.0)
    bad = broker.dead if is_dead else broker.queue(Line("iris", 4))
    with connected() as channel:
        channel.queue_declare(bad, durable=True)  # with other arguments than ours
        with worker_of(store, broker) as queue:
            jobs = [new_job(), *(new_job("i", endpoint="iris") for _ in range(not is_dead))]
            queue.enqueue(jobs)
            queue.wait(["iris"], 0.1)  # follows both
            assert [one.id for one in leased_in_time(queue, 1)] == [jobs[0].id]
            wait_until(lambda: set_aside(caplog, bad) == 1)
            assert "closed a channel" not in caplog.text
            channel.queue_delete(bad)
            if not is_dead:
                wait_until(lambda: bool(queue.lease({"iris": 1}, 2**20, "worker", 60)), MEDIUM_S)
            wait_until(lambda: consumers(bad) == 1, MEDIUM_S)
            assert set_aside(caplog, bad) == 1


def consumers(queue: str) -> int:
    """How many have its messages; none where there is no such queue."""
    with connected() as channel:
        try:
            return int(channel.queue_declare(queue, passive=True).method.consumer_count)
        except ChannelClosedByBroker:
            return 0


def test_a_connection_that_does_not_last_is_tried_ever_more_seldom(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waits: list[float] = []

    def drawn(_: float, most: float) -> float:
        if threading.current_thread().name == "refused":
            waits.append(most)
        return 0.0

    def begun(connection: pika.SelectConnection) -> None:
        if len(waits) < 6:
            connection.close(320, "for a test")
        else:
            connection.ioloop.call_later(0.0, link._lasted)

    monkeypatch.setattr(random, "uniform", drawn)
    monkeypatch.setattr(link_module, "_LASTS_S", MEDIUM_S)
    caplog.set_level(logging.INFO, "modelway.jobs")
    with closing(Link(broker, "refused", begun, lambda: None)) as link:
        link.start()
        wait_until(lambda: "is back" in caplog.text, MEDIUM_S)
    assert waits[:6] == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0]


@pytest.mark.parametrize("command", ["up", "worker"])
def test_what_is_no_broker_is_refused_at_the_start(tmp_path: Path, command: str) -> None:
    wrong = {"MODELWAY__JOBS__BROKER": "redis://me:secret@host", "MODELWAY__ADMIN__PORT": "0"}
    refused = cli(tmp_path, command, exit_code=2, environment=wrong)
    assert "jobs.broker: no broker is of the kind 'redis'" in refused.stderr
    assert "secret" not in refused.stderr


def test_every_job_ends_once_while_workers_are_killed(tmp_path: Path) -> None:
    spread = {
        "MODELWAY__JOBS__BROKER": RABBITMQ,
        "MODELWAY__JOBS__LEASE_S": "1",
        "MODELWAY__JOBS__ATTEMPTS": "20",
    }
    with empty_database("postgresql", tmp_path) as url, Homes() as homes:
        paused(tmp_path / HOME, url)
        with open_store(url) as opened:
            identity = opened.identity()
        try:
            up = homes.up(tmp_path, "--no-mlflow", "--store", url, environment=spread)
            check_ended_once_while_killing(up, url, tmp_path, spread, N_JOBS)
            assert "jobs.broker" in (tmp_path / HOME / "settings.json").read_text()
        finally:
            up.stop()
            remove_queues(Broker(RABBITMQ, lambda: f"{identity:016x}"), PAUSED)


def test_jobs_are_taken_while_the_broker_is_away_and_none_is_lost_when_it_is_killed(
    trained: Path, tmp_path: Path
) -> None:
    folder = copied(trained, tmp_path / "host")
    url = f"sqlite:///{folder / HOME / 'control.db'}"
    with own_rabbitmq() as server, Homes() as homes:
        up = homes.up(folder, "--no-mlflow", environment={"MODELWAY__JOBS__BROKER": server.url})
        taken = {submitted(up, row(k)).json["id"]: k for k in range(100)}
        time.sleep(1)
        assert {asked(up, f"/jobs/{id}").json["state"] for id in taken} == {"queued"}
        server.start()
        wait_until(lambda: len(left(up)) < 100, DONE_S, lambda: up.log.read_text())
        # Which queues there are is on the disk two seconds after the broker has said so (Erlang's
        # disk_log); one that is killed before answers INTERNAL_ERROR for such a queue ever after.
        time.sleep(4)
        for k in range(100, 300):
            if k == 200:
                server.kill()
            taken[submitted(up, row(k)).json["id"]] = k
        assert len(taken) == 300
        server.start()
        wait_until(lambda: not left(up), DONE_S, lambda: left(up))
        check_ended_once(up, url, taken)
