"""A connection whose caller asks faster than it takes."""

from __future__ import annotations

import asyncio
import socket

import pytest

from modelway.rest.connection import Connection
from modelway.rest.http import Request, Response
from modelway.rest.server import Server

ANSWER_BYTES = 100_000
N_REQUESTS = 1_000
MOST_HELD_BYTES = 5_000_000
REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


async def at_once(_: Request) -> Response:
    return Response(b"x" * ANSWER_BYTES)


async def later(_: Request) -> Response:
    await asyncio.sleep(0)
    return Response(b"x" * ANSWER_BYTES)


@pytest.mark.parametrize("answer", [at_once, later])
def test_no_more_answers_wait_than_a_caller_can_be_given(answer: type[Response]) -> None:
    async def work() -> None:
        server = Server(answer, max_body_bytes=1000)  # type: ignore[arg-type] # a coroutine function
        ours, theirs = socket.socketpair()
        held: list[int] = []
        transport, _ = await server.loop.connect_accepted_socket(lambda: Connection(server), theirs)
        reader, writer = await asyncio.open_connection(sock=ours, limit=ANSWER_BYTES)
        writer.write(REQUEST * N_REQUESTS)
        for _ in range(100):
            await asyncio.sleep(0.002)
            held.append(transport.get_write_buffer_size())
        assert 0 < max(held) < MOST_HELD_BYTES
        # Nobody is forgotten for having waited.
        for _ in range(N_REQUESTS):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
            assert head.startswith(b"HTTP/1.1 200 ")
            await reader.readexactly(ANSWER_BYTES)
        writer.close()

    asyncio.run(work())
