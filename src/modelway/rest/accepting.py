"""Connections to a socket that several processes listen on, shared out among them.

An event loop's own server accepts all that wait once it is woken, so whoever wakes first has them
all: thirty callers who come at once would end up with one of several workers, and stay there. Here
one is accepted a turn of the loop, by a process that holds no more connections than any other; who
holds more gives the others a moment first. So nobody needs to be asked, and where the others have
ended or hang a connection waits for that moment and no longer.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import mmap
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

_log = logging.getLogger("modelway.rest")

_MOMENT_S = 0.002
_MOST_LEFT = 32
"""How many are accepted at once that nobody else has accepted in a moment."""

_PAUSE_S = 0.1
"""How long nothing is accepted after the system had no room for a connection."""

HANDSHAKE_S = 10.0
"""How long a TLS handshake may take; who is slower is left."""

_GOODBYE_S = 1.0
"""How long the end of a TLS connection waits for the caller's; many callers never send one."""

CENSUS = "connections"
"""The name of the census's file in the folder of the metrics."""

_MOST_SLOTS = 1024
_WORD_BYTES = 8


class Census:
    """How many connections each process holds, in a file that all of them map.

    ``slot`` is this process's own place, and whoever takes it over begins with none. A place holds
    0 while nobody is in it, else one more than there are connections.
    """

    def __init__(self, path: Path, slot: int) -> None:
        with path.open("a+b") as file:
            file.truncate(_MOST_SLOTS * _WORD_BYTES)
            self._memory = mmap.mmap(file.fileno(), _MOST_SLOTS * _WORD_BYTES)
        self._words = memoryview(self._memory).cast("q")
        self._slot = slot
        self._expected = 0
        self.hold(0)

    def hold(self, connections: int) -> None:
        """So many connections are here now."""
        self._held = connections
        self._words[self._slot] = connections + self._expected + 1

    def expect(self, more: int) -> None:
        """So many more are coming, or fewer: their handshake goes on."""
        self._expected += more
        self.hold(self._held)

    def leave(self) -> None:
        """Nobody is here any more."""
        self.clear(self._slot)

    def clear(self, slot: int) -> None:
        """Nobody is in another place any more."""
        self._words[slot] = 0

    @property
    def is_mine(self) -> bool:
        """Whether no other process holds fewer connections than this one."""
        own = self._words[self._slot]
        return all(word >= own for word in self._words.tolist() if word)


class Accepting:
    """Accepts what comes to ``listener``, which listens and stays the caller's, until closed.

    With ``tls`` the protocol is told of a connection once its handshake is done.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.BaseProtocol],
        census: Census,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener.dup()
        self._protocol = protocol
        self._census = census
        self._secured = secured(tls)
        self._closed = False
        self._begun: set[asyncio.Task[object]] = set()
        self._later: asyncio.TimerHandle | None = None
        self._listener.setblocking(False)
        self._watch()

    def close(self) -> None:
        """Accept no more."""
        self._closed = True
        if self._later is not None:
            self._later.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        self._census.leave()

    def _watch(self) -> None:
        self._loop.add_reader(self._listener, self._look)

    def _look(self) -> None:
        """Somebody waits: accept, or let another process."""
        if self._census.is_mine:
            self._accept()
        else:
            self._loop.remove_reader(self._listener)
            self._later = self._loop.call_later(_MOMENT_S, self._after_all)

    def _after_all(self) -> None:
        """Whoever still waits waits for us."""
        self._watch()
        # The others may be at work on a handshake, which takes about as long as the moment.
        for _ in range(1 if self._secured else _MOST_LEFT):
            if not self._accept():
                break

    def _accept(self) -> bool:
        """Accept one connection; gives whether there was one."""
        try:
            accepted, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False  # another process was quicker, or the caller has left
        except OSError as error:
            if error.errno == errno.EINVAL:
                self._loop.remove_reader(self._listener)
                return False  # the service ends, and nobody listens any more
            # No descriptor is left, or no memory: what waits is accepted when there is again.
            _log.error("a connection could not be accepted: %s", error)
            self._loop.remove_reader(self._listener)
            self._later = self._loop.call_later(_PAUSE_S, self._watch)
            return False
        accepted.setblocking(False)
        if accepted.family != socket.AF_UNIX:
            with contextlib.suppress(OSError):  # the caller has left already
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connecting = self._loop.connect_accepted_socket(self._protocol, accepted, **self._secured)
        task = self._loop.create_task(connecting)
        if self._secured:
            self._census.expect(1)
        self._begun.add(task)
        task.add_done_callback(self._done)
        return True

    def _done(self, task: asyncio.Task[object]) -> None:
        self._begun.discard(task)
        if self._secured and not self._closed:
            self._census.expect(-1)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, OSError) and self._secured:
            # Whoever asks without TLS, looks for open ports, or leaves; nobody can help it here.
            _log.debug("a handshake failed: %s", error)
        elif error is not None:
            _log.error("a connection could not be opened", exc_info=error)


def secured(tls: ssl.SSLContext | None) -> dict[str, Any]:
    """What an event loop is told of the TLS of what it accepts; nothing where there is none."""
    if tls is None:
        return {}
    return {
        "ssl": tls,
        "ssl_handshake_timeout": HANDSHAKE_S,
        "ssl_shutdown_timeout": _GOODBYE_S,
    }
