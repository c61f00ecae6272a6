"""The folder of slots: where it is made, and that it does not outlive its service for long."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from modelway.telemetry import slot_folder
from modelway.telemetry.slot_folder import SlotFolder
from modelway.telemetry.slots import Slot

LEFT = """
import os, sys
from pathlib import Path
from modelway.telemetry.slot_folder import SlotFolder
folder = SlotFolder.make(1, [Path(sys.argv[1])])
print(folder.path, flush=True)
sys.stdin.read()
os._exit(9)
"""


def test_it_is_private_and_gone_when_closed(tmp_path: Path) -> None:
    with SlotFolder.make(2, [tmp_path]) as folder:
        assert folder.path.parent == tmp_path
        assert folder.path.stat().st_mode & 0o777 == 0o700
        slot = Slot.open(folder.path, "0")
    assert list(tmp_path.iterdir()) == []
    assert slot.read().series == []
    folder.close()


def test_the_first_place_with_room_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.mkdir()
    large.mkdir()
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(slot_folder, "FILE_BYTES", usage.free // 100)
    with SlotFolder.make(1, [small, large]) as folder:
        assert folder.path.parent == small
    with SlotFolder.make(99, [small, large]) as folder:
        assert folder.path.parent == large
    with SlotFolder.make(1, [tmp_path / "none", large]) as folder:
        assert folder.path.parent == large


def test_without_a_place_the_system_says_why(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SlotFolder.make(1, [tmp_path / "none"])


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks")
def test_what_a_killed_service_left_is_removed_and_a_living_ones_is_not(tmp_path: Path) -> None:
    stranger = tmp_path / "modelway-slots-stranger"
    stranger.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", LEFT, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        with SlotFolder.make(1, [tmp_path]) as mine:
            assert left.is_dir()
            process.kill()
            process.wait()
            with SlotFolder.make(1, [tmp_path]) as other:
                assert not left.exists()
                assert mine.path.is_dir()
                assert other.path != mine.path
    assert list(tmp_path.iterdir()) == [stranger]
