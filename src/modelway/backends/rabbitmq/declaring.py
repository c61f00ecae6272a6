"""Queues as they are declared: each on a channel of its own, which a broker that refuses closes.

    asked ──> there: it may be used, once it has settled
      └─────> refused: set aside, and tried again ever more seldom

So a queue that is there with other arguments, say, holds up its own line and no other.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pika.exceptions import ChannelClosedByBroker, ConnectionClosedByBroker

from modelway.backends.rabbitmq.broker import SETTLES_S

_FIRST_S = 1.0
_LONGEST_S = 300.0
_AT_ONCE = 16
"""So many channels beside the one that works: a broker allows some two thousand."""

_log = logging.getLogger("modelway.jobs")


class Refusals:
    """Queues that the broker refuses, each until when it is left alone. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, tuple[float, float]] = {}

    def has(self, queue: str) -> bool:
        """Whether this queue is set aside now."""
        _, until = self._until.get(queue, (0.0, float("-inf")))
        return time.monotonic() < until

    def add(self, queue: str, reason: BaseException) -> None:
        """Set a queue aside, which is said once; for longer where it was just before."""
        with self._lock:
            at = time.monotonic()
            wait_s, until = self._until.get(queue, (0.0, float("-inf")))
            if at < until:
                return
            if at > until + _LONGEST_S:
                _log.warning("the queue %s is set aside, others go on: %s", queue, reason)
                wait_s = _FIRST_S / 2
            wait_s = min(_LONGEST_S, 2 * wait_s)
            if isinstance(reason, ConnectionClosedByBroker):
                wait_s = _LONGEST_S  # the next try costs the others theirs again
            self._until[queue] = wait_s, at + wait_s


@dataclass(frozen=True, slots=True)
class _Asked:
    queue: str
    limits: Mapping[str, Any]
    then: Callable[[int | None], object]


class Declaring:
    """Declares queues at one connection, on its thread."""

    def __init__(self, connection: Any, refusals: Refusals) -> None:
        self._connection = connection
        self._refusals = refusals
        self._asked: deque[_Asked] = deque()
        self._channels = 0

    def declare(
        self, queue: str, limits: Mapping[str, Any], then: Callable[[int | None], object]
    ) -> None:
        """Have a queue; ``then`` is told how many messages nobody has, or None if it is refused."""
        if self._refusals.has(queue):
            then(None)
            return
        self._asked.append(_Asked(queue, limits, then))
        self._go_on()

    def _go_on(self) -> None:
        while self._asked and self._channels < _AT_ONCE and self._connection.is_open:
            self._channels += 1
            opened = partial(self._opened, self._asked.popleft())
            self._connection.channel(on_open_callback=opened)

    def _opened(self, one: _Asked, channel: Any) -> None:
        channel.add_on_close_callback(partial(self._closed, one))
        declared = partial(self._declared, one, channel)
        channel.queue_declare(
            one.queue, durable=True, arguments=dict(one.limits), callback=declared
        )

    def _declared(self, one: _Asked, channel: Any, told: Any) -> None:
        then = partial(one.then, told.method.message_count)
        self._connection.ioloop.call_later(SETTLES_S, then)
        channel.close()

    def _closed(self, one: _Asked, _: Any, reason: BaseException) -> None:
        self._channels -= 1
        if isinstance(reason, ChannelClosedByBroker):
            self._refusals.add(one.queue, reason)
            one.then(None)
        self._go_on()
