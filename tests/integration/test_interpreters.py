"""The child that builds: it ends when it takes too long or nobody waits, and its forks with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelway.composition.interpreters import Interpreter, run_child
from modelway.domain.errors import DeadlineExceeded, Unavailable
from modelway.domain.stopping import Limit
from support.homes import children_of, is_running, wait_until
from support.live import MODELWAY

FORKS = """
import os, pathlib, sys, time

if not os.fork():
    pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
    time.sleep(600)
print(sys.stdin.read(), flush=True)
time.sleep(int(sys.argv[2]))
os._exit(0)
"""
HANGS = """
import pickle, sys


class Hangs:
    def __reduce__(self):
        return eval, (f"open({sys.argv[1]!r}, 'w').close() or __import__('time').sleep(600)",)


with open(sys.argv[2], "wb") as stream:
    pickle.dump(Hangs(), stream)
"""


@pytest.fixture
def forked(tmp_path: Path) -> Iterator[Path]:
    """Where the id of what the child forks is; that has ended by the end of the test."""
    path = tmp_path / "forked"
    yield path
    # One that was ended before it could say so is none.
    process = int((path.exists() and path.read_text()) or 0)
    try:
        wait_until(lambda: not is_running(process))
    finally:
        if is_running(process):
            os.kill(process, signal.SIGKILL)


def forking(forked: Path, seconds: int) -> Interpreter:
    return Interpreter((sys.executable, "-c", FORKS, str(forked), str(seconds)), {})


def test_what_it_says_is_given_though_what_it_has_forked_would_say_more(forked: Path) -> None:
    done = run_child(forking(forked, 0), b"build", Limit(60.0, threading.Event()))
    assert (done.returncode, done.stdout) == (0, b"build\n")


def test_one_that_takes_too_long_is_ended(forked: Path) -> None:
    with pytest.raises(DeadlineExceeded, match="the build took over 1 s"):
        run_child(forking(forked, 600), b"", Limit(1.0, threading.Event()))


def test_one_that_nobody_waits_for_is_ended(forked: Path) -> None:
    left = threading.Event()

    def leave() -> None:
        wait_until(lambda: forked.exists() and forked.read_text() != "")
        left.set()

    leaving = threading.Thread(target=leave)
    leaving.start()
    with pytest.raises(Unavailable, match="nobody waits"):
        run_child(forking(forked, 600), b"", Limit(60.0, left))
    leaving.join()


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_it_ends_with_who_has_started_it(tmp_path: Path, by: signal.Signals) -> None:
    opened, model = tmp_path / "opened", tmp_path / "model.pkl"
    subprocess.run([sys.executable, "-c", HANGS, str(opened), str(model)], check=True)
    command = [*MODELWAY, "bundle", "build", str(model), "-o", str(tmp_path / "bundle")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        built: list[int] = []
        try:
            wait_until(opened.exists, 60.0)
            built = children_of(process.pid)
            assert built
            process.send_signal(by)
            process.wait(60)
            wait_until(lambda: not any(map(is_running, built)))
        finally:
            process.kill()
            for one in filter(is_running, built):
                os.kill(one, signal.SIGKILL)
