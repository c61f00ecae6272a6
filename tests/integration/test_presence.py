"""Homes that share a store are let in together only if they see the same bundles."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelway.composition.control import Control
from modelway.composition.home import Running
from modelway.composition.presence import FORGOTTEN
from modelway.composition.tending import concerns
from modelway.domain.errors import BadValue, Unavailable
from support.canaries import STEADY, controlled, linked
from support.objects import ObjectStore


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/shared.db"


def host(tmp_path: Path, name: str, store: str, bundles: str = "") -> Control:
    return controlled(tmp_path / name, store__url=store, bundles__url=bundles)


def seen_before(control: Control, ago: timedelta) -> None:
    """Have every home have been seen so much earlier."""
    for one in control.store.homes.all():
        control.store.homes.note(replace(one, seen_at=one.seen_at - ago))


def test_one_alone_may_have_its_bundles_anywhere(tmp_path: Path, store: str) -> None:
    with host(tmp_path, "a", store) as a:
        with a.presence.entered():
            assert [one.home for one in a.store.homes.all()] == [a.home.id]
            a.presence.enter()
        assert a.store.homes.all() == []


def test_another_with_the_same_place_comes_in_and_one_with_another_does_not(
    tmp_path: Path, store: str
) -> None:
    url = str(tmp_path / "mounted")
    with (
        host(tmp_path, "a", store, url) as a,
        host(tmp_path, "b", store, f"file://{url}") as b,
        host(tmp_path, "c", store) as c,
        a.presence.entered(),
        b.presence.entered(),
    ):
        with pytest.raises(BadValue, match=f"bundles in {tmp_path}/c/bundles, but .* in .*{url}"):
            c.presence.enter()
        assert {one.home for one in a.store.homes.all()} == {a.home.id, b.home.id}


def test_a_worker_that_ends_leaves_a_home_that_serves_there(tmp_path: Path, store: str) -> None:
    with host(tmp_path, "a", store) as a, host(tmp_path, "a", store) as worker:
        with a.home.taken(), a.presence.entered():
            a.home.announce(Running(os.getpid(), datetime.now(UTC), *[""] * 4))
            with worker.presence.entered():
                pass
            assert [one.home for one in a.store.homes.all()] == [a.home.id]
            a.home.leave()
        assert a.store.homes.all() == []


def test_what_a_home_bundles_that_others_would_not_find_is_not_linked(
    tmp_path: Path, store: str
) -> None:
    with host(tmp_path, "a", store) as a, host(tmp_path, "b", store) as b:
        linked(b, tmp_path, {"1": STEADY.format(number=1)})
        digest = b.store.links.digest("rule", "1") or ""
        with a.presence.entered(), pytest.raises(BadValue, match="neither would find"):
            b.registered.share(digest)
        b.registered.share(digest)


def test_a_home_that_was_killed_is_forgotten_after_an_hour(tmp_path: Path, store: str) -> None:
    with host(tmp_path, "a", store) as a, host(tmp_path, "b", store) as b:
        a.presence.enter()
        seen_before(a, FORGOTTEN - timedelta(minutes=1))
        with pytest.raises(BadValue) as told:
            b.presence.enter()
        assert "forgotten at" in str(told.value.hint)
        seen_before(a, timedelta(minutes=1))
        b.presence.enter()
        with pytest.raises(BadValue):
            a.presence.enter()


def test_the_tending_process_says_again_that_the_home_is_there(tmp_path: Path, store: str) -> None:
    with host(tmp_path, "a", store) as a:
        a.presence.enter()
        seen_before(a, FORGOTTEN)
        (saying,) = (one for one in concerns(a) if one.name == "saying where bundles are")
        before = a.store.homes.all()[0].seen_at
        saying.tried()
        assert saying.trouble == ""
        assert a.store.homes.all()[0].seen_at - before > FORGOTTEN - timedelta(minutes=1)


@pytest.mark.services
def test_while_the_place_is_away_it_begins_if_it_has_ever_seen_it(
    tmp_path: Path, store: str, place_url: str, objects: ObjectStore
) -> None:
    objects.way.sever()
    try:
        with host(tmp_path, "a", store, place_url) as a, pytest.raises(Unavailable, match="s3:"):
            a.presence.enter()
    finally:
        objects.way.mend()
    with host(tmp_path, "a", store, place_url) as a, a.presence.entered():
        (said,) = a.store.homes.all()
    objects.way.sever()
    try:
        with host(tmp_path, "a", store, place_url) as a, a.presence.entered():
            assert [one.place for one in a.store.homes.all()] == [said.place]
    finally:
        objects.way.mend()
