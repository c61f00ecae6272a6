"""What a loss of power leaves."""

from __future__ import annotations

import os
from pathlib import Path


def synced(path: Path | str) -> None:
    """Have the disk hold what was written to a file, or which files are in a folder.

    Raises:
        OSError: it does not say that it does.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
