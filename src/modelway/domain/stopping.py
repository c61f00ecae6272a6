"""An end to work in a thread that takes too long, or whose asker has left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from modelway.domain.errors import DeadlineExceeded, ModelwayError, Unavailable

_TICK_S = 0.1


@dataclass(frozen=True, slots=True)
class Limit:
    """How long work may take, and what is set once nobody waits for it any more."""

    seconds: float
    left: threading.Event

    @contextmanager
    def on(self, what: str, stop: Callable[[], object]) -> Iterator[None]:
        """Call ``stop`` once the limit is reached, and again until the block has ended.

        It is called by another thread, and again because work that has not begun yet may not
        notice the first call.

        Raises:
            DeadlineExceeded: the block ended with an error after its time was over.
            Unavailable: it did so after its asker had left.
        """
        ended = threading.Event()
        reached: list[ModelwayError] = []
        until_s = time.monotonic() + self.seconds

        def watch() -> None:
            while not ended.wait(_TICK_S):
                if not reached and self.left.is_set():
                    reached.append(Unavailable(f"{what} was ended: nobody waits for it any more"))
                elif not reached and time.monotonic() >= until_s:
                    reached.append(DeadlineExceeded(f"{what} took over {self.seconds:g} s"))
                if reached:
                    stop()

        watching = threading.Thread(target=watch, name="limit", daemon=True)
        watching.start()
        try:
            yield
        except Exception as error:
            if reached:
                raise reached[0] from error
            raise
        finally:
            ended.set()
            watching.join()
