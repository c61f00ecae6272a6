"""Which hosts a request may name where only this machine listens."""

from __future__ import annotations

import pytest

from modelway.domain.errors import InvalidInput
from modelway.rest.hosts import Hosts
from modelway.rest.http import Request


def request(host: bytes | None) -> Request:
    return Request("id", "GET", "/", headers={} if host is None else {b"host": host})


OURS = [None, b"localhost", b"LOCALHOST:8080", b"127.0.0.1:8080", b"127.8.9.1", b"[::1]:1"]
OTHERS = [b"evil.example", b"localhost.evil.example", b"127.0.0.1.evil", b"", b"[::2]", b"\xff"]


@pytest.mark.parametrize("host", OURS)
def test_this_machine_may_be_named(host: bytes | None) -> None:
    hosts = Hosts(loopback=True)
    for _ in range(2):  # looked at, then known
        hosts.check(request(host))


@pytest.mark.parametrize("host", OTHERS)
def test_another_host_is_refused_again_and_again(host: bytes) -> None:
    hosts = Hosts(loopback=True)
    for _ in range(2):
        with pytest.raises(InvalidInput, match="answers to localhost"):
            hosts.check(request(host))


@pytest.mark.parametrize("host", [*OURS, *OTHERS])
def test_where_others_listen_too_any_name_will_do(host: bytes | None) -> None:
    Hosts(loopback=False).check(request(host))


def test_a_caller_with_many_names_is_not_remembered_for_ever() -> None:
    hosts = Hosts(loopback=True)
    for port in range(1000):
        hosts.check(request(b"localhost:%d" % port))
    assert len(hosts._known) <= 65
