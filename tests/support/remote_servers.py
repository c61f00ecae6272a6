"""Services of others: HTTP servers that speak the Open Inference Protocol, or something else."""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from support.ending import joined


@dataclass
class Scripted:
    """What a server answers, and what it was sent: method, path and body of each request."""

    content: bytes = b'{"outputs":[{"name":"y","datatype":"FP64","shape":[1],"data":[1.5]}]}'
    status: int = 200
    metadata: bytes = b"{}"
    location: str = ""
    wait_s: float = 0.0
    drips: bool = False
    closes: bool = False
    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    connections: int = 0
    url: str = ""
    server: ThreadingHTTPServer | None = None

    def secured(self, cert: Path, key: Path) -> str:
        """Speak TLS from now on; gives the URL."""
        assert self.server is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        return self.url.replace("http:", "https:")


@contextmanager
def scripted(script: Scripted) -> Iterator[Scripted]:
    """A server that follows a script, which may be changed; ``url`` is that of its model."""

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            script.connections += 1
            super().setup()

        def do_GET(self) -> None:
            script.seen.append(("GET", self.path, b""))
            self._answer(200, script.metadata)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            script.seen.append(("POST", self.path, body))
            time.sleep(script.wait_s)
            self._answer(script.status, script.content)

        def _answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            if script.location:
                self.send_header("location", script.location)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            step = 1 if script.drips else len(content) or 1
            try:
                for start in range(0, len(content), step):
                    self.wfile.write(content[start : start + step])
                    time.sleep(0.05 if script.drips else 0)
            except OSError:
                self.close_connection = True
            # As a server does that has had enough of an idle connection, without a word.
            self.close_connection |= script.closes

        def handle(self) -> None:
            with contextlib.suppress(ssl.SSLError):
                super().handle()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    script.server = server
    script.url = f"http://127.0.0.1:{server.server_address[1]}/v2/models/loan"
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        joined(thread)
