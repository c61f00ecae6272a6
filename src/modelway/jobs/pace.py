"""How many jobs a worker takes at a time: as many as it answers in ``AT_ONCE_S``.

Sixty jobs of a model that takes a minute for each would keep one worker busy for an hour while
others have nothing to do. Of an endpoint that was not asked yet one is taken, and then as many as
the last ones say.
"""

from __future__ import annotations

AT_ONCE_S = 2.0

_NEWEST = 0.5
"""What the newest measurement weighs beside all before it."""


class Pace:
    """What jobs of each endpoint take, in seconds; at most ``most`` are taken at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seconds: dict[str, float] = {}

    def jobs(self, endpoint: str) -> int:
        """How many to take."""
        seconds = self._seconds.get(endpoint)
        if seconds is None:
            return 1
        return max(1, min(self._most, int(AT_ONCE_S / max(seconds, 1e-9))))

    def took(self, endpoint: str, jobs: int, seconds: float) -> None:
        """So many jobs were answered in so long."""
        each = seconds / jobs
        before = self._seconds.get(endpoint, each)
        self._seconds[endpoint] = before + _NEWEST * (each - before)
