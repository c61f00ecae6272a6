"""A command that ends with whoever started it, and all that it has started itself with it.

Run as a script in a session of its own: standard input is a pipe that nobody writes to, and its end
says that whoever held the other one is gone, also by ``kill -9``. For commands that do not look at
that themselves. Only the standard library is imported, so that it is there at once and is small.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

_GRACE_S = 5.0


def attached(arguments: Sequence[str]) -> list[str]:
    """The words that run a command so."""
    return [sys.executable, "-I", "-S", __file__, *arguments]


def run(arguments: Sequence[str]) -> int:
    """Run a command until it ends, or is to end; gives its exit code, 128 and more for a signal."""
    with subprocess.Popen(arguments, stdin=subprocess.DEVNULL) as process:
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: process.terminate())
        threading.Thread(target=_end_with_starter, args=(process,), daemon=True).start()
        code = process.wait()
    return code if code >= 0 else 128 - code


def _end_with_starter(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_S)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
