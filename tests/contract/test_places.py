"""What a place behind a URL promises, on a disk and on a real S3 server."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from modelway.backends.fsspec_place import Place, open_place
from modelway.domain.addresses import shown_url
from modelway.domain.errors import BadValue, MissingExtra, Unavailable
from support.ending import repeated
from support.objects import KINDS, ObjectStore

both = pytest.mark.parametrize("place_url", KINDS, indirect=True)


@pytest.fixture
def place(place_url: str) -> Place:
    return open_place(place_url, "bundles.url")


@both
def test_what_is_put_is_there_by_its_name_and_can_be_fetched(place: Place, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "deep" / "target"
    source.write_bytes(b"x" * 100_000)
    assert place.sizes() == {}
    assert not place.has("a/b")
    place.put(source, "a/b")
    place.write("a=1/ü c", b"yes")
    assert place.sizes() == {"a/b": 100_000, "a=1/ü c": 3}
    assert place.sizes("a") == {"a/b": 100_000}
    assert place.read("a=1/ü c") == b"yes"
    assert place.get("a/b", target)
    assert target.read_bytes() == source.read_bytes()
    assert not place.get("a/c", target)
    assert place.read("b") is None


@both
def test_what_changes_has_another_version_and_what_is_removed_none(place: Place) -> None:
    place.write("a", b"1")
    first = place.version("a")
    assert first is not None
    assert place.version("a") == first
    place.write("a", b"2")
    assert place.version("a") not in (first, None)
    place.remove(["a", "never"])
    assert place.version("a") is None
    assert place.sizes() == {}


@both
def test_others_see_at_once_what_was_written(place_url: str) -> None:
    here, there = (open_place(place_url, "bundles.url") for _ in range(2))
    for k in range(3):
        assert len(there.sizes()) == k
        here.write(f"file-{k}", b"1")


@both
def test_whoever_finds_a_file_finds_it_whole(place: Place, tmp_path: Path) -> None:
    files = [tmp_path / "ones", tmp_path / "twos"]
    for file, byte in zip(files, (b"1", b"2"), strict=True):
        file.write_bytes(byte * 3_000_000)
    seen = []

    def look() -> None:
        found = place.read("file")
        if found is not None:
            seen.append((len(found), len(set(found))))

    with repeated(look):
        for k in range(6):
            place.put(files[k % 2], "file")
    assert set(seen) == {(3_000_000, 1)}
    assert place.sizes() == {"file": 3_000_000}


@pytest.mark.services
def test_a_server_that_is_away_is_told_and_found_again(place: Place, objects: ObjectStore) -> None:
    place.write("a", b"1")
    objects.way.sever()
    try:
        for call in (place.sizes, lambda: place.read("a"), lambda: place.write("b", b"2")):
            with pytest.raises(Unavailable, match=f"{place.shown} cannot be used"):
                call()
    finally:
        objects.way.mend()
    assert place.sizes() == {"a": 1}


@pytest.mark.services
def test_a_bucket_that_is_not_there_is_told_and_not_made(place_url: str) -> None:
    place = open_place("s3://modelway-never-made/x", "bundles.url")
    for _ in range(2):
        with pytest.raises(Unavailable, match="bucket does not exist"):
            place.write("a", b"1")


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(Unavailable, match="taken cannot be used"):
        open_place(str(tmp_path / "taken"), "bundles.url").write("a", b"1")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket/folder/", "s3://bucket/folder"),
        ("ftp://ann:hunter2@host:21/f?token=hunter2", "ftp://ann@host:21/f"),
        ("file:///mnt/shared", "file:///mnt/shared"),
        ("/mnt/shared", "/mnt/shared"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_a_password_in_the_url_is_never_repeated(free_port: int) -> None:
    url = f"ftp://ann:hunter2@127.0.0.1:{free_port}/x"
    with pytest.raises(Unavailable, match=r"ftp://ann@127\.0\.0\.1") as told:
        open_place(url, "bundles.url").sizes()
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize("url", ["memory://x", "nothing://x", "s4://bucket"])
def test_what_no_other_process_sees_is_refused(url: str) -> None:
    with pytest.raises(BadValue, match=f"records.url: {url} is no place") as told:
        open_place(url, "records.url")
    assert "s3://bucket/folder" in str(told.value.hint)


def test_a_driver_that_is_missing_is_named() -> None:
    with pytest.raises(BadValue, match="needs a driver that is not installed") as told:
        open_place("gs://bucket/x", "bundles.url")
    assert "gcsfs" in str(told.value.hint)


def test_s3_without_its_driver_says_which_extra_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.registry import _registry

    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(_registry, "s3", raising=False)
    with pytest.raises(MissingExtra, match=r"bundles.url at s3://bucket needs s3fs") as told:
        open_place("s3://bucket", "bundles.url")
    assert told.value.hint == "pip install 'modelway[s3]'"
