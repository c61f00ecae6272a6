"""Identifiers of predictions and requests: UUID version 7, sorted by time.

The random bits are fresh in every millisecond, and counted up within it.

Source: RFC 9562, section 5.7 and, for the counter, section 6.2, method 2.
"""

from __future__ import annotations

import os
import time
from itertools import count

_TAIL_BITS = 48
_begun = (0, "", count())
"""The millisecond, the text of its identifiers up to the last 48 bits, and those bits in turn;
always replaced whole, so that threads see the one or the other."""


def new_prediction_id() -> str:
    """A fresh UUIDv7 as text of 36 characters; the first 48 bits are Unix time in milliseconds."""
    global _begun
    milliseconds, head, tails = _begun
    now = time.time_ns() // 1_000_000
    if now != milliseconds:
        head, tails = _beginning(now)
        _begun = now, head, tails
    return f"{head}{next(tails):012x}"


def _beginning(milliseconds: int) -> tuple[str, count[int]]:
    """What the identifiers of a millisecond have in common, and their last bits in turn."""
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & 0xFFFFFFFFFFFF) << 80 | 0x7 << 76 | (random >> 68) << 64
    value |= 0b10 << 62 | random & 0x3FFFFFFFFFFFFFFF
    text = f"{value:032x}"
    # The highest of the last bits is left for the counter to run into.
    tail = (value & (1 << _TAIL_BITS) - 1) >> 1
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-", count(tail)
