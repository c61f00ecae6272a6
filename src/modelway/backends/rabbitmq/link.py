"""A connection to a broker that is made again whenever it is lost, in a thread of its own.

Everything that touches the connection happens on that thread. A wait before the next try is drawn
between nothing and a bound that doubles: workers that lost a broker together do not come back
together. A connection counts once it has lasted: some of what the broker refuses for good it only
refuses once the connection is open.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
from collections.abc import Callable
from typing import Any

import pika
from pika.exceptions import AMQPError

from modelway.backends.rabbitmq.broker import Broker

_FIRST_S = 0.5
_LONGEST_S = 15.0
_LASTS_S = 5.0
"""A connection that is lost sooner is one more try that has failed."""

_CLOSE_S = 5.0

_log = logging.getLogger("modelway.jobs")


class Link:
    """Keeps a connection open once started.

    ``begun`` is called with each new connection, ``ended`` when it is lost; both on its thread.
    """

    def __init__(
        self,
        broker: Broker,
        name: str,
        begun: Callable[[pika.SelectConnection], object],
        ended: Callable[[], object],
    ) -> None:
        self._broker = broker
        self._name = name
        self._begun = begun
        self._ended = ended
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._connection: Any = None
        self._thread: threading.Thread | None = None
        self._longest_s = _FIRST_S
        self._is_reached = False
        self._is_away = False

    def start(self) -> None:
        """Begin to connect, unless that has begun."""
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                # It says each failed attempt several times over; what matters is said here.
                logging.getLogger("pika").setLevel(logging.CRITICAL)
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def call(self, act: Callable[[], object]) -> None:
        """Have something done on the connection's thread; nothing where there is none."""
        with self._lock:
            if self._connection is not None:
                self._connection.ioloop.add_callback_threadsafe(lambda: _tried(act))

    def close(self) -> None:
        """Close the connection and end, within a few seconds."""
        self._closing.set()
        self.call(self._close)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_CLOSE_S)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._connect()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next try may do
                self._say(error)
            longest_s = self._longest_s
            self._longest_s = min(_LONGEST_S, 2 * longest_s)
            self._closing.wait(random.uniform(0.0, longest_s))  # noqa: S311 - no secret

    def _connect(self) -> None:
        """Connect, and do what there is to do until the connection is lost."""
        connection = pika.SelectConnection(
            self._broker.parameters(self._name),
            on_open_callback=self._opened,
            on_open_error_callback=self._failed,
            on_close_callback=self._lost,
        )
        with self._lock:
            self._connection = connection
        try:
            if self._closing.is_set():
                self._close()
            connection.ioloop.start()
        finally:
            with self._lock:
                self._connection = None
            self._ended()
            connection.ioloop.close()

    def _opened(self, connection: pika.SelectConnection) -> None:
        # A broker that has come back is soon tried again: it may not have all its queues yet.
        if not self._is_reached:
            self._longest_s = _FIRST_S
        self._is_reached = True
        connection.ioloop.call_later(_LASTS_S, self._lasted)
        self._begun(connection)

    def _failed(self, connection: pika.SelectConnection, reason: BaseException | str) -> None:
        self._is_reached = False
        self._lost(connection, reason)

    def _lasted(self) -> None:
        self._longest_s = _FIRST_S
        if self._is_away:
            _log.info("the broker %s is back", self._broker.shown)
            self._is_away = False

    def _lost(self, connection: pika.SelectConnection, reason: BaseException | str) -> None:
        if not self._closing.is_set():
            self._say(reason)
        connection.ioloop.stop()

    def _say(self, reason: BaseException | str) -> None:
        """Say once that the broker is away."""
        if not self._is_away:
            words = str(reason) or type(reason).__name__
            _log.warning("jobs are not spread: the broker %s: %s", self._broker.shown, words)
        self._is_away = True

    def _close(self) -> None:
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(AMQPError):
                connection.close()


def _tried(act: Callable[[], object]) -> None:
    """Do it; a channel that is no more has been lost, and what is lost is said again."""
    with contextlib.suppress(AMQPError):
        act()
