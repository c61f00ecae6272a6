"""A broker as a URL names it, and the queues that one store has there.

Every limit of a queue is said: what a broker takes for unsaid has changed between its releases. A
quorum queue has no priorities in those before 4.3, so each priority has a queue of its own.

Source: RabbitMQ, "Quorum Queues" and "Dead Letter Exchanges", for 3.10 and 4.3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlsplit

import pika

from modelway.domain.addresses import shown_url
from modelway.domain.errors import BadValue
from modelway.jobs.dispatching import Line

EXPECTED = "amqp://HOST/VHOST or amqps://HOST/VHOST"

_DELIVERIES = 20
"""So often a message is delivered to workers that die with it before it is said once more."""

_MESSAGES = 1_000_000
_MESSAGES_BYTES = 256 * 1024 * 1024
"""What one queue takes; a publisher is told of what it does not."""

SETTLES_S = 0.2
"""A queue that another connection declares at this moment is there before it can be used: 3.10
drops what is published to it, and closes the connection of who consumes from it."""

_HEARTBEAT_S = 20
_BLOCKED_S = 30.0
_TIMEOUT_S = 10.0
_NAME_BYTES = 255


class Broker:
    """A broker; ``shown`` is its URL without the password.

    ``namespace`` is what the names of a store's queues begin with: several may share a broker.

    Raises:
        BadValue: the URL is none of a broker.
    """

    def __init__(self, url: str, namespace: Callable[[], str]) -> None:
        try:
            kind = urlsplit(url).scheme
            parameters = pika.URLParameters(url) if kind in ("amqp", "amqps") else None
        except (ValueError, TypeError, OSError) as error:
            # The text may hold a password, so it is not repeated.
            raise BadValue(f"jobs.broker cannot be read: expected {EXPECTED}") from error
        if parameters is None:
            raise BadValue(f"jobs.broker: no broker is of the kind {kind!r}: expected {EXPECTED}")
        self._url = url
        self._namespace = namespace
        self.shown = shown_url(url)

    @cached_property
    def namespace(self) -> str:
        """What the queues of this store are called by. Raises StoreUnavailable."""
        return f"modelway.{self._namespace()}"

    def parameters(self, name: str) -> pika.URLParameters:
        """How a connection of that name is made; what the URL says itself goes first."""
        parameters = pika.URLParameters(self._url)
        query = urlsplit(self._url).query
        for option, value in (
            ("heartbeat", _HEARTBEAT_S),
            ("blocked_connection_timeout", _BLOCKED_S),
            ("socket_timeout", _TIMEOUT_S),
            ("stack_timeout", _TIMEOUT_S),
        ):
            if f"{option}=" not in query:
                setattr(parameters, option, value)
        parameters.client_properties = {"connection_name": name}
        return parameters

    @property
    def dead(self) -> str:
        """The queue of messages that were delivered too often."""
        return f"{self.namespace}.dead"

    def queue(self, line: Line) -> str:
        """The queue of a line; a name that is too long is one of its hash."""
        name = f"{self.namespace}.jobs.{line.priority}.{quote(line.endpoint, safe='')}"
        if len(name) <= _NAME_BYTES:
            return name
        hashed = hashlib.sha256(line.endpoint.encode()).hexdigest()
        return f"{self.namespace}.jobs.{line.priority}.{hashed}"

    @property
    def limits(self) -> Mapping[str, Any]:
        """What the queue of a line is declared with."""
        return {
            **_LIMITS,
            "x-delivery-limit": _DELIVERIES,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": self.dead,
            "x-dead-letter-strategy": "at-least-once",
        }

    @property
    def dead_limits(self) -> Mapping[str, Any]:
        """What the queue of dead messages is declared with; nothing is behind it."""
        return {**_LIMITS, "x-delivery-limit": _MESSAGES}


_LIMITS: Mapping[str, Any] = {
    "x-queue-type": "quorum",
    # At-least-once dead-lettering needs it, else it is at-most-once without a word.
    "x-overflow": "reject-publish",
    "x-max-length": _MESSAGES,
    "x-max-length-bytes": _MESSAGES_BYTES,
}
