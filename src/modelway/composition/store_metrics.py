"""Numbers that are read from the store now and then, and said among the metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from modelway.domain.errors import Unavailable

_EVERY_S = 5.0
"""How often is looked: to count the jobs that wait takes a moment, where they are a million."""

Found = TypeVar("Found")


async def followed(
    look: Callable[[], Found], say: Callable[[Found], None], clear: Callable[[], None]
) -> None:
    """Say what the store has, until cancelled; nothing is said while that is away.

    Nor is anything said where it cannot tell for another reason, which is raised.
    """
    while True:
        try:
            found = await asyncio.to_thread(look)
        except Unavailable:
            clear()
        except BaseException:
            clear()
            raise
        else:
            say(found)
        await asyncio.sleep(_EVERY_S)
