"""The thread that records what would hold up the event loop: requests of many rows, slow disks.

It is woken for nothing else, as every time it takes the interpreter's lock from the loop and its
core from a worker: woken for each flush it cost more than the frames themselves. It writes into
segments of its own, so that a segment has one writer.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from modelway.records.flushing import FailedEntry, Flush, Made
from modelway.records.gathered import Batches
from modelway.records.policy import RecordingPolicy
from modelway.records.ports import RecordMeter
from modelway.records.segments import SegmentBounds
from modelway.records.told import Told
from modelway.records.writing import Writing

_log = logging.getLogger("modelway.records")

_LOOK_S = 0.05
"""How often it looks whether its segment is due, while it has one."""


class Aside:
    """Takes work from the event loop and does it in order; ``done`` is called after it.

    ``root``, ``slot`` and ``batches`` are the recorder's.
    """

    def __init__(
        self,
        root: Path,
        slot: str,
        bounds: SegmentBounds,
        meter: RecordMeter,
        policy: RecordingPolicy,
        batches: Batches,
    ) -> None:
        self._writing = Writing(root, f"{slot}-aside", bounds, meter)
        self._flush = Flush(self._writing, policy, batches, is_patient=True)
        self._meter = meter
        self._jobs: queue.SimpleQueue[Sequence[Callable[[], None]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def has_time(self) -> bool:
        """Whether nothing waits for it."""
        return self._jobs.empty()

    def start(self) -> None:
        """Begin; until then work waits."""
        self._thread = threading.Thread(target=self._work, name="records", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Do what is left, and end the segment. Twice does no harm."""
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join()
        else:
            self._work()
        self._writing.close()

    def write(self, frames: Sequence[Made], done: Callable[[], None]) -> None:
        """Write frames that the loop has made."""

        def job() -> None:
            for frame in frames:
                self._writing.append(*frame)

        self._put(job, done)

    def answered(self, told: Told, done: Callable[[], None]) -> None:
        """Make the frames of requests that were answered, and write them."""
        self._put(lambda: self._flush.answered([told]), done)

    def failed(self, entry: FailedEntry, done: Callable[[], None]) -> None:
        """The same of a request that was not."""
        self._put(lambda: self._flush.failed([entry]), done)

    def _put(self, *jobs: Callable[[], None]) -> None:
        self._jobs.put(jobs)

    def _work(self) -> None:
        """Work until told that there is nothing more."""
        while True:
            jobs: Sequence[Callable[[], None]] | None = ()
            with contextlib.suppress(queue.Empty):
                jobs = self._jobs.get(timeout=_LOOK_S if self._writing.is_open else None)
            if jobs is None:
                break
            for job in jobs:
                try:
                    job()
                except Exception:  # noqa: BLE001 - the thread goes on, whatever a model gave
                    _log.exception("records could not be written")
                    self._meter.failed("internal")
            self._writing.rotate_if_due()
