"""Somebody who is called: a real HTTP server that answers as it is told, and keeps what came."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.ending import joined

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


@dataclass(frozen=True)
class Call:
    """One post as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """What it says."""
        return json.loads(self.body)

    def is_signed(self, key: bytes = KEY) -> bool:
        """Whether who knows this key takes it: one of its signatures is right."""
        named = [self.headers[f"webhook-{one}"] for one in ("id", "timestamp")]
        signature = hmac.new(key, ".".join([*named, ""]).encode() + self.body, hashlib.sha256)
        said = f"v1,{base64.b64encode(signature.digest()).decode()}"
        return said in self.headers["webhook-signature"].split(" ")


@dataclass
class Called:
    """The server: ``answers`` are the statuses of the next answers, then it is always 200."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def url(self, path: str = "/hooks", host: str = "127.0.0.1", scheme: str = "http") -> str:
        """Where it is called."""
        return f"{scheme}://{host}:{self.port}{path}"


@contextlib.contextmanager
def called(tls: ssl.SSLContext | None = None) -> Iterator[Called]:
    """The server, as long as this lasts."""
    told = Called()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            told.calls.append(Call(self.path, headers, body))
            status = told.answers.pop(0) if told.answers else 200
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", told.url("/elsewhere"))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.port = server.server_address[1]
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        joined(serving)
