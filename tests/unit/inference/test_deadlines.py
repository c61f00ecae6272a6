"""Nobody waits longer than a caller wants its answer."""

from __future__ import annotations

import asyncio
import time

import pytest

from modelway.domain.errors import DeadlineExceeded
from modelway.inference.deadlines import in_time


def test_what_is_there_in_time_is_given() -> None:
    async def soon() -> int:
        await asyncio.sleep(0.001)
        return 7

    async def work() -> int:
        late = time.monotonic() + 10
        return await in_time(soon(), late, "it")

    assert asyncio.run(work()) == 7


def test_what_is_late_is_cancelled() -> None:
    ended = []

    async def never() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def work() -> None:
        with pytest.raises(DeadlineExceeded, match="opening it took longer"):
            await in_time(never(), time.monotonic() + 0.01, "opening it")
        await asyncio.sleep(0)

    asyncio.run(work())
    assert ended == [True]


def test_its_error_is_raised_and_leaving_ends_it() -> None:
    async def fails() -> None:
        raise ValueError("no")

    async def work() -> None:
        with pytest.raises(ValueError, match="no"):
            await in_time(fails(), time.monotonic() + 10, "it")
        inner = asyncio.get_running_loop().create_future()
        waiting = asyncio.create_task(in_time(inner, time.monotonic() + 10, "it"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert inner.cancelled()

    asyncio.run(work())
