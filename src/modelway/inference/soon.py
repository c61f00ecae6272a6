"""An answer that is there before the event loop's turn is over.

Nothing heavy is imported here: whoever only reads connections knows this word too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from modelway.domain.errors import ModelwayError


class Soon(asyncio.Future[Any]):
    """A future that is settled at the end of the turn.

    ``then`` is called at once when it is there, and must not raise: who knows of it goes on without
    a task. Everybody else awaits it as any future.
    """

    then: Callable[[], None] | None = None


def settle(future: asyncio.Future[Any], answer: object) -> None:
    """Give a request its answer, outputs or the error in their place, if anybody waits for it."""
    if future.done():
        return
    if isinstance(answer, ModelwayError):
        future.set_exception(answer)
    else:
        future.set_result(answer)
