"""What starting leaves behind, given back and set aside.

Loading a shared library touches its symbol tables, its relocations and the code that registers
what it holds, megabytes that no prediction reads again. They stay counted against the process
until memory runs short, and by then a scheduler has placed it for what it does not use.

Only pages that are the file's own are given back: of a mapping that cannot be written and has no
private copy of a page, so that what is read again is read from the file as it was.

What starting made lives as long as the process, so the collector of cycles need not look at it ever
again: it would stop all answers for as long as that takes.

Source: proc(5), /proc/PID/smaps; madvise(2), MADV_DONTNEED; Python's ``gc.freeze``.
"""

from __future__ import annotations

import ctypes
import gc
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_DONTNEED = 4
_HEAD = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+ +(/.*)$")


def set_aside() -> None:
    """Have the collector of cycles pass over all that there is now."""
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Unmap the clean file pages of this process; Linux only, and nothing anywhere else."""
    if sys.platform != "linux":
        return
    try:
        madvise = ctypes.CDLL(None).madvise
        described = Path("/proc/self/smaps").read_text()
    except (OSError, AttributeError):
        return
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, end in clean_mappings(described):
        madvise(start, end - start, _DONTNEED)


def clean_mappings(described: str) -> Iterator[tuple[int, int]]:
    """First and last address of every file mapping without write access and private pages.

    ``described`` is the text of ``/proc/PID/smaps``.
    """
    span: tuple[int, int] | None = None
    for line in described.splitlines():
        head = _HEAD.match(line)
        if head:
            span = (int(head[1], 16), int(head[2], 16)) if "w" not in head[3] else None
        elif line.startswith("Anonymous:") and span is not None:
            if line.split()[1] == "0":
                yield span
            span = None
