"""What changes with a source, and what is done about it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from modelway.composition import watching
from modelway.composition.watching import Watching, fingerprint
from modelway.domain.errors import BuildFailed, LoadFailed
from modelway.inference.ports import ModelState


def test_a_file_changes_with_its_content_and_a_link_with_its_target(tmp_path: Path) -> None:
    one, two, link = tmp_path / "one", tmp_path / "two", tmp_path / "link"
    one.write_text("1")
    two.write_text("2")
    link.symlink_to(one)
    before = fingerprint(str(link))
    assert before == fingerprint(str(one))
    (tmp_path / "new").symlink_to(two)
    (tmp_path / "new").rename(link)
    assert fingerprint(str(link)) == fingerprint(str(two)) != before
    one.write_text("one")
    assert fingerprint(str(one)) != before
    assert fingerprint(str(tmp_path / "none")) == ()


def test_a_function_changes_with_its_file_and_a_folder_with_what_is_in_it(tmp_path: Path) -> None:
    rules = tmp_path / "rules.py"
    rules.write_text("def f(): ...")
    assert fingerprint(f"{rules}:f") == fingerprint(str(rules))
    before = fingerprint(str(tmp_path))
    (tmp_path / "model").write_text("x")
    assert fingerprint(str(tmp_path)) != before


class Deployed:
    """A deployment that writes down what it is told, and refuses one folder."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    async def load(self, name: str, folder: Path) -> str:
        if folder.name == "refused":
            raise LoadFailed("not this")
        self.loaded.append(f"{name}={folder.name}")
        return "1"

    async def unload(self, name: str) -> None:
        raise AssertionError(name)

    async def states(self) -> list[ModelState]:
        return []


def test_what_has_changed_and_stays_so_is_taken_and_a_fault_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watching, "TICK_S", 0.02)
    source = tmp_path / "source"
    source.write_text("first")
    deployed = Deployed()

    def bundled(name: str, path: str) -> Path:
        text = Path(path).read_text()
        if text == "broken":
            raise BuildFailed("cannot be built")
        return Path(text)

    async def work() -> None:
        following = asyncio.create_task(Watching({"a": str(source)}, bundled).follow(deployed))
        await asyncio.sleep(0.1)
        for text in ("second", "broken", "refused", "third"):
            source.write_text(text)
            await asyncio.sleep(0.3)
        following.cancel()

    asyncio.run(work())
    assert deployed.loaded == ["a=second", "a=third"]
    assert "cannot be built" in caplog.text
    assert "not this" in caplog.text
