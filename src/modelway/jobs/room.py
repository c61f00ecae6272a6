"""Room for what is read at the same time: bytes of a process, reserved before the reading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from modelway.domain.errors import QueueFull


class Room:
    """So many bytes; what has more than all of them finds room alone. For one event loop."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held_bytes = 0

    @contextmanager
    def reserved(self, n_bytes: int) -> Iterator[None]:
        """Hold so many of them. Raises QueueFull."""
        if self._held_bytes and self._held_bytes + n_bytes > self._most_bytes:
            raise QueueFull(f"{self._held_bytes} bytes of uploads are being read")
        self._held_bytes += n_bytes
        try:
            yield
        finally:
            self._held_bytes -= n_bytes
