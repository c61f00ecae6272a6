"""The HTTP server: listening sockets in, connections out; what all connections share.

It accepts until it drains. Draining: nothing new is accepted, idle connections are closed, the
others after the answer that is under way; what is still open when the time is over is cancelled and
told so.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence
from email.utils import formatdate
from typing import Any

from modelway.rest.accepting import Accepting, Census, secured
from modelway.rest.connection import Connection
from modelway.rest.http import Refusal, Request, Response
from modelway.rest.problems import problem_of
from modelway.rest.reading import KnownHeads
from modelway.rest.together import Observed, Turn

Application = Callable[[Request], Coroutine[Any, Any, Response]]
"""Answers one request whatever happens; it is begun outside a task (see ``connection.py``)."""

TICK_S = 0.5
_LAST_WORDS_S = 0.5
_BACKLOG = 2048


class Server:
    """Serves an application on sockets that are bound already.

    ``answer`` may be replaced while it serves, and ``refusal``, which gives how an error at a path
    looks. Where ``one_by_one``, every request is given to ``answer``, because it looks at each.
    ``now_s`` and ``date`` are as of the last tick.
    """

    def __init__(
        self,
        answer: Application,
        *,
        max_body_bytes: int,
        observe: Observed | None = None,
    ) -> None:
        self.answer = answer
        self.refusal: Callable[[str], Refusal] = lambda _path: problem_of
        self.max_body_bytes = max_body_bytes
        self.one_by_one = False
        self.observe: Observed = observe or _unobserved
        self.turn = Turn(self.observe)
        self.loop = asyncio.get_running_loop()
        self.known_heads = KnownHeads()
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.draining = False
        self.now_s = self.loop.time()
        self.date = b""
        self._accepting: list[asyncio.Server | Accepting] = []
        self._ticking: asyncio.TimerHandle | None = None
        self._census: Census | None = None

    async def start(
        self,
        listeners: Sequence[socket.socket],
        census: Census | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Accept connections on these sockets, which stay the caller's.

        ``census`` is there where other processes accept on them too. With ``tls`` a connection is
        one once its handshake is done; who does not finish that in time, or not well, is left.
        """
        self._tick()
        self._census = census
        for listener in listeners:
            if census is not None:
                shared = Accepting(listener, lambda: Connection(self), census, tls)
                self._accepting.append(shared)
                continue
            listening = (
                self.loop.create_unix_server
                if listener.family == socket.AF_UNIX
                else self.loop.create_server
            )
            accepting = await listening(
                lambda: Connection(self), sock=listener.dup(), backlog=_BACKLOG, **secured(tls)
            )
            self._accepting.append(accepting)

    def enter(self, connection: Connection) -> None:
        """A connection was made."""
        self.connections.add(connection)
        if self.draining:
            # Its handshake went on when the others were told; it has a moment to ask.
            self.loop.call_later(_LAST_WORDS_S, connection.drain)
        elif self._census is not None:
            self._census.hold(len(self.connections))

    def leave(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if self._census is not None and not self.draining:
            self._census.hold(len(self.connections))

    async def drain(self, seconds: float) -> None:
        """Accept no more, finish what is under way, for so long; then cancel it."""
        self.draining = True
        for accepting in self._accepting:
            accepting.close()
        for connection in tuple(self.connections):
            connection.drain()
        deadline = self.loop.time() + seconds
        while self.connections and self.loop.time() < deadline:
            await asyncio.sleep(min(0.02, seconds))
        for task in tuple(self.tasks):
            task.cancel()
        deadline = self.loop.time() + _LAST_WORDS_S
        while self.connections and self.loop.time() < deadline:
            await asyncio.sleep(0.01)
        if self._ticking is not None:
            self._ticking.cancel()

    def _tick(self) -> None:
        self.now_s = self.loop.time()
        self.date = b"date: %s\r\n" % formatdate(usegmt=True).encode()
        for connection in tuple(self.connections):
            connection.look(self.now_s)
        self._ticking = self.loop.call_later(TICK_S, self._tick)


def _unobserved(
    _status: int, _seconds: Sequence[float], _came: Sequence[int], _sent: Sequence[int]
) -> None:
    """Do nothing."""
