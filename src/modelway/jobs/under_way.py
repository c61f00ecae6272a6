"""A job that a worker is answering: how far it is, and whether its answer is still wanted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from modelway.domain.errors import ModelwayError
from modelway.domain.jobs import Payload
from modelway.jobs.ports import Held, Leased


@dataclass(slots=True, eq=False)
class UnderWay:
    """A leased job on the event loop that answers it.

    ``rows_done`` is how many of its rows are answered. ``answering`` is the task that answers it
    alone, where one does. It ``is_over`` once there is an answer, or nobody wants one.
    """

    job: Leased
    rows_done: int = 0
    answering: asyncio.Task[Payload | ModelwayError] | None = None
    is_over: bool = False

    @property
    def held(self) -> Held:
        """What the queue is told of it."""
        return Held(self.job.id, self.job.token, self.rows_done)

    def progressed(self, rows_done: int) -> None:
        """So many of its rows are answered."""
        self.rows_done = rows_done

    def give_up(self) -> None:
        """Answer it no further: its lease is another's, or it was cancelled."""
        self.is_over = True
        if self.answering is not None:
            self.answering.cancel()
