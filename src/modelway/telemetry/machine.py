"""What this process takes of the machine: memory, CPU, descriptors; and what is free for it.

On Linux the figures come from ``/proc``; elsewhere from what the standard library has, which for
memory is the highest so far and not the present. What a system does not say has no value.

Source: proc(5), ``/proc/pid/statm`` and ``/proc/pid/stat``; getrusage(2).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from pathlib import Path

if sys.platform != "win32":
    import resource

from modelway.telemetry.instruments import Gauge, Metrics
from modelway.telemetry.metrics import (
    CPU_SECONDS,
    HOME_FREE_BYTES,
    OPEN_FDS,
    RESIDENT_BYTES,
    START_SECONDS,
)

EVERY_S = 5.0
"""How often whoever owns the event loop should read."""

_PROC = Path("/proc")
_DESCRIPTORS = ("/proc/self/fd", "/dev/fd")
_STARTED_FIELD = 19  # of /proc/pid/stat, behind the command's name; 22 in the manual's count


class Machine:
    """The readings of one process, written into its slot.

    ``home`` is the folder whose file system must not fill up; it may come into being later.
    """

    def __init__(self, metrics: Metrics, home: Path) -> None:
        self._home = home
        self._resident = metrics.gauge(RESIDENT_BYTES)
        self._descriptors = metrics.gauge(OPEN_FDS)
        self._free = metrics.gauge(HOME_FREE_BYTES)
        self._cpu = metrics.counter(CPU_SECONDS)
        self._cpu_s = 0.0
        metrics.gauge(START_SECONDS).set(started_s())

    def read(self) -> None:
        """Read everything now and write it down; it takes about 0.1 ms, and never raises."""
        cpu_s = time.process_time()
        self._cpu.add(max(0.0, cpu_s - self._cpu_s))
        self._cpu_s = max(cpu_s, self._cpu_s)
        _put(self._resident, resident_bytes())
        _put(self._descriptors, open_descriptors())
        _put(self._free, free_bytes(self._home))


def resident_bytes() -> int | None:
    """Resident memory of this process: now on Linux, at its highest elsewhere."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int((_PROC / "self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    if sys.platform == "win32":
        return None
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * 1024


def open_descriptors() -> int | None:
    """Open file descriptors of this process."""
    for folder in _DESCRIPTORS:
        with contextlib.suppress(OSError):
            return len(os.listdir(folder)) - 1  # noqa: PTH208 - less the one it is read through
    return None


def free_bytes(folder: Path) -> int | None:
    """What this process may still write to the file system of a folder."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free
    return None


def started_s() -> float:
    """When this process was started, as Unix time; where no one knows, now."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = (_PROC / "self/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[_STARTED_FIELD])
        (booted,) = (
            int(line.split()[1])
            for line in (_PROC / "stat").read_text().splitlines()
            if line.startswith("btime ")
        )
        return booted + ticks / os.sysconf("SC_CLK_TCK")
    return time.time()


def _put(gauge: Gauge, value: float | None) -> None:
    if value is None:
        gauge.clear()
    else:
        gauge.set(value)
