"""The recorder: the observer that makes frames of what was answered, and the thread that writes.

The event loop appends what it was told to a list, and after a few hundred requests, or 20 ms, makes
frames of it, column by column, between two turns: there the objects are still in the core's cache,
and cost a fifth of what they cost a thread that comes later and wants the interpreter's lock. The
thread only writes, which may take its time; what was answered more than 50 ms ago outlives the
process. Requests of many rows go to the thread as they are.

Nothing here waits and nothing raises: what finds no room, in memory or on the disk, is shed and
counted, the newest first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from modelway.domain.errors import ModelwayError
from modelway.domain.inference import InferenceRequest
from modelway.domain.signature import Signature
from modelway.domain.tables import Array, Table
from modelway.records.flushing import Answered, FailedEntry, Flush, Told
from modelway.records.identity import Identify
from modelway.records.policy import RecordingPolicy
from modelway.records.ports import RecordMeter
from modelway.records.segments import SegmentBounds
from modelway.records.writing import Writing

_log = logging.getLogger("modelway.records")

_GATHERED_REQUESTS = 1024
"""Of so many single rows frames are made in less than a millisecond."""

_MOST_ROWS = 512
"""A request of more rows takes the thread's time and not the event loop's."""

_REQUEST_BYTES = 600
"""What is kept of a request beside its values, about."""

_LOOK_S = 0.05
"""How often the thread looks whether the segment is due, while nothing is to be written."""

_VARIES = -1
_KNOWN_SIGNATURES = 1000


@dataclass(frozen=True, slots=True)
class RecordingBounds:
    """How much may wait to be written, how often it is, and how large segments become."""

    requests: int = 50_000
    n_bytes: int = 256 * 1024 * 1024
    flush_s: float = 0.02
    segments: SegmentBounds = field(default_factory=SegmentBounds)


class Recorder:
    """Records what the data plane answers and refuses; an observer, for one event loop.

    ``root`` is the folder of the records, ``slot`` the number or name of this process. What a
    shadow answers is told in the same way, under the id of the live answer. The meter is called by
    the thread only, ``identify`` by whoever makes a frame. Told of something outside an event loop
    it makes the frame at once.
    """

    def __init__(
        self,
        root: Path,
        slot: str,
        identify: Identify,
        meter: RecordMeter,
        policy: RecordingPolicy | None = None,
        bounds: RecordingBounds | None = None,
    ) -> None:
        self._bounds = bounds or RecordingBounds()
        self._meter = meter
        policy = policy or RecordingPolicy()
        self._writing = Writing(root, slot, self._bounds.segments, meter)
        self._patient = Flush(self._writing, identify, policy, is_patient=True)
        self._quick = Flush(self, identify, policy)
        self._answered: list[Told] = []
        self._failed: list[FailedEntry] = []
        self._gathered = 0
        self._due: asyncio.Handle | None = None
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        # Each number has one writer, the event loop or the thread, so no addition is lost.
        self._came = self._gone = 0
        self._came_bytes = self._gone_bytes = 0
        self._shed = self._shed_told = 0
        self._sizes: dict[int, tuple[Signature, int]] = {}
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write what is told; until then it waits."""
        self._thread = threading.Thread(target=self._work, name="records", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what was told, and end the segment. Twice does no harm."""
        if self._due is not None:
            self._due.cancel()
        while self._answered or self._failed:
            self._gather()
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join()
        else:
            self._work()
        self._writing.close()

    def answered(self, answered: Sequence[Answered]) -> None:
        """Requests were answered, all by one version of one endpoint."""
        n = n_rows = len(answered)
        request, response, _ = answered[0]
        if n > 1:
            n_rows = sum([one.n_rows for _, one, _ in answered])
        elif response.n_rows != 1:
            n_rows = response.n_rows
        known = self._sizes.get(id(request.table.signature))
        row_bytes = _VARIES if known is None else known[1]
        if row_bytes == _VARIES:
            n_bytes = self._measured(answered, n_rows)
        else:
            n_bytes = n * _REQUEST_BYTES + n_rows * row_bytes
        if not self._has_room(n, n_bytes):
            self._shed += n
            return
        entry = Told(time.time_ns(), answered, n_bytes)
        if n_rows > _MOST_ROWS:
            self._jobs.put(lambda: self._patient.answered([entry]))
            self._leave(n, n_bytes)
            return
        self._answered.append(entry)
        self._await(n)

    def failed(
        self,
        request: InferenceRequest,
        error: ModelwayError,
        seconds: float,
        version: str | None = None,
    ) -> None:
        """A request could not be answered, or was refused."""
        n_bytes = _REQUEST_BYTES + _table_bytes(request.table)
        if not self._has_room(1, n_bytes):
            self._shed += 1
            return
        entry = (time.time_ns(), request, error.code, seconds, version, n_bytes)
        if request.table.n_rows > _MOST_ROWS:
            self._jobs.put(lambda: self._patient.failed([entry]))
            self._leave(1, n_bytes)
            return
        self._failed.append(entry)
        self._await(1)

    def append(self, frame: bytes, n_requests: int, n_rows: int) -> None:
        """Have the thread write a frame that was made here."""
        self._jobs.put(lambda: self._writing.append(frame, n_requests, n_rows))

    def lost(self, n_requests: int) -> None:
        """Have the thread count requests of which no frame could be made."""
        self._jobs.put(lambda: self._writing.lost(n_requests))

    def _has_room(self, n: int, n_bytes: int) -> bool:
        came, came_bytes = self._came + n, self._came_bytes + n_bytes
        bounds = self._bounds
        if came - self._gone > bounds.requests or came_bytes - self._gone_bytes > bounds.n_bytes:
            return False
        self._came, self._came_bytes = came, came_bytes
        return True

    def _measured(self, answered: Sequence[Answered], n_rows: int) -> int:
        """What the requests hold in memory; of rows of numbers it is the same for the next."""
        held = 0
        for request, response, _ in answered:
            held += _table_bytes(request.table) + sum(map(_array_bytes, response.outputs.values()))
        signature = answered[0][0].table.signature
        if id(signature) not in self._sizes:
            if len(self._sizes) >= _KNOWN_SIGNATURES:
                self._sizes.clear()
            if not signature.is_numeric:
                self._sizes[id(signature)] = signature, _VARIES
            elif n_rows:
                self._sizes[id(signature)] = signature, held // n_rows
        return held + len(answered) * _REQUEST_BYTES

    def _await(self, n: int) -> None:
        """Have frames made of what waits, soon if it is much."""
        self._gathered += n
        if self._due is not None and self._gathered - n < _GATHERED_REQUESTS <= self._gathered:
            self._due.cancel()
            self._due = None
        if self._due is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._gather()
            return
        if self._gathered >= _GATHERED_REQUESTS:
            self._due = loop.call_soon(self._gather)
        else:
            self._due = loop.call_later(self._bounds.flush_s, self._gather)

    def _gather(self) -> None:
        """Make frames of what waits, a bounded part of it, and come again for the rest."""
        self._due = None
        n = k = n_bytes = 0
        for told in self._answered:
            if n >= _GATHERED_REQUESTS:
                break
            n += len(told.ids)
            n_bytes += told.n_bytes
            k += 1
        taken, self._answered = self._answered[:k], self._answered[k:]
        failed, self._failed = (
            self._failed[:_GATHERED_REQUESTS],
            self._failed[_GATHERED_REQUESTS:],
        )
        n += len(failed)
        n_bytes += sum([size for *_, size in failed])
        try:
            if taken:
                self._quick.answered(taken)
            if failed:
                self._quick.failed(failed)
        except Exception:  # noqa: BLE001 - the next are gathered, whatever a model gave
            _log.exception("records could not be made")
            self.lost(n)
        self._leave(n, n_bytes)
        self._gathered -= n
        if self._answered or self._failed:
            self._await(0)

    def _leave(self, n: int, n_bytes: int) -> None:
        """Have the thread note that requests need no room any more, once it has written them."""

        def gone() -> None:
            self._gone += n
            self._gone_bytes += n_bytes

        self._jobs.put(gone)

    def _work(self) -> None:
        """Write until told that there is nothing more."""
        while True:
            job: Callable[[], None] | None = self._tell_shed
            with contextlib.suppress(queue.Empty):
                job = self._jobs.get(timeout=_LOOK_S)
            if job is None:
                break
            try:
                job()
                self._writing.rotate_if_due()
            except Exception:  # noqa: BLE001 - the thread goes on, whatever a model gave
                _log.exception("records could not be written")
                self._meter.failed("internal")
            self._tell_shed()

    def _tell_shed(self) -> None:
        if self._shed != self._shed_told:
            shed, self._shed_told = self._shed - self._shed_told, self._shed
            self._meter.shed(shed)


def _table_bytes(table: Table) -> int:
    """How many bytes the values of a table take."""
    if not table.n_rows:
        return 0
    if table.signature.is_numeric:
        return 8 * table.n_rows * len(table.signature.columns)
    return sum(map(_array_bytes, table.arrays))


def _array_bytes(array: Array) -> int:
    if not isinstance(array, np.ndarray):
        return 0  # what it is nobody knows before it is written
    if array.dtype != object:
        return array.nbytes
    return sum([len(v) if isinstance(v, str | bytes) else 8 for v in array.ravel().tolist()])
