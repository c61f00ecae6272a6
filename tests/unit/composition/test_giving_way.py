"""Threads give way, and never ask for what they may not have."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from modelway.composition.giving_way import LITTLE, NOTHING, give_way

NICE_ALREADY = """
import os
from modelway.composition.giving_way import give_way

os.nice(15 - os.getpriority(os.PRIO_PROCESS, 0))
if os.getuid() == 0:
    os.setuid(65534)  # who may take no niceness back
give_way(10)
print(os.getpriority(os.PRIO_PROCESS, 0))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a thread has no niceness")


def niceness_of_a_thread(*asked: int) -> int:
    """The niceness of a thread that was told to give way."""
    found: list[int] = []

    def work() -> None:
        for one in asked:
            give_way(one)
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found[0]


def test_a_thread_gives_way_and_its_process_does_not() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    assert niceness_of_a_thread(LITTLE) == max(before, LITTLE)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
    assert niceness_of_a_thread(NOTHING, LITTLE) == NOTHING


def test_a_process_that_gives_way_already_may_ask_for_no_more() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", NICE_ALREADY], capture_output=True, text=True, check=False
    )
    assert ran.stdout == "15\n", ran.stderr
