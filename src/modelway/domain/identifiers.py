"""Identifiers of predictions, jobs and requests: what one may be, and new ones.

Ours are UUIDs of version 7, sorted by time.

The random bits are fresh in every millisecond, and counted up within it.

Source: RFC 9562, section 5.7 and, for the counter, section 6.2, method 2.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain, count

ID_PATTERN = "[A-Za-z0-9._-]{1,128}"
"""What a prediction, and so a job, may be called by a caller."""

_ID = re.compile(ID_PATTERN)

_TAIL_BITS = 48
_BLOCK_BITS = 12
_BLOCK = tuple(f"{tail:03x}" for tail in range(1 << _BLOCK_BITS))

_begun: tuple[int, Iterator[str]] = (0, iter(()))
"""The millisecond, and its identifiers in turn; always replaced whole, so that threads see the one
or the other."""


def is_id(text: str) -> bool:
    """Whether a prediction or a job may be called so."""
    return _ID.fullmatch(text) is not None


def new_prediction_id() -> str:
    """A fresh UUIDv7 as text of 36 characters; the first 48 bits are Unix time in milliseconds."""
    global _begun
    milliseconds, identifiers = _begun
    now = time.time_ns() // 1_000_000
    if now != milliseconds:
        identifiers = _identifiers(now)
        _begun = now, identifiers
    return next(identifiers)


def _identifiers(milliseconds: int) -> Iterator[str]:
    """The identifiers of a millisecond in turn, without an end.

    Nothing here is a generator: two threads may ask at once.
    """
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & 0xFFFFFFFFFFFF) << 80 | 0x7 << 76 | (random >> 68) << 64
    value |= 0b10 << 62 | random & 0x3FFFFFFFFFFFFFFF
    text = f"{value:032x}"
    # The highest of the last bits is left for the counter to run into.
    tail = (value & (1 << _TAIL_BITS) - 1) >> 1
    head = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-"
    return chain.from_iterable(map(partial(_block, head), count(tail >> _BLOCK_BITS)))


def _block(head: str, number: int) -> Iterator[str]:
    """The identifiers that differ in their last bits only."""
    return map(f"{head}{number:09x}".__add__, _BLOCK)
