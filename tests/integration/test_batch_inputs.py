"""``modelway batch``: which files are scored, and what of them is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelway.composition.batch_places import inputs_of, target_of
from modelway.domain.errors import InvalidInput, SourceNotFound
from support.served import FLOWER, compiled_bundle, flower_graph


@pytest.fixture(scope="module")
def flower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled bundle."""
    folder = tmp_path_factory.mktemp("bundles") / "flower"
    return compiled_bundle(folder, flower_graph(), FLOWER, classes=(0, 1, 2))


def test_two_stars_are_the_files_of_all_folders_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["days/a/b/2.csv", "days/a/1.csv", "days/3.csv"]
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    target = target_of("scored.csv", None)
    for pattern in ("days/**/*.csv", "**/*.csv", "**/**/*.csv"):
        assert sorted(map(str, inputs_of(pattern, target))) == sorted(names)
    assert list(map(str, inputs_of("days/*/*.csv", target))) == ["days/a/1.csv"]
    with pytest.raises(SourceNotFound, match=r"a file that fits 'days/\*\.parquet' does not exist"):
        inputs_of("days/*.parquet", target)
    with pytest.raises(InvalidInput, match="days is a folder") as caught:
        inputs_of("days", target)
    assert caught.value.hint == "give a pattern of its files, such as 'days/*.parquet'"
    with pytest.raises(SourceNotFound, match=r"nights\.csv does not exist"):
        inputs_of("nights.csv", target)
