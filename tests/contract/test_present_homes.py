"""What is promised of the homes that share a store, clause by clause, on every database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from modelway.backends.sql.store import Store
from modelway.bundles.presence import Present
from modelway.domain.errors import InvalidInput
from support.moves import NOON

HOME = Present("h1", "alpha", "p1", "s3://bucket/bundles", NOON)


def test_those_noted_and_not_left_are_there_the_latest_seen_first(store: Store) -> None:
    later = replace(HOME, home="h2", host="beta", seen_at=NOON + timedelta(seconds=1))
    assert store.homes.all() == []
    store.homes.note(HOME)
    store.homes.note(later)
    assert store.homes.all() == [later, HOME]
    store.homes.leave("h2")
    assert store.homes.all() == [HOME]


def test_noting_replaces_what_was_known_of_the_home(store: Store) -> None:
    moved = replace(HOME, place="p2", shown="/mnt/shared", seen_at=NOON + timedelta(hours=1))
    store.homes.note(HOME)
    store.homes.note(moved)
    store.homes.note(moved)
    assert store.homes.all() == [moved]


def test_leaving_of_one_that_is_not_there_changes_nothing(store: Store) -> None:
    store.homes.note(HOME)
    store.homes.leave("never")
    assert store.homes.all() == [HOME]


def test_a_place_that_cannot_be_held_is_refused_by_name(store: Store) -> None:
    with pytest.raises(InvalidInput, match="place: expected at most 255"):
        store.homes.note(replace(HOME, place="p" * 256))
    assert store.homes.all() == []


def test_nobody_has_to_look_anew_because_a_home_is_there(store: Store) -> None:
    before = store.generation.now()
    store.homes.note(HOME)
    assert store.generation.now() == before
