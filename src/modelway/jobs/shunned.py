"""Endpoints whose jobs a worker leaves to others for a while, as it cannot open their models."""

from __future__ import annotations

_FIRST_S = 5.0
_LONGEST_S = 300.0


class Shunned:
    """Which endpoints, and until when; each time again for twice as long."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[float, float]] = {}

    def add(self, endpoint: str, at: float) -> None:
        """Its model could not be opened."""
        if not self.holds(endpoint, at):  # what was leased together fails together
            _, wait_s = self._until.get(endpoint, (at, _FIRST_S / 2))
            wait_s = min(_LONGEST_S, 2 * wait_s)
            self._until[endpoint] = (at + wait_s, wait_s)

    def holds(self, endpoint: str, at: float) -> bool:
        """Whether its jobs are left to others."""
        until, _ = self._until.get(endpoint, (at, 0.0))
        return at < until

    def forget(self, endpoint: str) -> None:
        """Its model has answered."""
        self._until.pop(endpoint, None)
