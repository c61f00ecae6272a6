"""What ``modelway doctor`` finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelway.composition.doctor import Finding, examine
from modelway.settings import load_settings


def home_at(home: Path, folder: Path) -> Finding:
    flags = {"bundles.home": home, "serve.port": 0}
    examined = examine(load_settings(flags, folder=folder, environment={}))
    return next(one for one in examined.findings if one.name == "home")


@pytest.mark.parametrize("name", ["home", "home/deep/down", "."])
def test_a_home_that_can_be_made_is_ok(name: str, tmp_path: Path) -> None:
    found = home_at(tmp_path / name, tmp_path)
    assert found.ok
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/home"])
def test_a_home_that_is_a_file_or_below_one_is_not(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = home_at(tmp_path / name, tmp_path)
    assert not found.ok
    assert found.found.endswith("file is no folder")
    assert found.hint
