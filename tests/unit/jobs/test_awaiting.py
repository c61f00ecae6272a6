"""Waiting for jobs: one look for all who wait, none for nobody, and an end to it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from modelway.domain.errors import StoreUnavailable
from modelway.jobs.awaiting import Awaiting

LONG_S = 30.0


class Ends:
    """Jobs that are done; ``asked`` are the ids of every look."""

    def __init__(self) -> None:
        self.done: set[str] = set()
        self.asked: list[set[str]] = []
        self.away = False

    def ended(self, ids: Collection[str]) -> Collection[str]:
        """Those that are done."""
        self.asked.append(set(ids))
        if self.away:
            raise StoreUnavailable("it is away")
        return self.done & set(ids)


async def looked(ends: Ends, more: int = 2) -> None:
    """Wait until it was looked again."""
    so_far = len(ends.asked)
    async with asyncio.timeout(LONG_S):
        while len(ends.asked) < so_far + more:
            await asyncio.sleep(0.005)


def test_each_who_waits_is_told_of_its_own_job() -> None:
    async def run() -> None:
        ends = Ends()
        awaiting = Awaiting(ends)
        waits = [asyncio.create_task(awaiting.ended(id, LONG_S)) for id in ("a", "b", "a")]
        await looked(ends)
        assert {"a", "b"} in ends.asked
        ends.done = {"a"}
        assert await waits[0]
        assert await waits[2]
        assert not waits[1].done()
        ends.done = {"b"}
        assert await waits[1]
        async with asyncio.timeout(LONG_S):
            while awaiting._looking is not None:
                await asyncio.sleep(0.005)
        n = len(ends.asked)
        await asyncio.sleep(0.3)
        assert len(ends.asked) == n
        assert await awaiting.ended("b", LONG_S)

    asyncio.run(run())


def test_nobody_waits_for_longer_than_was_said() -> None:
    async def run() -> None:
        assert not await Awaiting(Ends()).ended("a", 0.05)

    asyncio.run(run())


def test_a_store_that_is_away_ends_no_job() -> None:
    async def run() -> None:
        ends = Ends()
        ends.away = True
        awaiting = Awaiting(ends)
        waiting = asyncio.create_task(awaiting.ended("a", LONG_S))
        await looked(ends)
        ends.done, ends.away = {"a"}, False
        assert await waiting

    asyncio.run(run())
