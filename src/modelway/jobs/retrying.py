"""When a job that could not be answered is tried again.

The wait doubles with each attempt up to a longest one, and is drawn at random between nothing and
that: many jobs that failed together do not come back together.

Source: M. Brooker, "Exponential Backoff And Jitter" (full jitter), AWS Architecture Blog, 2015.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from modelway.domain.errors import (
    LoadFailed,
    MissingExtra,
    ModelCrashed,
    ModelwayError,
    NotFound,
    PredictFailed,
)

_MAY_PASS = (PredictFailed, ModelCrashed, LoadFailed, MissingExtra, NotFound)


_MOST_DOUBLINGS = 64


@dataclass(frozen=True, slots=True)
class Retrying:
    """``attempts`` are all that a job has, the first among them; ``drawn`` draws the waits."""

    attempts: int = 5
    first_s: float = 1.0
    longest_s: float = 300.0
    drawn: random.Random = field(default_factory=random.Random)

    def at(self, attempt: int, error: ModelwayError, now: datetime) -> datetime | None:
        """When to try again after ``attempt`` has failed, None for never.

        What was wrong with the input is wrong again. A model may raise for what passes, and what
        one worker cannot open another may.
        """
        may_pass = error.retryable or isinstance(error, _MAY_PASS)
        if not may_pass or attempt >= self.attempts:
            return None
        return now + timedelta(seconds=self.wait_s(attempt))

    def wait_s(self, attempt: int) -> float:
        """How long to wait after so many attempts."""
        longest = min(self.longest_s, self.first_s * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS))
        return self.drawn.uniform(0.0, longest)
