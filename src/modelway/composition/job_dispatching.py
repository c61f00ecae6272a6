"""Which queue a service's jobs go through: the store itself, or a broker that spreads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelway.domain.errors import MissingExtra

if TYPE_CHECKING:
    from modelway.backends.rabbitmq.broker import Broker
    from modelway.backends.rabbitmq.queue import RabbitmqJobQueue
    from modelway.backends.sql.jobs.jobs import SqlJobs
    from modelway.backends.sql.store import Store

_MOST_AHEAD = 10_000


def job_queue(store: Store, broker: str, ahead: int = 1) -> SqlJobs | RabbitmqJobQueue:
    """The queue of a store's jobs, where ``broker`` is a URL that spreads them; else the store.

    ``ahead`` is how many jobs of a line a worker may have before it leases them. Who asks for it
    closes it.

    Raises:
        BadValue, MissingExtra: the URL is none of a broker, or needs a library.
    """
    if not broker:
        return store.jobs
    opened = _broker(broker, store)
    from modelway.backends.rabbitmq.queue import RabbitmqJobQueue

    return RabbitmqJobQueue(store.jobs, store.jobs, opened, min(ahead, _MOST_AHEAD))


def check_broker(store: Store, broker: str) -> None:
    """Do nothing if ``broker`` may be one. Raises BadValue, MissingExtra."""
    if broker:
        _broker(broker, store)


def _broker(url: str, store: Store) -> Broker:
    try:
        from modelway.backends.rabbitmq.broker import Broker
    except ImportError as error:
        raise MissingExtra("pika", "rabbitmq", "jobs.broker") from error
    return Broker(url, lambda: f"{store.identity():016x}")
