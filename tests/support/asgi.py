"""Asking an ASGI application: in this process, or over HTTP through a real server."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import uvicorn

from modelway.rest.protocol import Connection
from support.live import Answer

Ask = Callable[..., Answer]
"""``ask(path, method=None, body=None, payload=None, headers=None)``: the answer to one request."""

HOST = "127.0.0.1"


def asking(app: Any) -> Ask:
    """Ask ``app`` in this process."""

    def ask(
        path: str,
        *,
        method: str | None = None,
        body: bytes | None = None,
        payload: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        method, body, sent = _request(method, body, payload, headers)
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()]
        return asyncio.run(answered(app, method, path, [body or b""], raw))

    return ask


async def answered(
    app: Any,
    method: str,
    target: str,
    chunks: Sequence[bytes] = (b"",),
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Answer:
    """The answer to one request whose body comes in these chunks."""
    raw_path, _, query = target.encode().partition(b"?")
    named = any(name == b"host" for name, _ in headers)
    scope = {
        "type": "http",
        "method": method,
        "path": _unquoted(raw_path),
        "raw_path": raw_path,
        "query_string": query,
        "headers": [*headers] if named else [(b"host", HOST.encode()), *headers],
    }
    waiting = [
        {"type": "http.request", "body": chunk, "more_body": k < len(chunks) - 1}
        for k, chunk in enumerate(chunks)
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, body = sent
    found = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], found, body["body"])


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
    """The port on which uvicorn answers with ``app``, as it does in a worker."""
    config = uvicorn.Config(
        app, http=Connection, ws="none", lifespan="off", access_log=False, log_config=None
    )
    server = uvicorn.Server(config)
    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.005)
        try:
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


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


def _unquoted(raw_path: bytes) -> str:
    return unquote(raw_path.decode("ascii"))
