"""Jobs that the broker has delivered and nobody has leased yet.

The highest priority is taken first, and endpoints of one priority take turns. Threads may share it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from modelway.jobs.dispatching import Line


@dataclass(frozen=True, slots=True)
class Delivery:
    """A job as it came; ``tag`` is the broker's name for it on the channel ``channel``."""

    job: str
    line: Line
    channel: int
    tag: int


class Deliveries:
    """What was delivered, by line; what stands first came first."""

    def __init__(self) -> None:
        self._lines: dict[Line, deque[Delivery]] = {}
        self._turns: dict[str, int] = {}
        self._turn = 0
        self._changed = threading.Condition()

    def __len__(self) -> int:
        with self._changed:
            return sum(map(len, self._lines.values()))

    def add(self, delivery: Delivery) -> None:
        """One more has come."""
        with self._changed:
            self._lines.setdefault(delivery.line, deque()).append(delivery)
            self._changed.notify_all()

    def take(self, wanted: Mapping[str, int]) -> Sequence[Delivery]:
        """The next of one endpoint, at most so many as are wanted of it; nobody else's then."""
        with self._changed:
            lines = self._waiting(wanted)
            if not lines:
                return []
            best = max(line.priority for line in lines)
            first = [line.endpoint for line in lines if line.priority == best]
            endpoint = min(first, key=lambda name: (self._turns.get(name, 0), name))
            self._turn += 1
            self._turns[endpoint] = self._turn
            taken: list[Delivery] = []
            own = [line for line in lines if line.endpoint == endpoint]
            for line in sorted(own, key=lambda one: -one.priority):
                there = self._lines[line]
                while there and len(taken) < wanted[endpoint]:
                    taken.append(there.popleft())
            return taken

    def put_back(self, some: Sequence[Delivery]) -> None:
        """Have these be the next again."""
        with self._changed:
            for one in reversed(some):
                self._lines.setdefault(one.line, deque()).appendleft(one)
            self._changed.notify_all()

    def drop(self, line: Line | None = None) -> Sequence[Delivery]:
        """Take all of a line, or of every line."""
        with self._changed:
            lines = list(self._lines) if line is None else [line]
            return [one for name in lines for one in self._lines.pop(name, ())]

    def wait(self, endpoints: Collection[str], seconds: float) -> bool:
        """Wait until there is one of these endpoints, for so long at most; gives whether."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._waiting(endpoints)), seconds)

    def _waiting(self, endpoints: Collection[str]) -> list[Line]:
        return [line for line, there in self._lines.items() if there and line.endpoint in endpoints]
