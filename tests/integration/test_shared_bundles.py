"""Bundles behind a URL: what one home has built, another finds, checks and keeps."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from modelway.backends.fsspec_place import open_place
from modelway.bundles.digest import bundle_digest
from modelway.bundles.manifest import COMPILED, MANIFEST, RECORD
from modelway.bundles.store import Bundle, open_bundle
from modelway.composition.shared_bundles import SharedBundles
from modelway.domain.errors import DigestMismatch, MissingExtra, Unavailable
from modelway.settings import BundleSettings
from support.ending import repeated
from support.objects import KINDS, ObjectStore

both = pytest.mark.parametrize("place_url", KINDS, indirect=True)


@pytest.fixture
def built(iris_bundle: Path) -> Bundle:
    return open_bundle(iris_bundle)


@pytest.fixture
def name(built: Bundle) -> str:
    """What the bundle is called in a place."""
    return built.digest.removeprefix("sha256:")


@pytest.fixture
def here(built: Bundle, name: str, place_url: str, tmp_path: Path) -> SharedBundles:
    """The bundles of a home that has built one."""
    shutil.copytree(built.folder, tmp_path / "here" / "bundles" / name)
    return SharedBundles(BundleSettings(home=tmp_path / "here", url=place_url))


@pytest.fixture
def there(place_url: str, tmp_path: Path) -> SharedBundles:
    """The bundles of a home that has none."""
    return SharedBundles(BundleSettings(home=tmp_path / "there", url=place_url))


@pytest.fixture
def away(objects: ObjectStore, place_url: str) -> Iterator[None]:
    """The S3 server cannot be reached meanwhile."""
    objects.way.sever()
    yield
    objects.way.mend()


@both
def test_a_shared_bundle_is_found_by_another_home_and_kept_there(
    here: SharedBundles, there: SharedBundles, built: Bundle, tmp_path: Path, place_url: str
) -> None:
    assert there.folder(built.digest) is None
    here.share(built.digest)
    found = there.folder(built.digest)
    assert found is not None
    assert found.parent == tmp_path / "there" / "bundles"
    opened = open_bundle(found)
    assert (opened.digest, opened.record) == (built.digest, built.record)
    assert [one.name for one in found.parent.iterdir()] == [found.name]
    place = open_place(place_url, "bundles.url")
    place.remove(place.sizes())
    assert there.folder(built.digest) == found


@both
def test_a_bundle_counts_once_its_manifest_is_there(
    here: SharedBundles, there: SharedBundles, built: Bundle, name: str, place_url: str
) -> None:
    place = open_place(place_url, "bundles.url")
    for file in built.folder.rglob("*"):
        if file.is_file() and file.name != MANIFEST:
            place.put(file, f"{name}/{file.relative_to(built.folder).as_posix()}")
    assert there.folder(built.digest) is None
    here.share(built.digest)
    assert there.folder(built.digest) is not None


def test_the_manifest_is_the_last_file_to_be_shared(
    here: SharedBundles, built: Bundle, name: str, tmp_path: Path
) -> None:
    place = tmp_path / "elsewhere" / name
    lacking = []

    def look() -> None:
        if (place / MANIFEST).exists():
            wanted = {one.relative_to(built.folder) for one in built.folder.rglob("*")}
            lacking.append(wanted - {one.relative_to(place) for one in place.rglob("*")})

    local = SharedBundles(BundleSettings(home=tmp_path / "here", url=f"{tmp_path}/elsewhere"))
    with repeated(look):
        local.share(built.digest)
        time.sleep(0.1)
    assert lacking
    assert not any(lacking)


@both
@pytest.mark.parametrize("file", [COMPILED, RECORD])
def test_what_was_changed_in_the_place_is_refused_and_not_kept(
    here: SharedBundles,
    there: SharedBundles,
    built: Bundle,
    name: str,
    file: str,
    place_url: str,
    tmp_path: Path,
) -> None:
    here.share(built.digest)
    place = open_place(place_url, "bundles.url")
    if file == RECORD:  # so that contents and record agree, and are those of another bundle
        content = (place.read(f"{name}/{COMPILED}") or b"") + b"\0"
        place.write(f"{name}/{COMPILED}", content)
        record = (place.read(f"{name}/{RECORD}") or b"").replace(
            built.digest.encode(), _digest_of(place_url, name).encode()
        )
        place.write(f"{name}/{RECORD}", record)
    else:
        place.write(f"{name}/{COMPILED}", b"something else")
    with pytest.raises(DigestMismatch):
        there.folder(built.digest)
    assert not (tmp_path / "there" / "bundles" / name).exists()


def _digest_of(place_url: str, name: str) -> str:
    """The digest of what lies in the place under a name, whatever its record says."""
    place = open_place(place_url, "bundles.url")
    with tempfile.TemporaryDirectory() as folder:
        for one in place.sizes(name):
            place.get(one, Path(folder) / one)
        return bundle_digest(Path(folder) / name)


def test_homes_with_one_url_have_one_place_and_others_another(
    here: SharedBundles, there: SharedBundles, tmp_path: Path
) -> None:
    alone = [SharedBundles(BundleSettings(home=tmp_path / one)) for one in ("here", "there")]
    assert here.place_id() == there.place_id() == here.place_id()
    assert len({here.place_id(), alone[0].place_id(), alone[1].place_id()}) == 3
    assert alone[0].shown == str(tmp_path / "here" / "bundles")


def test_a_folder_that_two_homes_link_to_is_one_place(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    found = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "bundles").symlink_to(tmp_path / "shared")
        found.append(SharedBundles(BundleSettings(home=tmp_path / name)).place_id())
    assert found[0] == found[1]
    assert [one.name for one in (tmp_path / "shared").iterdir()] == ["place.id"]


@pytest.mark.services
def test_what_is_here_is_found_while_the_place_is_away_and_what_is_not_is_told(
    here: SharedBundles, there: SharedBundles, built: Bundle, away: None
) -> None:
    assert here.folder(built.digest) is not None
    with pytest.raises(Unavailable, match=r"s3://.* cannot be used"):
        here.share(built.digest)
    with pytest.raises(Unavailable, match=r"s3://.* cannot be used"):
        there.folder(built.digest)


@pytest.mark.services
def test_a_look_waits_no_longer_than_it_may_and_a_later_one_finds_it(
    here: SharedBundles, there: SharedBundles, built: Bundle, objects: ObjectStore
) -> None:
    here.share(built.digest)
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="is on its way from s3://"):
        there.folder_soon(built.digest, begun)
    assert time.monotonic() - begun < 10
    assert there.folder_soon(built.digest, time.monotonic() + 20) is not None


@pytest.mark.services
def test_a_place_that_is_away_is_not_asked_at_every_look(
    there: SharedBundles, built: Bundle, objects: ObjectStore, away: None
) -> None:
    with pytest.raises(Unavailable, match="cannot be used"):
        there.folder_soon(built.digest, time.monotonic() + 60)
    once = objects.way.turned_away
    assert once
    for _ in range(100):
        with pytest.raises(Unavailable, match="cannot be used"):
            there.folder_soon(built.digest, time.monotonic() + 60)
    assert objects.way.turned_away <= 3 * once


def test_without_fsspec_it_says_which_extra_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "modelway.backends.fsspec_place", None)
    settings = replace(BundleSettings(home=tmp_path), url="file:///mnt")
    with pytest.raises(MissingExtra, match=r"bundles\.url needs fsspec"):
        SharedBundles(settings).place_id()
