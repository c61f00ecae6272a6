"""The recorder: the observer that makes frames of what was answered, and writes them.

The event loop keeps what it was told, single rows of numbers as their bytes only
(``side_by_side.py``), and after a thousand rows, or 20 ms, makes frames of it, column by column,
and writes them, between two turns: to the page cache that takes some 20 us. A thread that came for
them would wait for the interpreter's lock, and find them gone from the core's cache. What was
answered more than 50 ms ago outlives the process. Requests of many rows are left to a thread
(``aside.py``), and so is the writing while the disk is slow.

Nothing here waits and nothing raises: what finds no room, in memory or on the disk, is shed and
counted, the newest first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from modelway.domain.errors import ModelwayError
from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.domain.parts import Part, Whole
from modelway.domain.signature import Signature
from modelway.domain.tables import Array, Table
from modelway.records.aside import Aside
from modelway.records.flushing import FailedEntry, Flush, Made
from modelway.records.gathered import Batches
from modelway.records.identity import Identify, Identities
from modelway.records.policy import RecordingPolicy
from modelway.records.ports import RecordMeter
from modelway.records.segments import SegmentBounds
from modelway.records.side_by_side import SideBySide, can_be_kept
from modelway.records.told import Answered, Told, run_of
from modelway.records.writing import Writing

_GATHERED_ROWS = 1024
"""Of so many rows frames are made in less than a millisecond."""

_MOST_ROWS = 512
"""A request of more rows takes the thread's time and not the event loop's."""

_REQUEST_BYTES = 200
"""What is kept of a request beside its values, about."""

_LOOK_S = 0.05
"""How often the loop looks whether its segment is due, while it has one."""

_SLOW_S = 0.01
"""A write that takes longer holds up answers."""

_ASIDE_S = 5.0
"""So long the thread writes after that, and until it has written all it was given."""

_MOST_KEPT = 1000
"""So many versions have a place of their own in which rows are kept."""


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
    the loop and by the thread. Who answered is asked when the first answer since the last frames is
    told, as by the time of the frame another may have the role. Told of something outside an event
    loop it makes the frame at once, and leaves it to the thread.
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
        batches = Batches()
        self._writing = Writing(root, slot, self._bounds.segments, meter)
        self._aside = Aside(root, slot, self._bounds.segments, meter, policy, batches)
        self._flush = Flush(self, policy, batches)
        self._identities = Identities(identify)
        self._answered: list[Told] = []
        self._failed: list[FailedEntry] = []
        self._gathered = 0
        self._due: asyncio.Handle | None = None
        self._look: asyncio.Handle | None = None
        self._made: list[Made] = []
        self._aside_until = 0.0
        # Each number has one writer, the event loop or the thread, so no addition is lost.
        self._came = self._gone = 0
        self._came_bytes = self._gone_bytes = 0
        self._leaving = self._leaving_bytes = 0
        self._rows: dict[tuple[object, ...], tuple[Signature, SideBySide | None]] = {}

    def start(self) -> None:
        """Begin to do what is left to the thread; until then it waits."""
        self._aside.start()

    def close(self) -> None:
        """Write what was told, and end the segments. Twice does no harm."""
        self._end()
        self._aside.close()

    async def closed(self) -> None:
        """The same on the event loop, which goes on while the thread has something left to do."""
        self._end()
        await asyncio.to_thread(self._aside.close)

    def settle(self) -> None:
        """Make frames of all that waits, before a version is called otherwise."""
        if self._due is not None:
            self._due.cancel()
        self._gather()
        while self._answered or self._failed:
            self._gather()
        self._rows.clear()

    def answered(self, answered: Sequence[Answered]) -> None:
        """Requests were answered, all by one version of one endpoint."""
        at, run = time.time_ns(), run_of(answered)
        if run is not None:
            rows = self._rows_for(*answered[0][:2], run.whole)
            arrays = rows.arrays_of(run.whole) if rows is not None else None
            if rows is not None and arrays is not None:
                n = len(answered)
                if self._has_room(n, n * (_REQUEST_BYTES + rows.row_bytes)):
                    rows.add(at, answered, run, arrays)
                    self._await(n)
                else:
                    self._is_shed(n)
                return
        request, response, _ = answered[0]
        who = self._identities.of(response.endpoint, response.version, is_shadow=request.is_shadow)
        told = Told(at, answered, run, who)
        n, n_rows = len(told.ids), told.n_rows
        told.n_bytes = n * _REQUEST_BYTES + sum(map(_part_bytes, told.parts))
        if not self._has_room(n, told.n_bytes):
            self._is_shed(n)
        elif n_rows > _MOST_ROWS:
            self._aside.answered(told, partial(self._leave, n, told.n_bytes))
        else:
            self._answered.append(told)
            self._await(max(n, n_rows))

    def _rows_for(
        self, request: InferenceRequest, response: InferenceResponse, whole: Whole
    ) -> SideBySide | None:
        """Where the rows of a call are kept, None where none can be."""
        signature = whole.table.signature
        key = (response.endpoint, response.version, request.is_shadow, id(signature))
        known = self._rows.get(key)
        if known is None:
            if len(self._rows) >= _MOST_KEPT:
                self._gather_rows()
                self._rows.clear()
            endpoint, version, is_shadow, _ = key
            who = self._identities.of(endpoint, version, is_shadow=is_shadow)
            # Records of rows that are kept name no batch.
            can = who.batch_invariant and can_be_kept(whole)
            known = signature, SideBySide(endpoint, who, whole) if can else None
            self._rows[key] = known
        rows = known[1]
        if rows is not None and not rows.n_rows:
            endpoint, version, is_shadow, _ = key
            rows.identity = self._identities.of(endpoint, version, is_shadow=is_shadow)
        return rows

    def failed(
        self,
        request: InferenceRequest,
        error: ModelwayError,
        seconds: float,
        version: str | None = None,
    ) -> None:
        """A request could not be answered, or was refused."""
        n_bytes = _REQUEST_BYTES + _table_bytes(request.table, 0, request.table.n_rows)
        if not self._has_room(1, n_bytes):
            self._is_shed(1)
            return
        who = self._identities.of(request.endpoint, version, is_shadow=request.is_shadow)
        entry = (time.time_ns(), request, error.code, seconds, who, n_bytes)
        if request.table.n_rows > _MOST_ROWS:
            self._aside.failed(entry, partial(self._leave, 1, n_bytes))
            return
        self._failed.append(entry)
        self._await(1)

    def append(self, frame: bytes, n_requests: int, n_rows: int) -> None:
        """Have a frame written that was made here."""
        self._made.append((frame, n_requests, n_rows))

    def lost(self, n_requests: int) -> None:
        """Count requests of which no frame could be made."""
        self._writing.lost(n_requests)

    def _has_room(self, n: int, n_bytes: int) -> bool:
        came, came_bytes = self._came + n, self._came_bytes + n_bytes
        bounds = self._bounds
        if came - self._gone > bounds.requests or came_bytes - self._gone_bytes > bounds.n_bytes:
            return False
        self._came, self._came_bytes = came, came_bytes
        return True

    def _await(self, n: int) -> None:
        """Have frames made of what waits, to which so many rows came, soon if it is much."""
        self._gathered += n
        if self._due is not None and self._gathered - n < _GATHERED_ROWS <= self._gathered:
            self._due.cancel()
            self._due = None
        if self._due is not None:
            return
        loop = _running_loop()
        if loop is None:
            self._gather()
        elif self._gathered >= _GATHERED_ROWS:
            self._due = loop.call_soon(self._gather)
        else:
            self._due = loop.call_later(self._bounds.flush_s, self._gather)

    def _gather(self) -> None:
        """Make frames of what waits, a bounded part of it, and come again for the rest."""
        self._due = None
        self._identities.forget()
        self._gather_rows()
        n = n_rows = n_bytes = k = 0
        for told in self._answered:
            if n_rows >= _GATHERED_ROWS:
                break
            n += len(told.ids)
            n_rows += max(len(told.ids), told.n_rows)
            n_bytes += told.n_bytes
            k += 1
        taken, self._answered = self._answered[:k], self._answered[k:]
        failed, self._failed = self._failed[:_GATHERED_ROWS], self._failed[_GATHERED_ROWS:]
        n += len(failed)
        n_rows += len(failed)
        n_bytes += sum([size for *_, size in failed])
        if taken:
            self._flush.answered(taken)
        if failed:
            self._flush.failed(failed)
        self._is_leaving(n, n_bytes, n_rows)
        self._write()
        if self._answered or self._failed:
            self._await(0)

    def _gather_rows(self) -> None:
        """Make frames of all rows that are kept side by side."""
        for _, rows in self._rows.values():
            if rows is None or not rows.n_rows:
                continue
            n = rows.n_rows
            self._flush.side_by_side(rows)
            self._is_leaving(n, n * (_REQUEST_BYTES + rows.row_bytes), n)

    def _is_leaving(self, n: int, n_bytes: int, n_rows: int) -> None:
        """Note that of requests frames were made."""
        self._gathered -= n_rows
        self._leaving += n
        self._leaving_bytes += n_bytes

    def _write(self) -> None:
        """Have what was made written, here where that does not take long."""
        made, n, n_bytes = self._made, self._leaving, self._leaving_bytes
        self._made, self._leaving, self._leaving_bytes = [], 0, 0
        loop, started = _running_loop(), time.monotonic()
        if loop is None or started < self._aside_until or not self._aside.has_time:
            self._aside.write(made, partial(self._leave, n, n_bytes))
            return
        for one in made:
            self._writing.append(*one)
        self._came -= n
        self._came_bytes -= n_bytes
        if time.monotonic() - started > _SLOW_S:
            self._aside_until = time.monotonic() + _ASIDE_S
        if self._look is None:
            self._look = loop.call_later(_LOOK_S, self._rotate, loop)

    def _rotate(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the loop's segment if that is due, and look again while there is one."""
        self._look = None
        self._writing.rotate_if_due()
        if self._writing.is_open:
            self._look = loop.call_later(_LOOK_S, self._rotate, loop)

    def _end(self) -> None:
        self.settle()
        if self._look is not None:
            self._look.cancel()
        self._writing.close()

    def _is_shed(self, n: int) -> None:
        self._meter.shed(n)
        self._identities.forget()  # no frame may be awaited, with which that would be done

    def _leave(self, n: int, n_bytes: int) -> None:
        """Note that requests need no room any more, once the thread has written them."""
        self._gone += n
        self._gone_bytes += n_bytes


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _part_bytes(part: Part) -> int:
    """How many bytes the values of a part take; where it is text one row may take far more."""
    whole, start, end = part.whole, part.start, part.end
    outputs = sum([_array_bytes(array, start, end) for array in whole.outputs.values()])
    return _table_bytes(whole.table, start, end) + outputs


def _table_bytes(table: Table, start: int, end: int) -> int:
    if start == end:
        return 0
    if table.signature.is_numeric:
        return 8 * (end - start) * len(table.signature.columns)
    return sum([_array_bytes(array, start, end) for array in table.arrays])


def _array_bytes(array: Array, start: int, end: int) -> int:
    if not isinstance(array, np.ndarray):
        return 0  # what it is nobody knows before it is written
    its: Array = array[start:end] if array.ndim else array
    if its.dtype != object:
        return its.nbytes
    return sum([len(v) if isinstance(v, str | bytes) else 8 for v in its.ravel().tolist()])
