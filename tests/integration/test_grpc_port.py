"""The port of gRPC: reserved for one service, shared by its processes, and by nobody else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from modelway.composition.grpc_door import reserve
from modelway.domain.errors import BadValue, PortInUse


@contextmanager
def _listening(address: str) -> Iterator[None]:
    """A server of gRPC's own on an address."""
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_insecure_port(address)
    server.start()
    try:
        yield
    finally:
        assert server.stop(0).wait(30)


def _number(address: str) -> int:
    return int(address.rpartition(":")[2])


def test_a_reserved_port_takes_no_connection() -> None:
    with reserve("127.0.0.1", 0) as kept, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", _number(kept.address)), timeout=5)


def test_a_reserved_port_is_refused_to_another_service_before_anybody_listens() -> None:
    with reserve("127.0.0.1", 0) as kept, pytest.raises(PortInUse, match="is in use") as refused:
        reserve("127.0.0.1", _number(kept.address))
    assert "--grpc-port" in str(refused.value.hint)


def test_processes_of_one_service_listen_together_and_another_service_is_refused() -> None:
    with reserve("127.0.0.1", 0) as kept, _listening(kept.address), _listening(kept.address):
        with socket.create_connection(("127.0.0.1", _number(kept.address)), timeout=5):
            pass
        for host in ("127.0.0.1", "0.0.0.0"):  # where another service would listen
            with pytest.raises(PortInUse):
                reserve(host, _number(kept.address))


def test_a_port_that_was_given_up_can_be_had_again() -> None:
    with reserve("127.0.0.1", 0) as kept, _listening(kept.address):
        connection = socket.create_connection(("127.0.0.1", _number(kept.address)), timeout=5)
    connection.close()
    with reserve("127.0.0.1", _number(kept.address)) as again:
        assert again.address == kept.address


def test_a_port_where_something_else_listens_is_refused(free_port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port))
        other.listen()
        with pytest.raises(PortInUse):
            reserve("127.0.0.1", free_port)


@pytest.mark.skipif(not socket.has_ipv6, reason="the machine has no IPv6")
def test_an_address_of_the_newer_kind_is_written_in_brackets() -> None:
    with reserve("::1", 0) as kept, _listening(kept.address):
        assert kept.address.startswith("[::1]:")
        with socket.create_connection(("::1", _number(kept.address)), timeout=5):
            pass


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_a_host_that_is_not_this_machine_is_refused(host: str) -> None:
    with pytest.raises(BadValue):
        reserve(host, 0)
