"""RabbitMQ for tests: names of their own on the machine's broker, and queues of jobs over it."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pika
from pika.exceptions import AMQPError

from modelway.backends.rabbitmq.broker import Broker
from modelway.backends.rabbitmq.queue import RabbitmqJobQueue
from modelway.backends.sql.jobs.jobs import SqlJobs
from modelway.domain.jobs import HIGHEST_PRIORITY
from modelway.jobs.dispatching import Line
from modelway.jobs.ports import Leased
from support.jobs import now
from support.live import absent
from support.stores import rows_of

RABBITMQ = os.environ.get("MODELWAY_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672/%2f")

_ALL_DELIVERED_S = 60.0
_DELIVERED_S = 90.0
_AHEAD = 64


@contextlib.contextmanager
def connected(url: str = RABBITMQ) -> Iterator[Any]:
    """A channel to a broker that answers; skips or fails the test where it does not."""
    try:
        connection = pika.BlockingConnection(pika.URLParameters(url))
    except (AMQPError, OSError) as error:
        absent(f"no broker at {url.rpartition('@')[2]} (MODELWAY_TEST_RABBITMQ): {error!r}")
    with contextlib.closing(connection):
        yield connection.channel()


@contextlib.contextmanager
def own_queues(*endpoints: str) -> Iterator[Broker]:
    """The machine's broker, with names for one test; its queues of these endpoints are removed."""
    name = f"test-{secrets.token_hex(6)}"
    with connected():
        broker = Broker(RABBITMQ, lambda: name)
    try:
        yield broker
    finally:
        remove_queues(broker, *endpoints)


def remove_queues(broker: Broker, *endpoints: str) -> None:
    """Remove all queues that a store may have of these endpoints."""
    with connected() as channel:
        channel.queue_delete(broker.dead)
        for priority in range(HIGHEST_PRIORITY + 1):
            for endpoint in endpoints:
                channel.queue_delete(broker.queue(Line(endpoint, priority)))


class DispatchedJobs(RabbitmqJobQueue):
    """Jobs as a worker at a broker sees them, and as they stand in the store at ``url``.

    A lease waits until what may be leased was delivered: a broker takes a moment for that.
    """

    def __init__(self, jobs: SqlJobs, url: str, broker: Broker) -> None:
        super().__init__(jobs, jobs, broker, _AHEAD)
        self._url = url
        self.get = jobs.get
        self.page = jobs.page
        self.result = jobs.result
        self.attempts = jobs.attempts
        self.depths = jobs.depths
        self.ended = jobs.ended
        self.retry = jobs.retry
        self.forget = jobs.forget
        self.erase = jobs.erase

    def lease(
        self, wanted: Mapping[str, int], n_bytes: int, worker: str, lease_s: float
    ) -> Sequence[Leased]:
        """Take jobs; none only where the store has none."""
        until = time.monotonic() + _DELIVERED_S
        endpoints = sorted(wanted)
        while True:
            soon = time.monotonic() + _ALL_DELIVERED_S
            most = min(self._leasable(endpoints), _AHEAD)
            while self.delivered < most and time.monotonic() < soon:
                self.wait(endpoints, 0.01)
                time.sleep(0.005)
            found = super().lease(wanted, n_bytes, worker, lease_s)
            if found or not self._leasable(endpoints) or time.monotonic() > until:
                return found

    def _leasable(self, endpoints: Sequence[str]) -> int:
        """How many jobs a lease of the store would find, however many at a time."""
        at = int(now().timestamp() * 1e6)
        named = ", ".join(f"'{one}'" for one in endpoints)
        mine = f"endpoint IN ({named}) AND expires_at > {at}"
        waits = f"(state = 'queued' AND lane < {HIGHEST_PRIORITY + 1}) OR due_at <= {at}"
        ((n,),) = rows_of(
            self._url, f"SELECT COUNT(*) FROM modelway_jobs WHERE {mine} AND ({waits})"
        )
        return int(n)
