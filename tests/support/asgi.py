"""Asking an application: over a connection in this process, or over HTTP through a real server."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelway.rest.connection import Connection
from modelway.rest.server import Server
from support.ending import joined
from support.live import Answer, Ask

HOST = "127.0.0.1"


def asking(app: Any) -> Ask:
    """Ask ``app`` in this process, each time over a connection of its own."""

    def ask(
        path: str,
        *,
        method: str | None = None,
        body: bytes | None = None,
        payload: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        method, body, sent = _request(method, body, payload, headers)
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
        if "host" not in {name.lower() for name in sent}:
            lines.append(f"host: {HOST}")
        if body is not None:
            lines.append(f"content-length: {len(body)}")
        head = "\r\n".join([*lines, "connection: close", "", ""]).encode("latin-1")
        return asyncio.run(_exchanged(app, [head + (body or b"")], method))

    return ask


def asked_in_chunks(app: Any, path: str, chunks: Sequence[bytes]) -> Answer:
    """The answer to a POST whose body comes in these chunks."""
    head = f"POST {path} HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: chunked\r\n"
    framed = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]
    pieces = [f"{head}connection: close\r\n\r\n".encode(), *framed, b"0\r\n\r\n"]
    return asyncio.run(_exchanged(app, pieces, "POST"))


async def _exchanged(app: Any, pieces: Sequence[bytes], method: str) -> Answer:
    """What a connection of the application answers to these pieces."""
    server = Server(app.answer, max_body_bytes=app.max_body_bytes)
    ours, theirs = socket.socketpair()
    await server.loop.connect_accepted_socket(lambda: Connection(server), theirs)
    reader, writer = await asyncio.open_connection(sock=ours)
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0)
    answer = _parsed(await reader.read(), method)
    writer.close()
    await writer.wait_closed()
    return answer


class _Bytes:
    """A socket that has received all there is."""

    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._received)


def _parsed(received: bytes, method: str) -> Answer:
    response = http.client.HTTPResponse(_Bytes(received), method=method)  # type: ignore[arg-type] # all it asks of a socket
    response.begin()
    found = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, found, response.read())


def problem(answer: Answer, status: int) -> Any:
    """The problem document of an answer that must have this status."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    said: Any = answer.json
    assert said["status"] == status
    assert said["request_id"] == answer.headers["modelway-request-id"]
    return said


def good(answer: Answer) -> Any:
    """The JSON of an answer that must be one."""
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    return answer.json


@contextlib.contextmanager
def served(app: Any) -> Iterator[int]:
    """The port on which a server answers with ``app``, as it does in a worker."""
    ended = threading.Event()
    started = threading.Event()

    async def serve(listener: socket.socket) -> None:
        server = Server(app.answer, max_body_bytes=app.max_body_bytes)
        await server.start([listener])
        started.set()
        await asyncio.to_thread(ended.wait)
        await server.drain(1)

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=lambda: asyncio.run(serve(listener)), daemon=True)
        thread.start()
        try:
            assert started.wait(20)
            yield int(listener.getsockname()[1])
        finally:
            ended.set()
            joined(thread)


def asking_http(port: int) -> Ask:
    """Ask whoever listens on ``port``."""

    def ask(
        path: str,
        *,
        method: str | None = None,
        body: bytes | None = None,
        payload: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        method, body, sent = _request(method, body, payload, headers)
        with contextlib.closing(http.client.HTTPConnection(HOST, port, timeout=30)) as connection:
            connection.request(method, path, body=body, headers=dict(sent))
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())

    return ask


def _request(
    method: str | None, body: bytes | None, payload: object, headers: Mapping[str, str] | None
) -> tuple[str, bytes | None, Mapping[str, str]]:
    sent = dict(headers or {})
    if payload is not None:
        body = json.dumps(payload).encode()
        sent.setdefault("content-type", "application/json")
    return method or ("GET" if body is None else "POST"), body, sent
