"""A reverse proxy that puts a service under a path and cuts that path off, as many of them do."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support.ending import joined
from support.live import Service, ask

_PASSED_ON = ("content-type", "accept", "modelway-prediction-id")


@contextlib.contextmanager
def behind_prefix(service: Service, prefix: str) -> Iterator[Service]:
    """The service as it is seen through the proxy; anything outside the prefix is not found."""

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not self.path.startswith(f"{prefix}/"):
                self._answer(404, {}, b"outside the prefix")
                return
            length = int(self.headers.get("content-length", 0))
            answer = ask(
                service.url + self.path.removeprefix(prefix),
                body=self.rfile.read(length) if length else None,
                headers={k: self.headers[k] for k in _PASSED_ON if k in self.headers},
                method=self.command,
            )
            self._answer(answer.status, answer.headers, answer.body)

        do_POST = do_GET  # noqa: N815 - the name that the server looks for

        def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name not in ("content-length", "date", "connection"):
                    self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the service has its own log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}{prefix}"
            yield Service(url, service.process, service.log)
        finally:
            server.shutdown()
            joined(thread)
