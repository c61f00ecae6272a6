"""What the models of one process have answered since it began, as Triton's clients ask for it.

Times are those of the data plane: of a request from its table to its answer, its wait for a runner
among them. What could not be answered is counted by endpoint, whichever version it was meant for.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelway.domain.errors import ModelwayError


@dataclass(slots=True)
class Answers:
    """The answers of one version; ``last`` is when it gave the last, in seconds since 1970."""

    requests: int = 0
    rows: int = 0
    seconds: float = 0.0
    last: float = 0.0


@dataclass(slots=True)
class Failures:
    """The requests of an endpoint that were not answered."""

    requests: int = 0
    seconds: float = 0.0


class Statistics:
    """Counts what is answered; used by one event loop."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], Answers] = {}
        self._failures: dict[str, Failures] = {}

    def answered(
        self, endpoint: str, version: str, rows: Sequence[int], seconds: Sequence[float]
    ) -> None:
        """Requests were answered by one version, each in its time."""
        found = self._answers.get((endpoint, version))
        if found is None:
            found = self._answers[endpoint, version] = Answers()
        found.requests += len(rows)
        found.rows += sum(rows)
        found.seconds += sum(seconds)
        found.last = time.time()

    def failed(self, endpoint: str, error: ModelwayError, seconds: float) -> None:
        """A request could not be answered."""
        found = self._failures.setdefault(endpoint, Failures())
        found.requests += 1
        found.seconds += seconds

    def answers(self, endpoint: str, version: str) -> Answers:
        """What a version has answered."""
        return self._answers.get((endpoint, version)) or Answers()

    def failures(self, endpoint: str) -> Failures:
        """What an endpoint has not."""
        return self._failures.get(endpoint) or Failures()
