"""Identifiers of predictions and requests: UUID version 7, sorted by time.

Source: RFC 9562, section 5.7.
"""

from __future__ import annotations

import os
import time


def new_prediction_id() -> str:
    """A fresh UUIDv7 as text of 36 characters; the first 48 bits are Unix time in milliseconds."""
    random = int.from_bytes(os.urandom(10), "big")
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & 0xFFFFFFFFFFFF) << 80 | 0x7 << 76 | (random >> 68) << 64
    value |= 0b10 << 62 | random & 0x3FFFFFFFFFFFFFFF
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
