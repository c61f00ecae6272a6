"""Identifiers of predictions and requests: UUID version 7, sorted by time.

Source: RFC 9562, section 5.7.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

_BLOCK = 256
_RANDOM_BYTES = 10


def _randoms() -> Iterator[str]:
    """Texts of 20 hexadecimal digits; the system is asked for many at once, being slow to ask."""
    while True:
        block = os.urandom(_BLOCK * _RANDOM_BYTES).hex()
        for start in range(0, len(block), 2 * _RANDOM_BYTES):
            yield block[start : start + 2 * _RANDOM_BYTES]


_next_random = _randoms().__next__
_VARIANTS = {f"{digit:x}": "89ab"[digit % 4] for digit in range(16)}


def new_prediction_id() -> str:
    """A fresh UUIDv7 as text of 36 characters; the first 48 bits are Unix time in milliseconds.

    To be called by one thread of a process, and not across a fork.
    """
    random = _next_random()
    at = f"{time.time_ns() // 1_000_000:012x}"
    return f"{at[:8]}-{at[8:]}-7{random[:3]}-{_VARIANTS[random[3]]}{random[4:7]}-{random[8:]}"
