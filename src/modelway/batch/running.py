"""The run: every part that is not done yet is given to a worker, until all are.

The first parts are given first, so that a limit on errors is noticed in the order of the rows, as
far as several at once allow it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from modelway.batch.parts import Done, Part
from modelway.batch.ports import Advanced, Exceeded, Finished, Ready, Report, Workers
from modelway.batch.progress import Progress, progress_at

_TICK_S = 1.0

Tell = Callable[[Progress], object]


@dataclass
class Run:
    """The parts of one output. ``done`` are those of which that is known, by their numbers."""

    parts: tuple[Part, ...]
    done: dict[int, Done]
    max_errors: int
    _waiting: deque[Part] = field(init=False)
    _at: int = field(init=False)
    _advanced: int = 0
    _left: int = 0

    def __post_init__(self) -> None:
        self._waiting = deque(one for one in self.parts if one.number not in self.done)
        self._at = sum(one.span.n_rows for one in self.parts if one.number in self.done)

    @property
    def n_waiting(self) -> int:
        """How many parts nobody was given yet."""
        return len(self._waiting)

    @property
    def n_errors(self) -> int:
        """How many rows could not be answered, as far as it was come."""
        return self._left + sum(one.n_errors for one in self.done.values())

    @property
    def has_too_many_errors(self) -> bool:
        """Whether more rows could not be answered than are allowed."""
        return self.n_errors > self.max_errors

    def carry_out(self, workers: Workers, tell: Tell) -> None:
        """Have the workers score all parts, or as many as there are until too many rows failed.

        ``tell`` is told how far it is, at least once a second.

        Raises:
            WorkerDied: a worker ended.
            ModelwayError: it cannot go on.
        """
        begun, total = time.monotonic(), sum(one.span.n_rows for one in self.parts)
        while len(self.done) < len(self.parts) and not self.has_too_many_errors:
            for worker, report in workers.reports(_TICK_S):
                self._heard(worker, report, workers)
            seconds = time.monotonic() - begun
            tell(progress_at(self._at + self._advanced, self._at, total, seconds))

    def _heard(self, worker: int, report: Report, workers: Workers) -> None:
        match report:
            case Advanced(n_rows):
                self._advanced += n_rows
                return
            case Finished(part, done):
                self.done[part] = done
            case Exceeded(_, n_errors):
                self._left += n_errors
                return
            case Ready():
                pass
        if self._waiting:
            workers.give(worker, self._waiting.popleft())
        else:
            workers.dismiss(worker)
