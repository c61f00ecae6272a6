"""Load on a service whose models are swapped and whose workers are killed all the while.

Each caller keeps one connection and asks one row after the other. A bundle is known by the
probability it gives, so every answer says which swap it came from: none may be older than the last
one on its connection, nor than what was swapped in two seconds before it was asked.

A worker is stopped before it is killed, and its connections are read from the kernel: theirs are
the only requests that may fail.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from support.administered import Administered
from support.homes import callers_of
from support.live import Service
from support.served import FLOWER, compiled_bundle, flower_graph
from support.witness import pss_mb

NAME = "flower"
MIXED_S = 2.0
"""How long workers may differ after a swap."""

_ROW = json.dumps({"sepal_length": 5.0, "petal_width": 2.2}).encode()
_PATH = f"/models/{NAME}/predict"
_SAID = re.compile(rb'"2":([0-9.]+)')
_LENGTH = re.compile(rb"content-length: ([0-9]+)", re.IGNORECASE)


def soak_bundles(folder: Path, number: int) -> list[Path]:
    """Bundles that differ in the probability they give."""
    return [
        compiled_bundle(folder / f"{k:03}", flower_graph(_certainty(k)), FLOWER, classes=(0, 1, 2))
        for k in range(number)
    ]


def _certainty(k: int) -> float:
    return 0.5 + k / 256


@dataclass(frozen=True)
class Rhythm:
    """How long, how often and by how many; ``settled_s`` is when the size is taken first."""

    seconds: float
    swap_s: float
    kill_s: float
    settled_s: float
    callers: int = 16


@dataclass
class Soaked:
    """What came of it; ``sizes_mb`` is the memory of all processes by seconds since the start."""

    answers: int = 0
    swaps: int = 0
    kills: int = 0
    lost_with_a_worker: int = 0
    slowest_s: float = 0.0
    longest_restart_s: float = 0.0
    faults: list[str] = field(default_factory=list)
    sizes_mb: list[tuple[float, float]] = field(default_factory=list)


class Soak:
    """One run against a service that answers with the first of the bundles."""

    def __init__(self, service: Service, bundles: Sequence[Path], rhythm: Rhythm) -> None:
        self.found = Soaked()
        self._service = service
        self._administered = Administered(service)
        self._bundles = bundles
        self._rhythm = rhythm
        self._turn = 0  # how often was swapped, of which the bundle that answers follows
        self._swapped: list[tuple[float, int]] = [(0.0, 0)]
        self._killed: dict[int, float] = {}  # ports of callers whose worker was killed, and when
        self._begun = time.monotonic()

    def run(self) -> Soaked:
        """All of it; blocks."""
        asyncio.run(self._run())
        return self.found

    async def _run(self) -> None:
        self._begun = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._rhythm.callers):
                tasks.create_task(self._call())
            tasks.create_task(self._swap())
            tasks.create_task(self._kill())
            tasks.create_task(self._weigh())

    def _elapsed(self) -> float:
        return time.monotonic() - self._begun

    def _goes_on(self) -> bool:
        return self._elapsed() < self._rhythm.seconds

    async def _call(self) -> None:
        """Ask until the end, on one connection as long as it lasts."""
        parts = urlsplit(self._service.url)
        head = (
            f"POST {_PATH} HTTP/1.1\r\nhost: {parts.netloc}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(_ROW)}\r\n\r\n"
        )
        while self._goes_on():
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            port = writer.get_extra_info("sockname")[1]
            try:
                await self._ask(reader, writer, head.encode() + _ROW)
            except (OSError, asyncio.IncompleteReadError) as error:
                if port in self._killed:
                    self.found.lost_with_a_worker += 1
                else:
                    self._fault(f"a connection broke that no killed worker had: {error!r}")
            finally:
                writer.close()
                self._killed.pop(port, None)

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> None:
        last = 0
        while self._goes_on():
            started = time.monotonic()
            oldest = self._oldest(started)
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            assert length, head
            body = await reader.readexactly(int(length[1]))
            self.found.slowest_s = max(self.found.slowest_s, time.monotonic() - started)
            said = _SAID.search(body)
            if not head.startswith(b"HTTP/1.1 200 ") or not said:
                self._fault(f"{head[:40]!r} {body[:200]!r}")
                continue
            turn = self._turn_of(float(said[1]))
            if turn < max(last, oldest):
                self._fault(f"swap {turn} answered after {last} or, two seconds ago, {oldest}")
            last = turn
            self.found.answers += 1

    def _turn_of(self, certainty: float) -> int:
        """The latest swap that brought the bundle which gives this probability; -1 for none."""
        number = len(self._bundles)
        place = round((certainty - _certainty(0)) * 256)
        # A swap that is under way may answer before it is told to be done.
        newest = self._turn + 1
        turn = newest - (newest - place) % number
        return turn if 0 <= place < number and certainty == _certainty(place) else -1

    def _oldest(self, now: float) -> int:
        """The oldest swap that may still answer."""
        return max((turn for at, turn in self._swapped[-9:] if now - at > MIXED_S), default=0)

    def _fault(self, text: str) -> None:
        self.found.faults.append(f"after {self._elapsed():.2f} s: {text}")

    async def _swap(self) -> None:
        while await self._waited(self._rhythm.swap_s):
            bundle = self._bundles[(self._turn + 1) % len(self._bundles)]
            answer = await asyncio.to_thread(self._administered.load, bundle)
            if answer.status != 200:
                self._fault(f"a swap was refused: {answer.status} {answer.body[:200]!r}")
                return
            self._turn += 1
            self._swapped.append((time.monotonic(), self._turn))
            self.found.swaps += 1

    async def _kill(self) -> None:
        while await self._waited(self._rhythm.kill_s):
            workers = _children(self._service.process.pid)
            victim = workers[self.found.kills % len(workers)]
            os.kill(victim, signal.SIGSTOP)
            self._killed.update(dict.fromkeys(callers_of(victim), self._elapsed()))
            os.kill(victim, signal.SIGKILL)
            self.found.kills += 1
            died = time.monotonic()
            while not await self._whole(len(workers), victim):
                await asyncio.sleep(0.02)
            self.found.longest_restart_s = max(
                self.found.longest_restart_s, time.monotonic() - died
            )

    async def _whole(self, number: int, victim: int) -> bool:
        """Whether so many workers answer their administration, without the one that was killed."""
        workers = _children(self._service.process.pid)
        if len(workers) < number or victim in workers:
            return False
        return len(await asyncio.to_thread(self._administered.workers)) == number

    async def _weigh(self) -> None:
        rhythm = self._rhythm
        workers = len(_children(self._service.process.pid))
        while await self._waited(max(0.5, rhythm.settled_s / 12)):
            try:
                size = self._size_mb(workers)
            except OSError:
                continue  # one was killed just now
            if size is not None:
                self.found.sizes_mb.append((round(self._elapsed(), 1), size))

    def _size_mb(self, workers: int) -> float | None:
        """All processes together; None while one of them is missing."""
        children = _children(self._service.process.pid)
        if len(children) != workers:
            return None
        return round(sum(map(pss_mb, (self._service.process.pid, *children))), 1)

    async def _waited(self, seconds: float) -> bool:
        """Whether it still goes on after this time."""
        await asyncio.sleep(seconds)
        return self._goes_on()


def _children(process: int) -> list[int]:
    path = Path(f"/proc/{process}/task/{process}/children")
    return [int(word) for word in path.read_text().split()]


def figures(found: Soaked, rhythm: Rhythm) -> Mapping[str, object]:
    """What is kept of a run; ``growth`` is the size at the end to the one at ``settled_s``.

    Each is the median of the five samples next to it: one may be of a worker that has just begun.
    """

    def size_at(second: float) -> float:
        near = sorted(found.sizes_mb, key=lambda one: abs(one[0] - second))[:5]
        return statistics.median(size for _, size in near)

    settled, last = size_at(rhythm.settled_s), size_at(rhythm.seconds)
    return {
        "seconds": rhythm.seconds,
        "callers": rhythm.callers,
        "answers": found.answers,
        "swaps": found.swaps,
        "kills": found.kills,
        "lost_with_a_worker": found.lost_with_a_worker,
        "faults": found.faults[:20],
        "slowest_answer_s": round(found.slowest_s, 3),
        "longest_restart_s": round(found.longest_restart_s, 3),
        "settled_mb": settled,
        "last_mb": last,
        "growth": round(last / settled, 3),
        "sizes_mb": found.sizes_mb,
    }
