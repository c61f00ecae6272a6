"""TLS with real clients: what they are answered, and what becomes of those that do it wrong."""

from __future__ import annotations

import asyncio
import http.client
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import uvloop

from modelway.access.tls import Certificate
from modelway.composition.grpc_door import open_door
from modelway.grpc import messages
from modelway.grpc.door import GrpcDoor
from modelway.inference.dataplane import DataPlane
from modelway.inference.statistics import Statistics
from modelway.rest import accepting
from modelway.rest.accepting import Accepting, Census
from modelway.rest.http import Request, Response
from modelway.rest.server import Server
from modelway.settings import GrpcSettings
from modelway.telemetry.access import AccessLog
from modelway.telemetry.instruments import Metrics
from modelway.telemetry.slots import Slot
from support.certificates import Pair, certificate_pair
from support.grpc_serving import Answered, Caller
from support.served import FLOWER, compiled_bundle, flower_graph, loaded, plane_of

WAIT_S = 20.0
LARGE = 300_000
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="module")
def pair() -> Pair:
    return certificate_pair()


@contextmanager
def on_a_loop(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    work: Callable[[asyncio.Event, Callable[[], None]], Coroutine[Any, Any, None]],
) -> Iterator[None]:
    """``work`` on a loop of its own, given what ends it and what to call once it has begun."""
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        end = asyncio.Event()
        try:
            await work(end, partial(begun.set_result, (asyncio.get_running_loop(), end)))
        except Exception as error:
            if begun.done():
                raise
            begun.set_exception(error)

    def main() -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=main)
    thread.start()
    loop, end = begun.result(WAIT_S)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(WAIT_S)
        assert not thread.is_alive()


@dataclass
class Served:
    """A server that says what it was sent; ``drained_s`` once it has ended."""

    port: int
    trusted: bytes
    drained_s: float = 0.0

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.trusted.decode())

    def connection(self) -> http.client.HTTPSConnection:
        context = self.context()
        return http.client.HTTPSConnection("localhost", self.port, context=context, timeout=WAIT_S)

    def ask(self, body: bytes = b"hello") -> bytes:
        """The answer on a connection of its own."""
        with closing(self.connection()) as connection:
            return asked(connection, body)


def asked(connection: http.client.HTTPConnection, body: bytes = b"hello") -> bytes:
    connection.request("POST", "/", body)
    response = connection.getresponse()
    assert response.status == 200
    return response.read()


async def said_back(request: Request) -> Response:
    return Response(request.body)


@contextmanager
def served(
    pair: Pair,
    certificate: Certificate,
    loop: str = "uvloop",
    census: Path | None = None,
    drain_s: float = 5.0,
) -> Iterator[Served]:
    listener = socket.create_server(("127.0.0.1", 0))
    found = Served(listener.getsockname()[1], pair.cert)

    async def work(end: asyncio.Event, begun: Callable[[], None]) -> None:
        server = Server(said_back, max_body_bytes=2 * LARGE)
        counted = None if census is None else Census(census, 0)
        await server.start([listener], counted, certificate.context)
        begun()
        await end.wait()
        started = time.monotonic()
        await server.drain(drain_s)
        found.drained_s = time.monotonic() - started

    with listener, on_a_loop(LOOPS[loop], work):
        yield found


@pytest.fixture(params=[*LOOPS, "shared"])
def server(request: pytest.FixtureRequest, pair: Pair, tmp_path: Path) -> Iterator[Served]:
    """A server on either loop, and on a socket that other processes accept on too."""
    certificate = Certificate(*pair.write(tmp_path))
    shared = request.param == "shared"
    loop = "uvloop" if shared else request.param
    with served(pair, certificate, loop, tmp_path / "connections" if shared else None) as found:
        yield found


def test_requests_are_answered_on_a_connection_that_stays(server: Served) -> None:
    with closing(server.connection()) as connection:
        for k in range(5):
            assert asked(connection, b"hello %d" % k) == b"hello %d" % k
        assert isinstance(connection.sock, ssl.SSLSocket)
        assert connection.sock.version() == "TLSv1.3"


def test_large_bodies_come_and_go(server: Served) -> None:
    body = bytes(range(256)) * (LARGE // 256)
    with closing(server.connection()) as connection:
        for _ in range(3):
            assert asked(connection, body) == body


def test_many_ask_at_once(server: Served) -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda k=k: found.append(server.ask(b"%d" % k))) for k in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert sorted(found) == sorted(b"%d" % k for k in range(20))


