"""Foreign clients, each in a virtual environment of its own: their requirements fight ours.

An environment is made by plain pip from the pinned versions in ``tests/protocol/clients``, once for
a machine: it lies in the user's cache and is used again as long as the versions are the same. Tests
that run at the same time wait for the one that makes it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from support.live import absent

SCRIPTS = Path(__file__).parents[1] / "protocol" / "clients"
INSTALL_S = 250
"""Less than what is given to a test."""
RUN_S = 120


@cache
def client_python(name: str) -> Path:
    """The Python of an environment with the client that ``clients/NAME.txt`` pins.

    Skips the test, or fails it where nothing may be lacking, if the client cannot be installed.
    """
    wanted = SCRIPTS / f"{name}.txt"
    stamp = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = _cache() / f"{name}-{stamp}"
    python, made = folder / "bin" / "python", folder / "made"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _finished(sys.executable, "-m", "venv", folder)
            _finished(
                python, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps", "-r", wanted
            )
            made.touch()
    return python


def run_client(name: str, script: str, *arguments: str) -> str:
    """What a script of ``tests/protocol/clients`` says, run by the client's own Python.

    Fails the test where the script does.
    """
    done = subprocess.run(
        [client_python(name), SCRIPTS / script, *arguments],
        capture_output=True,
        text=True,
        timeout=RUN_S,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "modelway-test-clients"


def _finished(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S)
    if done.returncode:
        words = " ".join(map(str, command[:4]))
        absent(f"a foreign client cannot be installed: {words} said {done.stderr[-500:]}")
