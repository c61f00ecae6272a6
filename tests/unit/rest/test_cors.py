from __future__ import annotations

from collections.abc import Mapping

import pytest

from modelway.domain.errors import BadValue
from modelway.rest.cors import Cors

APP = "https://app.example.com"
LOCAL = "http://localhost:3000"


def headers(lines: bytes) -> Mapping[str, str]:
    """Header lines as a client reads them; of one that comes twice all, joined."""
    found: dict[str, str] = {}
    for line in lines.decode().splitlines():
        name, _, value = line.partition(": ")
        found[name] = f"{found[name]}, {value}" if name in found else value
    assert lines == b"" or lines.endswith(b"\r\n")
    return found


@pytest.fixture
def cors() -> Cors:
    return Cors([APP, LOCAL], keyed=True)


def test_where_no_origin_is_allowed_nothing_is_ever_said() -> None:
    silent = Cors([], keyed=False)
    assert silent.lines(APP.encode()) == b""
    assert silent.lines(None) == b""
    assert silent.preflight("OPTIONS", APP.encode(), b"POST", b"content-type") is None


@pytest.mark.parametrize("origin", [APP, LOCAL])
def test_an_answer_names_the_origin_that_may_read_it(cors: Cors, origin: str) -> None:
    said = headers(cors.lines(origin.encode()))
    assert said["access-control-allow-origin"] == origin
    assert said["vary"] == "Origin"
    assert "modelway-prediction-id" in said["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in said


@pytest.mark.parametrize(
    "origin",
    [
        None,
        b"https://evil.example.com",
        b"http://app.example.com",
        b"https://app.example.com:8443",
        b"https://app.example.com.evil.com",
        b"https://APP.example.com",
        b"https://app.example.com/",
        b"null",
        b"*",
        b"",
        b"https://app.example.com\r\nx: y",
    ],
)
def test_another_origin_is_told_nothing_but_that_answers_vary(
    cors: Cors, origin: bytes | None
) -> None:
    assert headers(cors.lines(origin)) == {"vary": "Origin"}
    if origin is not None:
        preflight = cors.preflight("OPTIONS", origin, b"POST", b"content-type")
        assert headers(preflight or b"") == {"vary": "Origin"}


def test_a_preflight_is_told_what_may_be_sent(cors: Cors) -> None:
    wanted = b"content-type, X-API-Key,authorization , modelway-prediction-id, x-evil, cookie"
    preflight = cors.preflight("OPTIONS", APP.encode(), b"POST", wanted)
    assert preflight is not None
    said = headers(preflight)
    assert said["access-control-allow-origin"] == APP
    assert "POST" in said["access-control-allow-methods"].split(", ")
    assert said["access-control-allow-headers"].split(", ") == [
        *("content-type", "x-api-key", "authorization", "modelway-prediction-id")
    ]
    assert said["vary"] == "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
    assert int(said["access-control-max-age"]) > 0


@pytest.mark.parametrize(
    "wanted", [None, b"", b"cookie", b"x" * 5000, b",,,", b"modelway-\r\nx: y"]
)
def test_a_preflight_for_no_header_that_is_read_here_names_none(
    cors: Cors, wanted: bytes | None
) -> None:
    preflight = cors.preflight("OPTIONS", APP.encode(), b"GET", wanted)
    assert preflight is not None
    assert "access-control-allow-headers" not in headers(preflight)


@pytest.mark.parametrize(
    ("method", "origin", "wanted"),
    [("POST", APP, b"POST"), ("OPTIONS", None, b"POST"), ("OPTIONS", APP, None)],
)
def test_what_is_no_preflight_is_answered_as_ever(
    cors: Cors, method: str, origin: str | None, wanted: bytes | None
) -> None:
    brought = None if origin is None else origin.encode()
    assert cors.preflight(method, brought, wanted, None) is None


def test_every_origin_may_ask_where_no_key_is_needed() -> None:
    open_to_all = Cors(["*"], keyed=False)
    said = headers(open_to_all.lines(b"https://anybody.example"))
    assert said["access-control-allow-origin"] == "*"
    assert "vary" not in said, "the answer is the same for all"
    preflight = open_to_all.preflight("OPTIONS", b"null", b"POST", b"content-type")
    assert headers(preflight or b"")["access-control-allow-headers"] == "content-type"


def test_every_origin_is_refused_where_keys_are_asked_for() -> None:
    with pytest.raises(BadValue, match=r"cors\.origins: '\*'.*keys are asked for"):
        Cors(["*"], keyed=True)


def test_every_origin_stands_alone() -> None:
    with pytest.raises(BadValue, match="give it alone"):
        Cors(["*", APP], keyed=False)


@pytest.mark.parametrize(
    "origin",
    [
        *("", "app.example.com", "https://app.example.com/", "https://app.example.com/x"),
        *("https://App.example.com", "HTTPS://app.example.com", "ftp://app.example.com", "null"),
        *("https://*.example.com", "https://u:p@app.example.com", "https://app.example.com:0"),
        *("https://app.example.com:70000", "https://", "https://é.example", "https://a b"),
        "https://app.example.com\n",
    ],
)
def test_what_is_no_origin_is_named(origin: str) -> None:
    with pytest.raises(BadValue, match=r"cors\.origins: .* is no origin") as refused:
        Cors([origin], keyed=True)
    assert "https://app.example.com" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("origin", "right"),
    [("https://a.example:443", "https://a.example"), ("http://a.example:80", "http://a.example")],
)
def test_a_usual_port_would_never_match(origin: str, right: str) -> None:
    with pytest.raises(BadValue) as refused:
        Cors([origin], keyed=True)
    assert str(refused.value.hint) == f"write {right}"


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8080", "http://[::1]:3000", "https://x"])
def test_origins_are_of_any_host(origin: str) -> None:
    said = headers(Cors([origin], keyed=True).lines(origin.encode()))
    assert said["access-control-allow-origin"] == origin
