"""``JobQueue`` where a broker says which jobs may be looked at, and the store decides on each.

    enqueue ──> store: the job and its announcement ──relay──> broker
    lease   <── store: claims what was delivered    <───────── broker

A delivery is acknowledged once the claim of its job is committed, whatever came of it: what may not
be leased now is announced again when it may. From then on a lease of the store holds it, so long
work never meets a timeout of the broker.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue

from modelway.backends.rabbitmq.broker import Broker
from modelway.backends.rabbitmq.consuming import Consumer
from modelway.backends.rabbitmq.declaring import Refusals
from modelway.backends.rabbitmq.deliveries import Delivery
from modelway.backends.rabbitmq.relaying import HELD_S, Relay
from modelway.domain.jobs import USUAL_PRIORITY, Job, NewJob
from modelway.jobs.dispatching import AnnouncingQueue, JobDispatch, Line
from modelway.jobs.ports import Failed, Held, Leased, Succeeded

_TEND_S = 1.0
"""How often is looked at what is due by itself, and in which lines something waits."""

_MANY = 100
"""Where so many were due at once there may be more, and the next lease looks again."""

_FOLLOWED_S = 60.0
"""An endpoint that nobody has asked for since is not followed any more."""

_LOST_S = 30.0
"""What waits for longer in a line of which the broker has nothing is lost, and announced again."""

_GATHER_S = 0.02
"""What comes so soon after something was taken waits for company, unless it is enough: a claim
takes as long for sixty jobs as for one."""

_log = logging.getLogger("modelway.jobs")


@dataclass(frozen=True, slots=True)
class _Dead:
    """A message that was delivered too often."""

    job: str
    acknowledge: Callable[[], None]


class RabbitmqJobQueue:
    """``JobQueue`` over the store's ``queue``, with a broker that spreads its jobs.

    ``ahead`` is how many deliveries of each line a worker has before it leases them. What it needs
    of the broker it opens when it is first needed, and gives back in ``close``.
    """

    def __init__(
        self, queue: AnnouncingQueue, dispatch: JobDispatch, broker: Broker, ahead: int = 64
    ) -> None:
        self._queue = queue
        self._dispatch = dispatch
        self._broker = broker
        self._refusals = Refusals()
        self._relay = Relay(dispatch, broker, self._refusals)
        self._consumer = Consumer(broker, self._refusals, ahead, self._died)
        self._tending = threading.Lock()
        self._tended_at = float("-inf")
        self._gathering = threading.Lock()
        self._next_at = float("-inf")
        self._checked_at = time.monotonic()
        self._followed: dict[str, float] = {}
        self._used: set[Line] = set()
        self._dead: SimpleQueue[_Dead] = SimpleQueue()

    @property
    def delivered(self) -> int:
        """How many deliveries wait here to be leased."""
        return len(self._consumer)

    def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Job]:
        """Keep jobs, all of them or none; the broker is told once they are kept."""
        until = time.monotonic() + HELD_S
        kept = self._queue.enqueue_held(jobs, HELD_S)
        self._relay.start()
        self._relay.tell(kept.announcements, until)
        return kept.jobs

    def lease(
        self, wanted: Mapping[str, int], n_bytes: int, worker: str, lease_s: float
    ) -> Sequence[Leased]:
        """Take jobs of one endpoint, of those that were delivered here."""
        self._tend(wanted)
        while deliveries := self._gathered(wanted):
            try:
                ids = list(dict.fromkeys(one.job for one in deliveries))
                claimed = self._dispatch.claim(ids, n_bytes, worker, lease_s)
            except BaseException:
                self._consumer.put_back(deliveries)
                raise
            left = [one for one in deliveries if one.job in claimed.left]
            if left:
                self._consumer.put_back(left)
            self._consumer.acknowledge([one for one in deliveries if one.job not in claimed.left])
            if claimed.leased:
                return claimed.leased
        return []

    def _gathered(self, wanted: Mapping[str, int]) -> Sequence[Delivery]:
        """What was delivered, given a moment to come where others were taken just now.

        One thread waits for it. There is nothing for those that come meanwhile, which would only
        keep their threads from others.
        """
        if not self._gathering.acquire(blocking=False):
            return []
        try:
            wait_s = self._next_at - time.monotonic()
            if wait_s > 0 and self.delivered < max(wanted.values(), default=0):
                time.sleep(wait_s)
            deliveries = self._consumer.take(wanted)
            if deliveries:
                self._next_at = time.monotonic() + _GATHER_S
            return deliveries
        finally:
            self._gathering.release()

    def wait(self, endpoints: Sequence[str], seconds: float) -> None:
        """Wait until something is delivered, for so long at most."""
        wanted = frozenset(endpoints)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._tend(wanted)
            if self._consumer.wait(wanted, min(left, _TEND_S)):
                with self._gathering:  # by one that may take all there is
                    if self._consumer.wait(wanted, 0):
                        return

    def extend(self, leases: Sequence[Held], lease_s: float) -> Collection[str]:
        """Keep leases for longer; gives the ids of those that still hold."""
        return self._queue.extend(leases, lease_s)

    def complete(self, done: Sequence[Succeeded]) -> Collection[str]:
        """Keep results; gives the ids of the jobs that ended by it."""
        return self._queue.complete(done)

    def fail(self, failed: Sequence[Failed]) -> Collection[str]:
        """Have jobs be tried again, or fail for good; gives the ids of those that were."""
        return self._queue.fail(failed)

    def cancel(self, job_id: str) -> Job:
        """End a job; its message finds it so."""
        return self._queue.cancel(job_id)

    def close(self) -> None:
        """Give the connections back, and to others what was delivered here."""
        self._consumer.close()
        self._relay.close()

    def _tend(self, endpoints: Collection[str]) -> None:
        """See to what is due by itself, at most so often; one thread at a time."""
        with self._tending:
            at = time.monotonic()
            new = any(name not in self._followed for name in endpoints)
            self._followed |= dict.fromkeys(endpoints, at)
            if not new and at - self._tended_at < _TEND_S:
                return
            self._tended_at = at
            self._relay.start()
            tended = self._dispatch.tend()
            if tended:
                self._relay.wake()
            if tended >= _MANY:
                self._tended_at = float("-inf")
            self._follow(at)
            self._announce_dead()
            if at - self._checked_at >= _LOST_S:
                self._checked_at = at
                self._announce_lost(endpoints)

    def _follow(self, at: float) -> None:
        """Follow every line that had something in it, and that of the usual priority."""
        self._followed = {k: v for k, v in self._followed.items() if at - v < _FOLLOWED_S}
        self._used |= set(self._dispatch.lines(list(self._followed)))
        self._used |= {Line(one, USUAL_PRIORITY) for one in self._followed}
        self._used = {line for line in self._used if line.endpoint in self._followed}
        if self._broker.namespace:
            self._consumer.follow(self._used)

    def _died(self, job: str, acknowledge: Callable[[], None]) -> None:
        self._dead.put(_Dead(job, acknowledge))

    def _announce_dead(self) -> None:
        """Announce again what workers died with before they could lease it.

        What a job itself has done to its workers is counted by its attempts in the store.
        """
        dead: list[_Dead] = []
        while not self._dead.empty():
            dead.append(self._dead.get())
        if not dead:
            return
        try:
            again = self._dispatch.announce_again(list({one.job for one in dead}))
        except BaseException:
            for one in dead:
                self._dead.put(one)
            raise
        _log.warning("%d jobs were delivered to workers that died, and go to others", again)
        self._relay.wake()
        for one in dead:
            one.acknowledge()

    def _announce_lost(self, endpoints: Collection[str]) -> None:
        """Announce again what waits for long in a line of which the broker has nothing."""
        since = datetime.now(UTC) - timedelta(seconds=_LOST_S)
        for line in self._dispatch.lines(list(endpoints), since):
            if self._refusals.has(self._broker.queue(line)):
                continue
            ready = self._consumer.ready(line)
            if ready is None:
                return  # it says nothing of the others either, and each would be waited for
            if ready == 0:
                again = self._dispatch.announce_line(line, since)
                if again:
                    words = "%d jobs of %s, of priority %d, are announced to the broker again"
                    _log.warning(words, again, line.endpoint, line.priority)
                    self._relay.wake()
