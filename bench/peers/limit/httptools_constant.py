"""An HTTP server of httptools on uvloop that answers a constant: ``PORT WORKERS ANSWER_BYTES``.

Connections are kept, and requests that come in one piece (pipelined) are answered in order, in one
write. The workers share one listening socket, as uvicorn's do.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import httptools
import uvloop

BACKLOG = 2048


class Constant(asyncio.Protocol):
    """One connection."""

    __slots__ = ("_answer", "_parser", "_ready", "_transport")

    def __init__(self, answer: bytes) -> None:
        """``answer`` is the whole response, head and body."""
        self._answer = answer
        self._parser = httptools.HttpRequestParser(self)
        self._ready = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Parse what came; answer every request that is whole by then."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()
            return
        ready, self._ready = self._ready, 0
        if ready:
            self._transport.write(self._answer if ready == 1 else self._answer * ready)
            if not self._parser.should_keep_alive():
                self._transport.close()

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._ready += 1


async def serve(listener: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(protocol, sock=listener, backlog=BACKLOG)
    await ended.wait()
    server.close()


def run(port: int, workers: int, prepared: Callable[[], Callable[[], asyncio.Protocol]]) -> None:
    """Listen, and answer in so many processes, each by what it has ``prepared`` itself."""
    listener = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
    children: list[int] = []
    for _ in range(workers - 1):
        child = os.fork()
        if not child:
            children = []
            break
        children.append(child)
    uvloop.run(serve(listener, prepared()))
    for child in children:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)


def main() -> None:
    """Answer a constant."""
    port, workers, answer_bytes = (int(word) for word in sys.argv[1:])
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {answer_bytes}"
    answer = head.encode() + b"\r\n\r\n" + b"x" * answer_bytes
    run(port, workers, lambda: lambda: Constant(answer))


if __name__ == "__main__":
    main()
