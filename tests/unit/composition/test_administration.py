"""The key of the administration."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from modelway.composition.administration import KEY_FILE, admin_key
from modelway.domain.errors import BadValue


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "a" / "home"
    key = admin_key(home)
    assert len(key) >= 40
    assert admin_key(home) == key
    assert stat.S_IMODE((home / KEY_FILE).stat().st_mode) == 0o600


def test_a_key_that_is_brought_is_kept(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("mine\n")
    assert admin_key(tmp_path) == "mine"


def test_a_key_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("\n")
    with pytest.raises(BadValue, match="is empty"):
        admin_key(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadValue, match="key"):
        admin_key(tmp_path / "file")
