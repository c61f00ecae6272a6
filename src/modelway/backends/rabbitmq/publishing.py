"""Announcements on their way to the broker, each until the broker has confirmed that it keeps it.

    many publishes ──> one wait for their confirms

A queue is declared before something is first sent to it; what is for one that is set aside is
refused. What comes back because there is no such queue any more counts as not sent.

Source: RabbitMQ, "Consumer Acknowledgements and Publisher Confirms".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import pika

from modelway.backends.rabbitmq.broker import Broker
from modelway.backends.rabbitmq.declaring import Declaring, Refusals
from modelway.backends.rabbitmq.link import Link
from modelway.jobs.dispatching import Announcement

_log = logging.getLogger("modelway.jobs")


class Published(NamedTuple):
    """The numbers of announcements that the broker keeps, and of those that it refuses."""

    kept: set[int]
    refused: set[int]


class _Batch:
    """What is sent together, and what the broker has said of it so far."""

    def __init__(self, sent: Sequence[Announcement]) -> None:
        self.sent = sent
        self.published = Published(set(), set())
        self.left = len(sent)
        self.is_over = threading.Event()

    def told(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.is_over.set()


class Publisher:
    """Sends announcements; ``opened`` is called each time that it can again."""

    def __init__(self, broker: Broker, refusals: Refusals, opened: Callable[[], object]) -> None:
        self._broker = broker
        self._refusals = refusals
        self._opened = opened
        self._link = Link(broker, "modelway: announces jobs", self._begun, self._lost)
        self._is_open = threading.Event()
        # All that follows belongs to the connection's thread.
        self._channel: Any = None
        self._declaring: Any = None
        self._sending: _Batch | None = None
        self._declared: set[str] = set()
        self._pending: dict[int, tuple[_Batch, Announcement]] = {}
        self._next = 1
        self._returned: set[int] = set()

    def is_open(self) -> bool:
        """Whether something can be sent now; begins to connect where that has not begun."""
        self._link.start()
        return self._is_open.is_set()

    def publish(self, some: Sequence[Announcement], within_s: float) -> Published:
        """Send announcements; what is neither kept nor refused may be sent again."""
        batch = _Batch(some)
        if some and self.is_open():
            self._link.call(lambda: self._send(batch))
            batch.is_over.wait(within_s)
        kept, refused = batch.published
        return Published(set(kept), set(refused))

    def close(self) -> None:
        """Give the connection back."""
        self._link.close()

    def _begun(self, connection: pika.SelectConnection) -> None:
        self._declaring = Declaring(connection, self._refusals)
        connection.channel(on_open_callback=self._channel_opened)

    def _channel_opened(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._channel_closed)
        channel.add_on_return_callback(self._came_back)
        channel.confirm_delivery(self._confirmed, callback=self._ready)

    def _ready(self, _: Any) -> None:
        self._is_open.set()
        self._opened()

    def _channel_closed(self, channel: Any, reason: BaseException) -> None:
        if channel.connection.is_open:
            _log.warning("the broker %s closed a channel: %s", self._broker.shown, reason)
            channel.connection.close(320, "a channel was closed")

    def _lost(self) -> None:
        self._is_open.clear()
        self._channel = None
        self._pending.clear()
        self._declared.clear()
        self._returned.clear()
        self._next = 1
        if self._sending is not None:
            self._sending.is_over.set()

    def _send(self, batch: _Batch) -> None:
        channel = self._channel
        if channel is None or not channel.is_open:
            batch.is_over.set()
            return
        self._sending = batch
        queues: dict[str, list[Announcement]] = {}
        for one in batch.sent:
            queues.setdefault(self._broker.queue(one.line), []).append(one)
        for queue, some in queues.items():
            send = partial(self._sent, channel, batch, queue, some)
            if queue in self._declared:
                send(0)
            else:
                self._declaring.declare(queue, self._broker.limits, send)

    def _sent(
        self,
        channel: Any,
        batch: _Batch,
        queue: str,
        some: Sequence[Announcement],
        there: int | None,
    ) -> None:
        if channel is not self._channel or not channel.is_open:
            return
        if there is None:
            for one in some:
                batch.published.refused.add(one.number)
                batch.told()
            return
        self._declared.add(queue)
        for one in some:
            tag, self._next = self._next, self._next + 1
            self._pending[tag] = (batch, one)
            properties = pika.BasicProperties(
                message_id=one.job, correlation_id=str(tag), delivery_mode=2
            )
            channel.basic_publish("", queue, one.job.encode(), properties, mandatory=True)

    def _came_back(self, _: Any, method: Any, properties: Any, body: bytes) -> None:
        """There is no such queue; it is told before the confirm of the same message."""
        self._declared.discard(method.routing_key)
        self._returned.add(int(properties.correlation_id))

    def _confirmed(self, frame: Any) -> None:
        method = frame.method
        is_ack = isinstance(method, pika.spec.Basic.Ack)
        tags = [method.delivery_tag]
        if method.multiple:
            tags = [tag for tag in self._pending if tag <= method.delivery_tag]
        for tag in tags:
            batch, one = self._pending.pop(tag)
            if not is_ack:
                batch.published.refused.add(one.number)
            elif tag not in self._returned:
                batch.published.kept.add(one.number)
            self._returned.discard(tag)
            batch.told()
