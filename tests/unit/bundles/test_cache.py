"""Which bundle was built from what; the bundle is one of the golden ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from modelway.bundles.cache import Cache, key_of
from modelway.domain.errors import BadValue

GOLDEN = Path(__file__).parents[2] / "golden" / "format-1-rule"
KEY = key_of({"source": "a"})


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "home")


def build(cache: Cache, key: str | None = KEY) -> Path:
    with cache.fresh() as folder:
        shutil.copytree(GOLDEN, folder, dirs_exist_ok=True)
        return cache.keep(folder, key).folder


def left(folder: Path) -> list[str]:
    return [path.name for path in folder.parent.iterdir()]


def test_keys_differ_with_their_parts_and_not_with_their_order() -> None:
    assert key_of({"a": 1, "b": None}) == key_of({"b": None, "a": 1})
    assert key_of({"a": 1, "b": None}) != key_of({"a": 1, "b": 0})


def test_what_is_kept_is_found(cache: Cache) -> None:
    assert cache.find(KEY) is None
    folder = build(cache)
    found = cache.find(KEY)
    assert found is not None
    assert (found.folder, folder.name) == (folder, found.digest.removeprefix("sha256:"))
    assert cache.find(key_of({"source": "b"})) is None
    assert left(folder) == [folder.name]


def test_an_equal_bundle_stays_and_has_both_keys(cache: Cache) -> None:
    folder = build(cache)
    before = (folder / "manifest.json").stat().st_ino
    assert build(cache, key_of({"source": "b"})) == folder
    assert (folder / "manifest.json").stat().st_ino == before
    assert cache.find(KEY) is not None
    assert cache.find(key_of({"source": "b"})) is not None


@pytest.mark.parametrize("damage", ["changed", "emptied", "gone"])
def test_a_damaged_bundle_is_as_good_as_none_and_is_replaced(damage: str, cache: Cache) -> None:
    folder = build(cache)
    if damage == "changed":
        (folder / "signature.json").write_text("{}")
    else:
        shutil.rmtree(folder)
        if damage == "emptied":
            folder.mkdir()
    assert cache.find(KEY) is None
    assert build(cache) == folder
    assert cache.find(KEY) is not None
    assert left(folder) == [folder.name]


def test_a_damaged_entry_is_as_good_as_none(cache: Cache, tmp_path: Path) -> None:
    build(cache)
    (tmp_path / "home" / "cache" / f"{KEY}.json").write_text("{")
    assert cache.find(KEY) is None


def test_what_was_not_kept_is_gone(cache: Cache) -> None:
    with pytest.raises(RuntimeError), cache.fresh() as folder:
        raise RuntimeError
    assert not folder.exists()


def test_a_home_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with (
        pytest.raises(BadValue, match=r"bundles\.home: .*home cannot be written: Not a directory"),
        Cache(tmp_path / "home").fresh(),
    ):
        pass
