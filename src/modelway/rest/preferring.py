"""What a caller prefers: ``Prefer: respond-async, wait=10``.

Whoever is not answered within ten seconds is told where the answer will be. What is not understood
is passed over, as it is to be, and of a preference that stands there twice the first one counts.

Source: RFC 7240, sections 2, 3, 4.1 and 4.3.
"""

from __future__ import annotations

import re

_LONGEST_BYTES = 1024
_EACH = re.compile(rb'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
_SECONDS = re.compile(rb"[0-9]{1,9}")


def patience_s(prefer: bytes) -> int | None:
    """How long a caller waits who would be answered later; None for one who would not."""
    if len(prefer) > _LONGEST_BYTES:
        return None
    said: dict[bytes, bytes] = {}
    for preference in _EACH.findall(prefer):
        name, _, value = preference.partition(b";")[0].partition(b"=")
        said.setdefault(name.strip().lower(), value.strip().strip(b'"'))
    if b"respond-async" not in said:
        return None
    seconds = said.get(b"wait", b"")
    return int(seconds) if _SECONDS.fullmatch(seconds) else 0


def applied(seconds: int) -> bytes:
    """What an answer says was done of it, where so many seconds were granted."""
    return b"respond-async, wait=%d" % seconds if seconds else b"respond-async"
