"""Waiting no longer than a caller wants its answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

from modelway.domain.errors import DeadlineExceeded

Result = TypeVar("Result")


async def in_time(awaited: Awaitable[Result], deadline: float, what: str) -> Result:
    """What is awaited, which is cancelled if it is not there by ``deadline`` (``time.monotonic``).

    May be awaited outside a task.

    Raises:
        DeadlineExceeded: ``what`` took too long.
    """
    future = asyncio.ensure_future(awaited)
    try:
        await asyncio.wait((future,), timeout=max(0.0, deadline - time.monotonic()))
        if future.done():
            return future.result()
    finally:
        future.cancel()
    raise DeadlineExceeded(f"{what} took longer than the request may")
