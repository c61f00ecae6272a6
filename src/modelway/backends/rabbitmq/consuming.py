"""Deliveries of a broker to one worker: as many ahead as it takes at a time, each acknowledged.

What is delivered and not leased is the broker's again when the worker dies, and also when it has
not asked for a while: one that is busy for long keeps nothing from the others, and never has a
delivery for as long as the broker's own timeout.

    paused ──asked──> consuming ──not asked for a while──> paused
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from functools import partial
from typing import Any

import pika
from pika.exceptions import ChannelClosedByBroker, ConnectionClosedByBroker

from modelway.backends.rabbitmq.broker import Broker
from modelway.backends.rabbitmq.declaring import Declaring, Refusals
from modelway.backends.rabbitmq.deliveries import Deliveries, Delivery
from modelway.backends.rabbitmq.link import Link
from modelway.domain.identifiers import is_id
from modelway.jobs.dispatching import Line

_ASKED_S = 10.0
"""A worker that has not asked for so long gets nothing more, and gives back what it has."""

_LOOK_S = 1.0
_ANSWER_S = 5.0
_DEAD_AT_ONCE = 100

_DEAD = Line("", 0)
"""That of messages which were delivered too often; no endpoint is called so."""

_FORCED = 320
"""What a broker says that ends."""

_log = logging.getLogger("modelway.jobs")


class Consumer:
    """Has ``ahead`` deliveries of each line that it follows; ``dead`` is told of dead messages.

    ``dead`` is called on the connection's thread, with a job and what acknowledges its message.
    """

    def __init__(
        self,
        broker: Broker,
        refusals: Refusals,
        ahead: int,
        dead: Callable[[str, Callable[[], None]], object],
    ) -> None:
        self._broker = broker
        self._refusals = refusals
        self._ahead = ahead
        self._dead = dead
        self._link = Link(broker, "modelway: works on jobs", self._begun, self._lost)
        self._deliveries = Deliveries()
        self._lines: frozenset[Line] = frozenset()
        self._asked_at = float("-inf")
        # All that follows belongs to the connection's thread.
        self._connection: Any = None
        self._channel: Any = None
        self._number = 0
        self._declaring: Any = None
        self._coming: set[Line] = set()
        # Asked for and not answered yet; the broker answers in this order.
        self._starting: deque[Line] = deque()
        self._consumed: dict[Line, str] = {}

    def __len__(self) -> int:
        return len(self._deliveries)

    def follow(self, lines: Collection[Line]) -> None:
        """Have deliveries of these lines and of no others; begins to connect."""
        wanted = frozenset(lines)
        self._ask()
        if wanted != self._lines:
            self._lines = wanted
            self._link.call(self._subscribe)

    def take(self, wanted: Mapping[str, int]) -> Sequence[Delivery]:
        """The next deliveries of one endpoint, at most so many as are wanted of it."""
        self._ask()
        return self._deliveries.take(wanted)

    def put_back(self, some: Sequence[Delivery]) -> None:
        """Have these be the next again, those that are still this worker's."""
        self._link.call(lambda: self._keep(some))

    def acknowledge(self, some: Sequence[Delivery]) -> None:
        """The broker may forget these; what is not its channel's any more it delivers again."""
        self._link.call(lambda: self._acknowledge(some))

    def wait(self, endpoints: Collection[str], seconds: float) -> bool:
        """Wait until there is a delivery of these endpoints, for so long at most."""
        self._ask()
        return self._deliveries.wait(endpoints, seconds)

    def ready(self, line: Line) -> int | None:
        """How many messages of a line nobody has; None where the broker does not say."""
        if self._channel is None:
            return None
        found: Future[int | None] = Future()
        self._link.call(lambda: self._count(line, found))
        try:
            return found.result(_ANSWER_S)
        except NoAnswer:
            return None

    def close(self) -> None:
        """Give the connection back, and all that was delivered."""
        self._link.close()

    def _ask(self) -> None:
        was_paused = time.monotonic() - self._asked_at > _ASKED_S
        self._asked_at = time.monotonic()
        self._link.start()
        if was_paused:
            self._link.call(self._resume)

    def _begun(self, connection: pika.SelectConnection) -> None:
        self._connection = connection
        self._declaring = Declaring(connection, self._refusals)
        self._resume()
        connection.ioloop.call_later(_LOOK_S, partial(self._look, connection))

    def _look(self, connection: pika.SelectConnection) -> None:
        """Pause where nobody has asked for long, and else go on."""
        if self._connection is not connection or not connection.is_open:
            return
        if time.monotonic() - self._asked_at <= _ASKED_S:
            self._resume()
            self._subscribe()  # what was set aside may be tried again
        elif self._channel is not None and self._channel.is_open:
            channel = self._channel
            self._forget()
            channel.close()
        connection.ioloop.call_later(_LOOK_S, partial(self._look, connection))

    def _resume(self) -> None:
        if self._connection is not None and self._connection.is_open and self._channel is None:
            self._number += 1
            self._channel = self._connection.channel(on_open_callback=self._opened)

    def _opened(self, channel: Any) -> None:
        if channel is not self._channel:
            return
        channel.add_on_close_callback(self._closed)
        channel.add_on_cancel_callback(self._cancelled)
        self._subscribe()

    def _subscribe(self) -> None:
        channel = self._channel
        if channel is None or not channel.is_open:
            return
        wanted = self._lines | {_DEAD}
        for line in wanted - set(self._consumed) - self._coming:
            self._coming.add(line)
            self._declare(line, partial(self._consume, channel, line))
        for line in set(self._consumed) - wanted:
            channel.basic_cancel(self._consumed.pop(line))
            for one in self._deliveries.drop(line):
                channel.basic_nack(one.tag, requeue=True)

    def _queue(self, line: Line) -> str:
        return self._broker.dead if line == _DEAD else self._broker.queue(line)

    def _declare(self, line: Line, then: Callable[[int | None], None]) -> None:
        limits = self._broker.dead_limits if line == _DEAD else self._broker.limits
        self._declaring.declare(self._queue(line), limits, then)

    def _consume(self, channel: Any, line: Line, there: int | None) -> None:
        if channel is not self._channel or not channel.is_open:
            return
        self._coming.discard(line)
        if there is not None and line in self._lines | {_DEAD}:
            came = partial(self._came, line, self._number)
            channel.basic_qos(prefetch_count=_DEAD_AT_ONCE if line == _DEAD else self._ahead)
            self._starting.append(line)
            self._consumed[line] = channel.basic_consume(
                self._queue(line), came, callback=partial(self._started, channel)
            )

    def _started(self, channel: Any, _: Any) -> None:
        if channel is self._channel:
            self._starting.popleft()

    def _came(
        self, line: Line, number: int, channel: Any, method: Any, _: Any, body: bytes
    ) -> None:
        delivery = Delivery(body.decode("latin-1"), line, number, method.delivery_tag)
        if channel is not self._channel:
            return  # it is being closed, which gives all of it back
        if not is_id(delivery.job):
            channel.basic_ack(delivery.tag)  # no store need be asked, and not each takes any text
        elif line == _DEAD:
            self._dead(delivery.job, lambda: self.acknowledge([delivery]))
        elif line in self._consumed:
            self._deliveries.add(delivery)
        else:
            channel.basic_nack(delivery.tag, requeue=True)

    def _cancelled(self, frame: Any) -> None:
        """A queue was deleted: it is declared again."""
        tag = frame.method.consumer_tag
        gone = [line for line, consumer in self._consumed.items() if consumer == tag]
        for line in gone:
            del self._consumed[line]
            self._deliveries.drop(line)
        self._subscribe()

    def _closed(self, channel: Any, reason: BaseException) -> None:
        if channel is self._channel:
            if self._starting and _is_refusal(reason):
                self._refusals.add(self._queue(self._starting[0]), reason)
            self._forget()
            if self._connection is not None and self._connection.is_open:
                _log.warning("the broker %s closed a channel: %s", self._broker.shown, reason)
                self._connection.close(320, "a channel was closed")

    def _lost(self) -> None:
        self._connection = None
        self._forget()

    def _forget(self) -> None:
        """What was delivered on this channel is the broker's again."""
        self._channel = None
        self._coming.clear()
        self._starting.clear()
        self._consumed.clear()
        self._deliveries.drop()

    def _keep(self, some: Sequence[Delivery]) -> None:
        own = [one for one in some if self._owns(one)]
        kept = [one for one in own if one.line in self._consumed]
        self._deliveries.put_back(kept)
        for one in own:
            if one.line not in self._consumed:
                self._channel.basic_nack(one.tag, requeue=True)

    def _acknowledge(self, some: Sequence[Delivery]) -> None:
        for one in some:
            if self._owns(one):
                self._channel.basic_ack(one.tag)

    def _owns(self, delivery: Delivery) -> bool:
        return (
            self._channel is not None and self._channel.is_open and delivery.channel == self._number
        )

    def _count(self, line: Line, found: Future[int | None]) -> None:
        channel = self._channel
        if channel is not None and channel.is_open:
            self._declare(line, found.set_result)


def _is_refusal(reason: BaseException) -> bool:
    """Whether the broker closed a channel for what it was asked last."""
    if isinstance(reason, ConnectionClosedByBroker):
        return bool(reason.reply_code != _FORCED)
    return isinstance(reason, ChannelClosedByBroker)
