"""Whether whoever asked for what this thread does has left."""

from __future__ import annotations

import threading
from contextvars import ContextVar

_LEFT: ContextVar[threading.Event] = ContextVar("left")


def left() -> threading.Event:
    """What is set once nobody waits any more for what this thread does; may never be."""
    found = _LEFT.get(None)
    return threading.Event() if found is None else found


def work_until(event: threading.Event) -> None:
    """Have ``left`` be this event in this thread from now on."""
    _LEFT.set(event)
