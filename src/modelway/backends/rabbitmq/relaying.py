"""From the outbox of the store to the broker: what was committed is told, and told before removed.

    enqueue ──held for us──> memory ─┐
    what others left ────> outbox ───┴──> broker ──confirmed──> removed, many at a time

Each process that hands jobs in tells of its own from memory. What one could not tell, because it
was killed or the broker was away or refused it, any process finds in the outbox, which it gives
once nobody holds it any more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence

from modelway.backends.rabbitmq.broker import Broker
from modelway.backends.rabbitmq.declaring import Refusals
from modelway.backends.rabbitmq.publishing import Publisher
from modelway.domain.errors import Unavailable
from modelway.jobs.dispatching import Announcement, JobDispatch

_AT_ONCE = 1000
_LOOK_S = 1.0
"""How often is looked for what another process has left."""

HELD_S = 10.0
"""For so long nobody else tells what one process has."""

_CONFIRM_S = 4.0
"""What is not confirmed by then is told again: by this process, and by others once it is not held
any more."""

_REMOVE_S = 0.5
"""What was told stays in the outbox for so long: many are removed in one transaction."""

_AGAIN_S = 0.5
"""What the broker refuses is told again after so long: its queue may be full, or not ready yet."""

_log = logging.getLogger("modelway.jobs")


class Relay:
    """Tells the broker what is announced, once started, until closed."""

    def __init__(self, dispatch: JobDispatch, broker: Broker, refusals: Refusals) -> None:
        self._dispatch = dispatch
        self._broker = broker
        self._publisher = Publisher(broker, refusals, self.wake)
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_away = False
        # What is to be told, with until when nobody else tells it; the earliest first.
        self._held: deque[tuple[float, Announcement]] = deque()
        # What the broker refused, with when it is told again before.
        self._refused: deque[tuple[float, float, Announcement]] = deque()
        self._told: list[int] = []
        self._look_at = float("-inf")
        self._remove_at = float("-inf")

    def start(self) -> None:
        """Begin, unless that has begun."""
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
                self._thread.start()

    def tell(self, some: Sequence[Announcement], until: float) -> None:
        """Tell of these, which nobody else does until then."""
        self._held.extend((until, one) for one in some)
        self._woken.set()

    def wake(self) -> None:
        """There may be something in the outbox to tell."""
        self._look_at = float("-inf")
        self._woken.set()

    def close(self) -> None:
        """End; what is not told by then another process tells."""
        self._closing.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(_CONFIRM_S)
        self._publisher.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._tried()
            # What was told is removed soon also where nothing more comes.
            self._woken.wait(_REMOVE_S if self._told or self._refused else _LOOK_S)
            self._woken.clear()
        self._tried()

    def _tried(self) -> None:
        """Tell what there is to tell, and remove what was told, as far as that goes now."""
        try:
            while self._tell() and not self._closing.is_set():
                self._remove()
            self._remove()
        except Unavailable as error:
            if not self._is_away:
                _log.warning("jobs are not announced: %s", error.message)
            self._is_away = True
        except Exception:  # noqa: BLE001 - the next round may do
            _log.exception("jobs could not be announced")
        else:
            self._is_away = False

    def _tell(self) -> bool:
        """Tell some; gives whether there may be more that can be told."""
        self._give_up()
        if not self._broker.namespace or not self._publisher.is_open():
            return False
        self._look()
        some = [self._held.popleft() for _ in range(min(len(self._held), _AT_ONCE))]
        published = self._publisher.publish([one for _, one in some], _CONFIRM_S)
        self._told += published.kept
        # Behind all others: a line that is full holds up no other.
        again = time.monotonic() + _AGAIN_S
        refused = [(again, *one) for one in some if one[1].number in published.refused]
        self._refused.extend(refused)
        ended = published.kept | published.refused
        left = [(until, one) for until, one in some if one.number not in ended]
        self._held.extendleft(reversed(left))
        return bool(ended) and not left

    def _give_up(self) -> None:
        """Leave to others what they may tell before the broker would have confirmed it here."""
        at = time.monotonic()
        while self._refused and self._refused[0][0] <= at:
            _, until, one = self._refused.popleft()
            if until >= at + _CONFIRM_S:
                self._held.append((until, one))
        while self._held and self._held[0][0] < at + _CONFIRM_S:
            self._held.popleft()

    def _look(self) -> None:
        """Hold what others have left in the outbox."""
        at = time.monotonic()
        if at < self._look_at:
            return
        self._look_at = at + _LOOK_S
        found = self._dispatch.announcements(_AT_ONCE, HELD_S)
        self._held.extend((at + HELD_S, one) for one in found)
        if len(found) == _AT_ONCE:
            self._look_at = at

    def _remove(self) -> None:
        """Remove what was told from the outbox, at most so often where it is not much."""
        at = time.monotonic()
        is_due = at >= self._remove_at or len(self._told) >= _AT_ONCE
        if self._told and (is_due or self._closing.is_set()):
            self._dispatch.announced(self._told)
            self._told = []
            self._remove_at = at + _REMOVE_S
