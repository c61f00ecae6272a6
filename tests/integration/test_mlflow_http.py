"""The registry against servers that fail, lie or are something else, and any kind of address."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from modelway.backends.mlflow_places import path_within, proxied_path
from modelway.backends.mlflow_rest import MlflowRegistry
from modelway.domain.errors import BadValue, InvalidInput, InvalidSource, RegistryUnavailable
from modelway.registry.models import ModelVersion
from support.ending import joined

Answers = Callable[[BaseHTTPRequestHandler], tuple[int, bytes]]

VERSION = ModelVersion("loan", "1", datetime(2026, 1, 1, tzinfo=UTC), "mlflow-artifacts:/files")


class Stranger:
    """A server that answers as a test says; it keeps the heads of what it was asked."""

    def __init__(self, answers: Answers, version: bytes = b"3.17.2") -> None:
        asked: list[tuple[str, str, dict[str, str]]] = []
        opened: list[socket.socket] = []

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                opened.append(self.connection)

            def _answer(self) -> None:
                heads = {name.lower(): value for name, value in self.headers.items()}
                asked.append((self.command, self.path, heads))
                self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.path.endswith("/version"):
                    status, body = 200, version
                else:
                    status, body = answers(self)
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = do_PUT = _answer  # noqa: N815 - http.server's names

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.asked, self.opened = asked, opened
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    @contextlib.contextmanager
    def running(self) -> Iterator[Stranger]:
        """The server, while the block lasts."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            joined(thread)


def failing(status: int, code: str = "", message: str = "it broke") -> Answers:
    """An answer in MLflow's form of an error."""
    body = json.dumps({"error_code": code, "message": message} if code else {}).encode()
    return lambda _: (status, body)


def answering(body: bytes) -> Answers:
    """The same answer to everything."""
    return lambda _: (200, body)


def listing(*files: dict[str, object], content: bytes = b"x") -> Answers:
    """A server that lists these files in every folder, and gives the content as each."""

    def answers(request: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        parts = urlsplit(request.path)
        if parts.path.endswith("get-download-uri"):
            return 200, b'{"artifact_uri": "mlflow-artifacts:/files"}'
        if "path" in parse_qs(parts.query):
            return 200, json.dumps({"files": files}).encode()
        return 200, content

    return answers


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (failing(500, "INTERNAL_ERROR"), "answered 500: it broke"),
        (failing(503, "TEMPORARILY_UNAVAILABLE"), "answered 503: it broke"),
        (failing(429, "REQUEST_LIMIT_EXCEEDED"), "answered 429: it broke"),
        (failing(401), "refuses the credentials: 401"),
        (failing(403, "PERMISSION_DENIED"), "refuses the credentials: 403 it broke"),
        (failing(404), "answered 404: Not Found"),
        (failing(302), "answered 302: Found"),
        (lambda _: (502, b"<html>bad gateway"), "answered 502: Bad Gateway"),
        (lambda _: (200, b"<html>welcome"), "answered what cannot be read"),
        (lambda _: (200, b'{"registered_model": 5}'), "answered what cannot be read"),
        (lambda _: (200, b"{}"), "answered something else"),
    ],
)
def test_a_server_that_fails_is_unavailable(answers: Answers, expected: str) -> None:
    with Stranger(answers).running() as server:
        registry = MlflowRegistry(f"http://ann:secret@{server.address}/ml")
        with pytest.raises(RegistryUnavailable, match=expected) as error:
            registry.model("loan")
    assert f"http://{server.address}/ml" in error.value.message
    assert "secret" not in error.value.message


def test_what_a_server_refuses_is_told_in_its_words() -> None:
    with (
        Stranger(failing(400, "INVALID_PARAMETER_VALUE", "no such filter")).running() as server,
        pytest.raises(InvalidInput, match="the registry refused it: no such filter"),
    ):
        MlflowRegistry(f"http://{server.address}").models()


@pytest.mark.parametrize("version", [b"2.8.1", b"1.30.0", b"<html>welcome", b"", b"latest"])
def test_a_server_that_is_too_old_or_something_else_is_refused(version: bytes) -> None:
    expected = r"no MLflow server of version 2\.9 or later"
    with (
        Stranger(lambda _: (200, b"{}"), version).running() as server,
        pytest.raises(RegistryUnavailable, match=expected),
    ):
        MlflowRegistry(f"http://{server.address}").models()
    assert len(server.asked) == 1


