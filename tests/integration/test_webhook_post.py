"""Posting to a URL of somebody else: where it goes, and where it never does."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelway.backends import webhook_http
from modelway.backends.webhook_http import WebhookPost, _is_public
from modelway.domain.errors import CallbackRefused, Unavailable
from support.certificates import certificate_pair
from support.webhooks import Called, called

HEADERS = {"content-type": "application/json", "webhook-id": "msg_1"}


@pytest.fixture
def server() -> Iterator[Called]:
    with called() as server:
        yield server


def test_a_message_is_posted_whole(server: Called) -> None:
    status = WebhookPost(private=False)(server.url("/hooks/7?a=b%20c"), HEADERS, b'{"a": 1}')
    assert status == 200
    (call,) = server.calls
    assert (call.path, call.body) == ("/hooks/7?a=b%20c", b'{"a": 1}')
    assert call.headers["webhook-id"] == "msg_1"
    assert call.headers["host"] == f"127.0.0.1:{server.port}"


def test_redirects_are_not_followed(server: Called) -> None:
    server.answers = [307, 301]
    post = WebhookPost(private=False)
    assert [post(server.url(), HEADERS, b"{}") for _ in range(2)] == [307, 301]
    assert [one.path for one in server.calls] == ["/hooks", "/hooks"]


def test_a_name_that_leads_to_this_host_is_refused(server: Called) -> None:
    url = server.url(host="localhost")
    with pytest.raises(CallbackRefused, match="no public address"):
        WebhookPost(private=False)(url, HEADERS, b"{}")
    assert server.calls == []
    assert WebhookPost(private=True)(url, HEADERS, b"{}") == 200


def test_a_name_is_looked_up_once(server: Called, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    known = socket.getaddrinfo

    def rebinding(host: Any, *rest: Any, **named: Any) -> Any:
        if host != "hooks.example.com":
            return known(host, *rest, **named)
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "192.0.2.1"
        return known(address, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    url = server.url(host="hooks.example.com")
    assert WebhookPost(private=True)(url, HEADERS, b"{}") == 200
    assert asked == ["hooks.example.com"]
    assert server.calls[0].headers["host"] == f"hooks.example.com:{server.port}"


def test_one_private_address_among_public_ones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(*_: object, **__: object) -> Any:
        return [(socket.AF_INET, 1, 6, "", (one, 0)) for one in ("93.184.216.34", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with pytest.raises(CallbackRefused, match=r"10\.0\.0\.1"):
        WebhookPost(private=False)("https://hooks.example.com/", HEADERS, b"{}")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert _is_public(ipaddress.ip_address(address)) is public


def test_a_certificate_is_the_names_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = certificate_pair().write(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with called(context) as server:
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            WebhookPost(private=True)(server.url(host="localhost", scheme="https"), HEADERS, b"{}")
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        post = WebhookPost(private=True)
        assert post(server.url(host="localhost", scheme="https"), HEADERS, b"{}") == 200
        assert post(server.url(scheme="https"), HEADERS, b"{}") == 200
        known = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, *rest, **named: known("127.0.0.1", *rest, **named)
        )
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            post(server.url(host="hooks.example.com", scheme="https"), HEADERS, b"{}")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 20", b"\x00" * 100 + b"\r\n\r\n"])
def test_what_is_no_answer_is_told_so(said: bytes) -> None:
    with answering(said, drip=False) as port, pytest.raises(Unavailable):
        WebhookPost(private=False)(f"http://127.0.0.1:{port}/", HEADERS, b"{}")


def test_an_answer_that_never_ends_takes_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_http, "_WHOLE_S", 0.5)
    began_s = time.monotonic()
    for said in (b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"):
        with answering(said, drip=True) as port, contextlib.suppress(Unavailable):
            assert WebhookPost(private=False)(f"http://127.0.0.1:{port}/", HEADERS, b"{}") == 200
    assert time.monotonic() - began_s < 20


def test_what_is_found_too_late_is_not_told(
    server: Called, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = socket.getaddrinfo

    def slow(*asked: Any, **named: Any) -> Any:
        time.sleep(0.3)
        return known(*asked, **named)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    monkeypatch.setattr(webhook_http, "_WHOLE_S", 0.2)
    with pytest.raises(Unavailable, match="not found in time"):
        WebhookPost(private=True)(server.url(host="localhost"), HEADERS, b"{}")
    assert server.calls == []


def test_a_look_up_that_hangs_takes_no_longer_than_a_post_and_one_thread(
    server: Called, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, asked, answers = socket.getaddrinfo, list[str](), threading.Event()

    def hanging(host: Any, *rest: Any, **named: Any) -> Any:
        if host != "hooks.example.com":
            return known(host, *rest, **named)
        asked.append(host)
        answers.wait()
        return known("127.0.0.1", *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    post = WebhookPost(private=True)
    with monkeypatch.context() as soon:
        soon.setattr(webhook_http, "_WHOLE_S", 0.1)
        for _ in range(3):
            with pytest.raises(Unavailable, match="not found in time"):
                post(server.url(host="hooks.example.com"), HEADERS, b"{}")
    assert (len(asked), server.calls) == (1, [])
    assert post(server.url(host="localhost"), HEADERS, b"{}") == 200
    answers.set()
    assert post(server.url(host="hooks.example.com"), HEADERS, b"{}") == 200


def test_where_nobody_listens_nobody_is_told() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unavailable, match="cannot be told"):
        WebhookPost(private=False)(f"http://127.0.0.1:{port}/", HEADERS, b"{}")


@contextlib.contextmanager
def answering(said: bytes, *, drip: bool) -> Iterator[int]:
    """A port that says this to whoever comes; and then, where it drips, more without end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            taken, _ = listener.accept()
            with taken, contextlib.suppress(OSError):
                taken.recv(65536)
                taken.sendall(said)
                while drip:
                    taken.sendall(b"x: y\r\n")
                    time.sleep(0.05)

        serving = threading.Thread(target=answer, daemon=True)
        serving.start()
        yield listener.getsockname()[1]
        serving.join(10)
