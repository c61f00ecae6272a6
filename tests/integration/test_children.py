"""Children beside the workers: real processes that have their time to end, and no more."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from modelway.composition.home import Home
from modelway.composition.home_children import tend_child
from modelway.settings import child_environment, load_settings
from modelway.supervisor.children import ChildCommand, Children
from support.homes import wait_until

STUBBORN = """
import pathlib, signal, sys, time

signal.signal(signal.SIGTERM, lambda *_: None)
pathlib.Path(sys.argv[1]).touch()
for _ in range(int(sys.argv[2])):
    time.sleep(0.05)
pathlib.Path(sys.argv[3]).touch()
"""

STARTING = """
import pathlib, sys, time

pathlib.Path(sys.argv[1]).touch()
time.sleep(0.3)
sys.stdin.read()
pathlib.Path(sys.argv[2]).touch()
"""


@pytest.mark.parametrize(("turns", "grace_s"), [(20, 60.0), (20_000, 0.1)])
def test_one_that_is_to_end_has_the_time_that_it_is_given(
    tmp_path: Path, turns: int, grace_s: float
) -> None:
    began, ended = tmp_path / "began", tmp_path / "ended"
    words = [sys.executable, "-c", STUBBORN, str(began), str(turns), str(ended)]
    asyncio.run(ended_once_it_is(began, words, tmp_path / "log", grace_s=grace_s))
    assert ended.exists() == (grace_s > 1)


def test_one_that_was_only_just_started_hears_it_by_its_input(tmp_path: Path) -> None:
    began, ended = tmp_path / "began", tmp_path / "ended"
    words = [sys.executable, "-c", STARTING, str(began), str(ended)]
    asyncio.run(ended_once_it_is(began, words, tmp_path / "log", ends_by_input=True))
    assert ended.exists()


async def ended_once_it_is(began: Path, words: list[str], log: Path, **options: Any) -> None:
    """Start a child, and end it once it has begun."""
    command = ChildCommand("child", words, log, child_environment(), **options)
    keeping = asyncio.create_task(Children([command]).run())
    await asyncio.to_thread(wait_until, began.exists)
    keeping.cancel()
    async with asyncio.timeout(60):
        await asyncio.gather(keeping, return_exceptions=True)


def test_what_tends_has_longer_than_others_to_send_the_last_records(tmp_path: Path) -> None:
    settings = load_settings({"bundles.home": tmp_path}, folder=tmp_path, environment={})
    tend = tend_child(Home(tmp_path), settings)
    assert tend.grace_s > ChildCommand("other", (), tmp_path / "log").grace_s