def test_a_silent_server_is_given_up() -> None:
    held = threading.Event()

    def answers(_: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        held.wait(30)
        return 200, b"{}"

    with Stranger(answers).running() as server:
        with pytest.raises(RegistryUnavailable, match=r"did not answer within 0\.2 s") as error:
            MlflowRegistry(f"http://{server.address}", timeout_s=0.2).models()
        held.set()
    assert isinstance(error.value.__cause__, TimeoutError)


@pytest.mark.parametrize(
    "path",
    ["..", "../x", "../../etc/passwd", "/etc/passwd", "a/../../x", "a//b", ".", "", "a\\b", "a\0b"],
)
def test_a_file_that_leads_out_of_the_folder_is_refused(path: str, tmp_path: Path) -> None:
    folder = tmp_path / "below" / "folder"
    with (
        Stranger(listing({"path": "MLmodel"}, {"path": path})).running() as server,
        pytest.raises(InvalidSource),
    ):
        MlflowRegistry(f"http://{server.address}").fetch(VERSION, folder)
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == []


def test_folders_without_an_end_are_given_up(tmp_path: Path) -> None:
    with (
        Stranger(listing({"path": "deeper", "is_dir": True})).running() as server,
        pytest.raises(InvalidSource, match="more than 32 deep"),
    ):
        MlflowRegistry(f"http://{server.address}").fetch(VERSION, tmp_path / "source")


def test_a_file_that_breaks_off_is_not_kept(tmp_path: Path) -> None:
    whole = listing({"path": "MLmodel"}, {"path": "model.bin"})

    def answers(request: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        if request.path.endswith("model.bin"):
            request.send_response(200)
            request.send_header("content-length", "1000")
            request.end_headers()
            request.wfile.write(b"half")
            request.close_connection = True
            raise ConnectionAbortedError
        return whole(request)

    server = Stranger(answers)
    server._server.handle_error = lambda *_: None  # type: ignore[method-assign] # it is meant
    with server.running(), pytest.raises(RegistryUnavailable, match="IncompleteRead"):
        MlflowRegistry(f"http://{server.address}").fetch(VERSION, tmp_path / "source")
    assert list((tmp_path / "source").iterdir()) == []


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    with (
        Stranger(listing({"path": "a" * 300})).running() as server,
        pytest.raises(InvalidInput, match=r"cannot be written to .*name too long"),
    ):
        MlflowRegistry(f"http://{server.address}").fetch(VERSION, tmp_path / "source")
    with Stranger(listing({"path": "a"})).running() as server:
        (tmp_path / "file").touch()
        with pytest.raises(InvalidInput, match=r"cannot be written to .*Not a directory"):
            MlflowRegistry(f"http://{server.address}").fetch(VERSION, tmp_path / "file" / "x")


def test_files_elsewhere_are_asked_of_no_other_host(tmp_path: Path) -> None:
    for uri in (
        "s3://bucket/model",
        "http://169.254.169.254/x",
        "mlflow-artifacts://other/x",
        "/etc",
    ):
        body = json.dumps({"artifact_uri": uri}).encode()
        version = replace(VERSION, source=uri)
        with (
            Stranger(answering(body)).running() as server,
            pytest.raises(InvalidSource, match="does not give the files at"),
        ):
            MlflowRegistry(f"http://{server.address}").fetch(version, tmp_path / "source")
        assert not (tmp_path / "source").exists()


@pytest.mark.parametrize(
    ("before", "given", "expected"),
    [
        ("", {}, None),
        ("ann:se%40cret@", {}, "Basic " + base64.b64encode(b"ann:se@cret").decode()),
        ("", {"user": "ann", "password": "x"}, "Basic " + base64.b64encode(b"ann:x").decode()),
        ("", {"user": "ann"}, "Basic " + base64.b64encode(b"ann:").decode()),
        ("", {"token": "abc"}, "Bearer abc"),
        ("ann:x@", {"token": "abc"}, "Bearer abc"),
    ],
)
def test_who_asks_is_said_with_every_request(
    before: str, given: dict[str, str], expected: str | None
) -> None:
    with Stranger(lambda _: (200, b"{}")).running() as server:
        registry = MlflowRegistry(f"http://{before}{server.address}/team/ml/", **given)  # type: ignore[arg-type]
        assert registry.url == f"http://{server.address}/team/ml"
        registry.models()
    assert [path.partition("?")[0] for _, path, _ in server.asked] == [
        "/team/ml/version",
        "/team/ml/api/2.0/mlflow/registered-models/search",
    ]
    assert {heads.get("authorization") for _, _, heads in server.asked} == {expected}


def test_connections_are_kept_and_one_gone_stale_is_replaced() -> None:
    with Stranger(lambda _: (200, b"{}")).running() as server:
        registry = MlflowRegistry(f"http://{server.address}")
        for _ in range(5):
            registry.models()
        assert len(server.opened) == 1
        server.opened[0].shutdown(socket.SHUT_RDWR)
        registry.models()
        assert len(server.opened) == 2


@pytest.mark.parametrize(
    "url",
    ["", "mlflow", "ftp://host", "http://", "http://host:port", "http://host/?a=b", "http://[::1"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(BadValue, match="is not the address of a registry"):
        MlflowRegistry(url)


def test_credentials_that_cannot_be_sent_are_refused_and_not_shown() -> None:
    with pytest.raises(BadValue, match="expected one of them"):
        MlflowRegistry("http://host", token="abc", user="ann")
    with pytest.raises(BadValue, match="cannot be sent") as error:
        MlflowRegistry("http://host", token="sec\nret")
    assert "sec" not in error.value.message
    with pytest.raises(BadValue, match="':' in it"):
        MlflowRegistry("http://host", user="a:b", password="secret")
    with pytest.raises(BadValue, match="is not the address") as error:
        MlflowRegistry("ftp://ann:secret@host")
    assert "secret" not in error.value.message


def test_addresses_of_one_place_are_one() -> None:
    assert proxied_path("mlflow-artifacts:/0/a%20b/") == "0/a b"
    assert proxied_path("mlflow-artifacts://other/0") is None
    assert proxied_path("s3://bucket/0") is None
    assert path_within("/disk/run/model", "/disk/run") == "model"
    assert path_within("file:///disk/run/model", "/disk/run/") == "model"
    assert path_within("/disk/run", "file:/disk/run") == ""
    assert path_within("/disk/runs/model", "/disk/run") is None
    assert path_within("/disk/run", "") is None
    assert path_within("s3://bucket/run/model", "s3://bucket/run") == "model"