def test_who_does_not_speak_tls_is_left_and_harms_nobody(
    server: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), closing(server.connection()) as before:
        assert asked(before) == b"hello"
        plain = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT_S)
        with closing(plain), pytest.raises((http.client.HTTPException, OSError)):
            asked(plain)
        for content in (b"\0" * 500, b"\x16\x03\x01\x00\x05hello", b""):
            with socket.create_connection(("127.0.0.1", server.port), WAIT_S) as strange:
                strange.sendall(content)
        assert asked(before) == b"hello"
        assert server.ask() == b"hello"
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


def test_who_does_not_trust_the_certificate_leaves_and_harms_nobody(
    server: Served, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = Served(server.port, certificate_pair().cert)
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(ssl.SSLCertVerificationError):
            stranger.ask()
        assert server.ask() == b"hello"
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_handshake_that_does_not_end_is_ended(
    pair: Pair,
    tmp_path: Path,
    loop: str,
    shared: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(accepting, "HANDSHAKE_S", 0.3)
    certificate = Certificate(*pair.write(tmp_path))
    census = tmp_path / "connections" if shared else None
    with caplog.at_level(logging.DEBUG, "modelway"), served(pair, certificate, loop, census) as one:
        with socket.create_connection(("127.0.0.1", one.port), WAIT_S) as silent:
            began = time.monotonic()
            assert one.ask() == b"hello", "nobody waits for it"
            assert _is_ended(silent)
            assert 0.2 < time.monotonic() - began < 5.0
        assert one.ask() == b"hello"
    told = [record for record in caplog.records if "handshake" in record.getMessage()]
    assert all(record.levelno == logging.DEBUG for record in told)
    assert bool(told) == shared


def _is_ended(connection: socket.socket) -> bool:
    """Whether the other side ends a connection, be it by a reset."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_a_renewed_certificate_is_the_next_connections(pair: Pair, tmp_path: Path) -> None:
    certificate = Certificate(*pair.write(tmp_path))
    renewed = certificate_pair()
    with served(pair, certificate) as one, closing(one.connection()) as before:
        assert asked(before) == b"hello"
        renewed.write(tmp_path)
        assert certificate.renew()
        assert asked(before) == b"hello", "who is connected stays"
        with pytest.raises(ssl.SSLCertVerificationError):
            one.ask()
        assert Served(one.port, renewed.cert).ask() == b"hello"


@pytest.mark.parametrize("loop", LOOPS)
def test_draining_does_not_wait_for_callers_that_say_no_goodbye(
    pair: Pair, tmp_path: Path, loop: str
) -> None:
    certificate = Certificate(*pair.write(tmp_path))
    with served(pair, certificate, loop, drain_s=15.0) as one:
        idle = [one.connection() for _ in range(3)]
        for connection in idle:
            assert asked(connection) == b"hello"
    assert one.drained_s < 5.0
    for connection in idle:
        connection.close()


class _Held(asyncio.Protocol):
    def __init__(self, count: Callable[[int], None]) -> None:
        self._count = count

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._count(1)

    def connection_lost(self, exc: Exception | None) -> None:
        self._count(-1)


class _Process:
    """One of those who listen."""

    def __init__(self, listener: socket.socket, census: Census, context: ssl.SSLContext) -> None:
        self.held = 0
        self._census = census
        self.accepting = Accepting(listener, lambda: _Held(self._count), census, context)

    def _count(self, by: int) -> None:
        self.held += by
        self._census.hold(self.held)


def test_who_is_in_a_handshake_counts_with_those_who_are_there(tmp_path: Path) -> None:
    first, second = (Census(tmp_path / "connections", slot) for slot in (0, 1))
    first.hold(1)
    second.expect(1)
    assert first.is_mine
    second.expect(1)
    assert not second.is_mine
    second.hold(1)
    second.expect(-1)
    assert not second.is_mine, "one is there, and one is coming"
    second.expect(-1)
    assert second.is_mine


def test_connections_are_shared_out_while_their_handshakes_go_on(
    pair: Pair, tmp_path: Path
) -> None:
    certificate = Certificate(*pair.write(tmp_path))
    client = ssl.create_default_context(cadata=pair.cert.decode())
    held: list[int] = []

    async def work() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            processes = [
                _Process(listener, Census(tmp_path / "connections", slot), certificate.context)
                for slot in range(3)
            ]
            # All wait before the first is accepted.
            sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]
            opening = [
                asyncio.open_connection(sock=one, ssl=client, server_hostname="localhost")
                for one in sockets
            ]
            writers = [writer for _, writer in await asyncio.gather(*opening)]
            async with asyncio.timeout(WAIT_S):
                while sum(one.held for one in processes) < len(sockets):
                    await asyncio.sleep(0.001)
            held.extend(one.held for one in processes)
            for writer in writers:
                writer.transport.abort()
            for one in processes:
                one.accepting.close()
            async with asyncio.timeout(WAIT_S):
                while any(one.held for one in processes):
                    await asyncio.sleep(0.001)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())
    assert max(held) - min(held) <= 2, held


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[DataPlane]:
    bundle = compiled_bundle(tmp_path / "iris", flower_graph(), FLOWER, classes=(0, 1, 2))
    made = plane_of([loaded(bundle, "iris")])
    yield made
    made.close()


@contextmanager
def grpc_served(plane: DataPlane, certificate: Certificate) -> Iterator[int]:
    """The port of a door that speaks TLS."""
    ports: list[int] = []

    async def work(end: asyncio.Event, begun: Callable[[], None]) -> None:
        door = GrpcDoor(Statistics())
        ports.append(await door.start(plane, GrpcSettings(), "127.0.0.1:0", certificate))
        begun()
        await end.wait()
        await door.stop(0.2)

    with on_a_loop(asyncio.new_event_loop, work):
        yield ports[0]


def called(port: int, trusted: bytes | None) -> Answered:
    """How an inference ended over a channel of its own, encrypted where something is trusted."""
    request = messages.ModelInferRequest(model_name="iris")
    rows = np.array([[5.0, 0.3], [6.5, 2.3]])
    request.inputs.add(name="rows", datatype="FP64", shape=rows.shape)
    request.raw_input_contents.append(rows.tobytes())
    options = (("grpc.ssl_target_name_override", "localhost"),)
    address = f"127.0.0.1:{port}"
    if trusted is None:
        channel = grpc.insecure_channel(address)
    else:
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(trusted), options)
    with channel:
        return Caller(channel).ask("ModelInfer", request, timeout=10.0)


def test_grpc_is_encrypted_and_who_is_not_is_left(
    plane: DataPlane, pair: Pair, tmp_path: Path
) -> None:
    certificate = Certificate(*pair.write(tmp_path))
    with grpc_served(plane, certificate) as port:
        answered = called(port, pair.cert)
        assert answered.status is grpc.StatusCode.OK, answered
        assert answered.trailing["modelway-endpoint"] == "iris"
        assert called(port, None).status is grpc.StatusCode.UNAVAILABLE
        assert called(port, certificate_pair().cert).status is grpc.StatusCode.UNAVAILABLE
        assert called(port, pair.cert).status is grpc.StatusCode.OK


def test_a_renewed_certificate_is_the_next_channels(
    plane: DataPlane, pair: Pair, tmp_path: Path
) -> None:
    certificate = Certificate(*pair.write(tmp_path))
    renewed = certificate_pair()
    with grpc_served(plane, certificate) as port:
        assert called(port, pair.cert).status is grpc.StatusCode.OK
        renewed.write(tmp_path)
        assert certificate.renew()
        assert called(port, renewed.cert).status is grpc.StatusCode.OK
        assert called(port, pair.cert).status is grpc.StatusCode.UNAVAILABLE


def test_the_door_of_a_service_is_opened_with_a_certificate(
    plane: DataPlane, pair: Pair, tmp_path: Path, free_port: int
) -> None:
    certificate = Certificate(*pair.write(tmp_path))
    metrics = Metrics(Slot.in_memory())

    async def work(end: asyncio.Event, begun: Callable[[], None]) -> None:
        door = await open_door(
            plane,
            GrpcSettings(),
            f"127.0.0.1:{free_port}",
            metrics,
            AccessLog(0.0),
            certificate=certificate,
        )
        begun()
        await end.wait()
        await door.stop(0.2)

    with on_a_loop(asyncio.new_event_loop, work):
        assert called(free_port, pair.cert).status is grpc.StatusCode.OK
        assert called(free_port, None).status is grpc.StatusCode.UNAVAILABLE
