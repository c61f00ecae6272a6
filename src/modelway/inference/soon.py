"""An answer that is there before the event loop's turn is over.

Nothing heavy is imported here: whoever only reads connections knows this word too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from modelway.domain.errors import ModelwayError


class Soon(asyncio.Future[Any]):
    """A future that is settled at the end of the turn, with outputs or the error in their place.

    ``then`` is called at once when it is there, and must not raise: who knows of it goes on without
    a task. Everybody else awaits it as any future.
    """

    then: Callable[[], None] | None = None

    def settle(self, answer: object) -> None:
        """Give the answer, if anybody still waits for it."""
        if self.done():
            return
        if isinstance(answer, ModelwayError):
            self.set_exception(answer)
        else:
            self.set_result(answer)
