"""Paths that may not leave their folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelway.bundles.confined import confined


@pytest.mark.parametrize("name", ["model.pkl", "code/a.py", "code/../model.pkl", "."])
def test_what_lies_inside_is_given(name: str, tmp_path: Path) -> None:
    assert confined(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize("name", ["..", "../model.pkl", "/etc/passwd", "a/../../model.pkl"])
def test_what_leads_outside_is_not(name: str, tmp_path: Path) -> None:
    assert confined(tmp_path, name) is None


def test_a_link_that_leads_outside_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "model.pkl").symlink_to(tmp_path / "model.pkl")
    assert confined(folder, "model.pkl") is None
