"""The contract of ``KeyStore`` and ``AuditTrail``, over SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from modelway.access.keys import Act, Scope
from modelway.backends.sql.store import Store
from modelway.domain.errors import (
    InvalidInput,
    KeyNotFound,
    TargetExists,
)
from support.moves import NOON, SECOND, key
from support.stores import (
    at_once,
    rows_of,
)


class TestKeyStore:
    def test_a_key_is_found_as_it_was_stored(self, store: Store) -> None:
        full = replace(
            key(),
            name="the CI's",
            scopes=frozenset(Scope),
            endpoints=("loan-*", "iris"),
            rate_per_s=0.1,
            revoked_at=NOON + SECOND,
            used_at=NOON,
            secret_sha256=bytes(range(224, 256)),
        )
        store.keys.add(full)
        assert store.keys.all() == [full]

    def test_all_has_revoked_ones_too_the_oldest_first(self, store: Store) -> None:
        for n in (3, 1, 2):
            store.keys.add(key(f"k{n}", at=NOON + n * SECOND))
        store.keys.revoke("k2", NOON)
        assert [one.id for one in store.keys.all()] == ["k1", "k2", "k3"]

    def test_an_id_is_taken_once(self, store: Store) -> None:
        store.keys.add(key())
        with pytest.raises(TargetExists, match="'k1'"):
            store.keys.add(replace(key(), name="other"))
        assert store.keys.all() == [key()]

    def test_revoke_raises_key_not_found(self, store: Store) -> None:
        store.keys.add(key())
        for id in ("k2", "K1", "k1 ", "x" * 4000):
            with pytest.raises(KeyNotFound):
                store.keys.revoke(id, NOON)
        assert store.keys.all() == [key()]

    def test_a_key_that_was_revoked_before_stays_so_since_then(self, store: Store) -> None:
        store.keys.add(key())
        store.keys.add(key("k2"))
        store.keys.revoke("k1", NOON)
        store.keys.revoke("k1", NOON + SECOND)
        store.keys.revoke("k1", NOON - SECOND)
        assert {one.id: one.revoked_at for one in store.keys.all()} == {"k1": NOON, "k2": None}

    def test_used_never_sets_a_time_back(self, store: Store) -> None:
        for n in (1, 2, 3):
            store.keys.add(key(f"k{n}"))
        store.keys.used({"k1": NOON, "k2": NOON + SECOND, "gone": NOON})
        store.keys.used({"k1": NOON + SECOND, "k2": NOON})
        store.keys.used({})
        assert {one.id: one.used_at for one in store.keys.all()} == {
            "k1": NOON + SECOND,
            "k2": NOON + SECOND,
            "k3": None,
        }

    def test_used_by_many_at_once_ends_with_the_latest(self, store: Store, url: str) -> None:
        ids = [f"k{n}" for n in range(10)]
        for id in ids:
            store.keys.add(key(id))

        def user(begin: int) -> Callable[[Store], object]:
            order = ids if begin % 2 else ids[::-1]

            def act(own: Store) -> None:
                for n in range(begin, 40, 2):
                    own.keys.used(dict.fromkeys(order, NOON + n * SECOND))

            return act

        assert at_once(url, [user(0), user(1)]) == [None, None]
        assert {one.used_at for one in store.keys.all()} == {NOON + 39 * SECOND}

    def test_a_hash_has_32_bytes_and_a_rate_is_a_number(self, store: Store) -> None:
        with pytest.raises(InvalidInput, match="secret_sha256: expected 32 bytes, got 5"):
            store.keys.add(replace(key(), secret_sha256=b"short"))
        with pytest.raises(InvalidInput, match="rate_per_s: expected a finite number, got nan"):
            store.keys.add(replace(key(), rate_per_s=math.nan))
        assert store.keys.all() == []

    def test_a_scope_of_a_newer_version_allows_nothing(self, store: Store, url: str) -> None:
        store.keys.add(key())
        rows_of(url, """UPDATE modelway_keys SET scopes = '["predict", "teleport"]'""")
        assert store.keys.all() == [key()]


class TestAuditTrail:
    def test_acts_are_the_newest_first(self, store: Store) -> None:
        made = [
            Act("ann", "promote", "loan:7 ☃", "done", '{"to": "champion"}', NOON + n * SECOND)
            for n in (1, 3, 2)
        ]
        for act in made:
            store.audit.append(act)
        assert store.audit.acts(10) == [made[1], made[2], made[0]]

    def test_acts_of_one_moment_are_in_the_order_in_which_they_were_entered(
        self, store: Store
    ) -> None:
        for n in range(12):
            store.audit.append(Act("ann", f"act-{n}", "loan", "done", "", NOON))
        assert [act.act for act in store.audit.acts(3)] == ["act-11", "act-10", "act-9"]

    def test_acts_before_a_time(self, store: Store) -> None:
        for n in range(5):
            store.audit.append(Act("ann", f"act-{n}", "loan", "done", "", NOON + n * SECOND))
        page = store.audit.acts(2, before=NOON + 3 * SECOND)
        assert [act.act for act in page] == ["act-2", "act-1"]
        assert [act.act for act in store.audit.acts(2, before=page[-1].at)] == ["act-0"]
        assert store.audit.acts(2, before=NOON) == []

    def test_a_limit_is_not_negative(self, store: Store) -> None:
        assert store.audit.acts(0) == []
        with pytest.raises(InvalidInput, match="limit: expected 0 or more, got -1"):
            store.audit.acts(-1)
