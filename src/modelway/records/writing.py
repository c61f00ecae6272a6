"""Frames on their way to the disk; what finds no room there is shed and counted."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from modelway.records.ports import RecordMeter
from modelway.records.segments import SegmentBounds, SegmentWriter

_RETRY_S = 0.5

_log = logging.getLogger("modelway.records")


class Writing:
    """Writes frames into segments below ``root``; used by one at a time, and never raises."""

    def __init__(self, root: Path, slot: str, bounds: SegmentBounds, meter: RecordMeter) -> None:
        self._writer = SegmentWriter(root, slot, bounds)
        self._meter = meter
        self._retry_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether there is a segment that may become due."""
        return self._writer.is_open

    def append(self, frame: bytes, n_requests: int, n_rows: int) -> None:
        """Write a frame of so many requests and rows."""
        if time.monotonic() < self._retry_at:
            self._meter.shed(n_requests)
            return
        try:
            self._writer.append(frame, n_rows)
        except OSError as error:
            # A disk that is full now is asked again soon, not for every frame.
            self._retry_at = time.monotonic() + _RETRY_S
            _log.warning("records could not be written: %s", error)
            self._meter.failed("disk")
            self._meter.shed(n_requests)
        else:
            self._meter.recorded(n_requests)

    def lost(self, n_requests: int) -> None:
        """Count requests of which no frame could be made."""
        self._meter.failed("internal")
        self._meter.shed(n_requests)

    def rotate_if_due(self) -> None:
        """End the segment if that is due."""
        try:
            self._writer.rotate_if_due()
        except OSError as error:
            _log.warning("a segment could not be ended: %s", error)
            self._meter.failed("disk")

    def close(self) -> None:
        """End the segment. Twice does no harm."""
        self._writer.close()
