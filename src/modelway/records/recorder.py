"""The recorder: the observer that keeps references and returns, and the thread that writes them.

The event loop appends what it was told to a list. A thread of the recorder's own takes the list
every 20 ms, gathers it column by column and appends frames to the process's segment, so that what
was answered more than 50 ms ago outlives the process. It lets the event loop go on between frames.

Nothing here waits and nothing raises: what finds no room, in memory or on the disk, is shed and
counted, the newest first.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from modelway.domain.errors import ModelwayError
from modelway.domain.inference import InferenceRequest
from modelway.domain.signature import Signature
from modelway.domain.tables import Array, Table
from modelway.records.flushing import Answered, AnsweredEntry, FailedEntry, Flush
from modelway.records.identity import Identify
from modelway.records.policy import RecordingPolicy
from modelway.records.ports import RecordMeter
from modelway.records.segments import SegmentBounds, SegmentWriter

_log = logging.getLogger("modelway.records")

_TAKEN_REQUESTS = 512
_TAKEN_CALLS = 192
"""Of so many requests, or calls that were told one by one, the gathering takes well under a
millisecond."""

_PAUSE_S = 0.0002
_REQUEST_BYTES = 1500
"""What the objects of a request take beside its values, about."""

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
    shadow answers is told in the same way, under the id of the live answer. ``identify`` and the
    meter are called by the flush thread only.
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
        self._writer = SegmentWriter(root, slot, self._bounds.segments)
        self._flush = Flush(self._writer, identify, meter, policy or RecordingPolicy())
        self._answered: list[AnsweredEntry] = []
        self._failed: list[FailedEntry] = []
        # Each number has one writer, the event loop or the flush thread, so no addition is lost.
        self._came = self._gone = 0
        self._came_bytes = self._gone_bytes = 0
        self._shed = self._shed_told = 0
        self._sizes: dict[int, tuple[Signature, int]] = {}
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write what is told; until then it waits."""
        self._thread = threading.Thread(target=self._write, name="records", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what was told, and end the segment. Twice does no harm."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
        self._write_all(0.0)
        self._writer.close()

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
        if self._has_room(n, n_bytes):
            self._answered.append((time.time_ns(), answered, n_bytes))
        else:
            self._shed += n

    def failed(
        self,
        request: InferenceRequest,
        error: ModelwayError,
        seconds: float,
        version: str | None = None,
    ) -> None:
        """A request could not be answered, or was refused."""
        n_bytes = _REQUEST_BYTES + _table_bytes(request.table)
        if self._has_room(1, n_bytes):
            now = time.time_ns()
            self._failed.append((now, request, error.code, seconds, version, n_bytes))
        else:
            self._shed += 1

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

    def _write(self) -> None:
        while not self._ending.wait(self._bounds.flush_s):
            self._write_all(_PAUSE_S)

    def _write_all(self, pause_s: float) -> None:
        """Write all that has come so far, with a pause for others after each frame."""
        try:
            while self._answered:
                self._write_some()
                time.sleep(pause_s)
            while self._failed:
                self._write_failures()
                time.sleep(pause_s)
            self._writer.rotate_if_due()
        except Exception:  # noqa: BLE001 - the thread goes on, whatever a model gave
            _log.exception("records could not be written")
            self._meter.failed("internal")
        if self._shed != self._shed_told:
            shed, self._shed_told = self._shed - self._shed_told, self._shed
            self._meter.shed(shed)

    def _write_some(self) -> None:
        n = k = n_bytes = 0
        for _, answered, size in self._answered[:_TAKEN_CALLS]:
            n += len(answered)
            n_bytes += size
            k += 1
            if n >= _TAKEN_REQUESTS:
                break
        # Taking a slice and deleting it are one step each, so what is appended meanwhile stays.
        taken = self._answered[:k]
        del self._answered[:k]
        try:
            self._flush.answered(taken)
        finally:
            self._gone += n
            self._gone_bytes += n_bytes

    def _write_failures(self) -> None:
        taken = self._failed[:_TAKEN_CALLS]
        del self._failed[: len(taken)]
        try:
            self._flush.failed(taken)
        finally:
            self._gone += len(taken)
            self._gone_bytes += sum([n_bytes for *_, n_bytes in taken])


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
