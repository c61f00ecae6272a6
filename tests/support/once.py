"""What is made once a run, however many processes run the tests: the first makes it, others wait.

Source: pytest-xdist, "Making session-scoped fixtures execute only once".
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Once = Callable[[str, Callable[[Path], object]], Path]


def once_a_run(factory: pytest.TempPathFactory) -> Once:
    """``once("name", make)`` gives the folder of that name, which ``make`` has filled.

    The folder belongs to all tests of the run: nobody may change it. Where ``make`` raises, nothing
    is left and the next one tries again.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    root /= "once"
    root.mkdir(exist_ok=True)

    def once(name: str, make: Callable[[Path], object]) -> Path:
        folder, made = root / name, root / f"{name}.made"
        with (root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                made.touch()
        return folder

    return once
