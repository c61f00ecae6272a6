"""A way to a server that a test can sever: connections are passed on until it is."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit

_PIECE_BYTES = 65536


class Relay:
    """Passes connections on to the server at ``url``, from an address of its own.

    ``turned_away`` is how many came while it was severed.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname and parts.port
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._severed = False
        self.turned_away = 0
        self._open: set[socket.socket] = set()
        self._host = f"Host: {parts.hostname}:{parts.port}\r\n".encode()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._own = f"Host: {self.url.removeprefix('http://')}\r\n".encode()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Relay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.sever()
        self._listener.close()

    def sever(self) -> None:
        """Pass nothing on any more, and cut what is open."""
        self._severed = True
        for one in list(self._open):
            _cut(one)

    def mend(self) -> None:
        """Pass on again."""
        self._severed = False

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with caller, contextlib.suppress(OSError):
            if self._severed:
                self.turned_away += 1
                return
            with socket.create_connection(self._target) as server:
                ends = {caller, server}
                self._open |= ends
                threading.Thread(target=self._pass, args=(server, caller), daemon=True).start()
                self._pass(caller, server)
                self._open -= ends

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while (piece := source.recv(_PIECE_BYTES)) and not self._severed:
                # The server answers those only who call it by its own name.
                target.sendall(piece.replace(self._own, self._host))
        _cut(target)


def _cut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
