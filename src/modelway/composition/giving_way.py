"""Threads that leave the cores to those that answer."""

from __future__ import annotations

import os
import sys
import threading

LITTLE = 10
"""A tenth of a core that somebody else wants, about."""

NOTHING = 19
"""Next to nothing of it."""


def give_way(niceness: int) -> None:
    """Have this thread, and those it starts, take less of a core that others want too.

    Linux has a niceness for each thread; elsewhere it would be the whole process's, so nothing is
    done. One that gives way more already goes on so: only root may take it back. Source:
    setpriority(2), "C library/kernel differences".
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        if os.getpriority(os.PRIO_PROCESS, thread) < niceness:
            os.setpriority(os.PRIO_PROCESS, thread, niceness)
