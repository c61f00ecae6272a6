"""Connections are shared out among those who listen on one socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

from modelway.rest.accepting import Accepting, Census


def test_who_holds_fewest_is_next(tmp_path: Path) -> None:
    first, second = (Census(tmp_path / "connections", slot) for slot in (0, 7))
    assert first.is_mine
    assert second.is_mine
    first.hold(2)
    second.hold(1)
    assert (first.is_mine, second.is_mine) == (False, True)
    second.leave()
    assert first.is_mine, "who has left holds nothing back"


def test_who_takes_a_place_over_begins_with_none(tmp_path: Path) -> None:
    first, dead = (Census(tmp_path / "connections", slot) for slot in (0, 1))
    first.hold(3)
    dead.hold(100)
    assert first.is_mine
    Census(tmp_path / "connections", 1)
    assert not first.is_mine


class Held(asyncio.Protocol):
    """A connection that is counted."""

    def __init__(self, count: Callable[[int], None]) -> None:
        self._count = count
        self.transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._count(1)

    def connection_lost(self, exc: Exception | None) -> None:
        self._count(-1)


class Process:
    """One of those who listen."""

    def __init__(self, listener: socket.socket, census: Census) -> None:
        self.held = 0
        self._census = census
        self.accepting = Accepting(listener, lambda: Held(self._count), census)

    def _count(self, by: int) -> None:
        self.held += by
        self._census.hold(self.held)


async def connected(port: int, n: int, processes: list[Process]) -> list[socket.socket]:
    """Connections that are all accepted."""
    wanted = sum(one.held for one in processes) + n
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(n)]
    async with asyncio.timeout(10):
        while sum(one.held for one in processes) < wanted:
            await asyncio.sleep(0.001)
    return sockets


def test_connections_are_shared_out(tmp_path: Path) -> None:
    async def work() -> list[list[int]]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            processes = [
                Process(listener, Census(tmp_path / "connections", slot)) for slot in range(3)
            ]
            found, sockets = [], []
            for n in (3, 30):
                sockets += await connected(port, n, processes)
                found.append([one.held for one in processes])
            for one in sockets:
                one.close()
            for process in processes:
                process.accepting.close()
            async with asyncio.timeout(10):
                while any(process.held for process in processes):
                    await asyncio.sleep(0.001)
            return found

    for held in asyncio.run(work()):
        assert max(held) - min(held) <= 1, held


def test_nobody_waits_for_a_process_that_hangs(tmp_path: Path) -> None:
    async def work() -> int:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            Census(tmp_path / "connections", 1)  # it listens, holds nothing, and accepts nothing
            process = Process(listener, Census(tmp_path / "connections", 0))
            # A moment each, and several of those who wait together.
            async with asyncio.timeout(10):
                sockets = await connected(listener.getsockname()[1], 100, [process])
            held = process.held
            for one in sockets:
                one.close()
            process.accepting.close()
            async with asyncio.timeout(10):
                while process.held:
                    await asyncio.sleep(0.001)
            return held

    assert asyncio.run(work()) == 100
