"""A child that is the first of its process group, and all that it has forked: they end together.

What a model forks has the outputs of the child, and whoever reads those would wait for it.

Source: waitid(2), kill(2), prctl(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys

_PARENT_DEATH_SIGNAL = 1
"""Source: prctl(2), PR_SET_PDEATHSIG."""


def kill_group(child: subprocess.Popen[bytes]) -> None:
    """End the child now, and every process that it has forked, unless it was reaped before.

    Windows has no such groups: there the child alone is ended.
    """
    if child.returncode is None and sys.platform == "win32":
        child.kill()
    elif child.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)


def reap_group(child: subprocess.Popen[bytes]) -> int:
    """Wait for the end of the child, then end what it has forked; gives its exit code."""
    if child.returncode is None and hasattr(os, "waitid"):
        # Until it is reaped its id is nobody else's, so its group can be killed.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        kill_group(child)
    return child.wait()


def end_with(parent: int) -> None:
    """Have this process killed when the thread that started it ends, or all of ``parent``.

    Linux only; where that has died already, this one ends now.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)
