"""A version is withdrawn or it is promoted, whoever does the two at once; on every database."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from modelway.backends.sql.connecting import database_of
from modelway.backends.sql.generation import changing
from modelway.backends.sql.ledger import enter
from modelway.backends.sql.store import Store, open_store
from modelway.domain.errors import Conflict
from modelway.registry.promotions import Decision, Kind
from support.moves import move, proposal
from support.stores import at_once, rows_of

WHY = "ann has archived it"
ROUNDS = 40


def test_what_is_withdrawn_has_no_bundle_and_says_why(store: Store) -> None:
    store.links.link("loan", "7", "sha256:a", None)
    before = store.generation.now()
    store.links.withdraw("loan", "7", WHY)
    assert (store.links.digest("loan", "7"), store.links.reason("loan", "7")) == (None, WHY)
    assert store.links.versions("sha256:a") == []
    assert store.generation.now() == before + 1


def test_what_is_withdrawn_is_not_linked_until_it_is_restored(store: Store) -> None:
    store.links.withdraw("loan", "7", WHY)
    before = store.generation.now()
    for said in (("sha256:a", None), (None, "it cannot be built"), (None, WHY)):
        with pytest.raises(Conflict, match=f"loan:7 may not answer: {WHY}"):
            store.links.link("loan", "7", *said)
    assert (store.links.digest("loan", "7"), store.links.reason("loan", "7")) == (None, WHY)
    assert store.generation.now() == before
    store.links.link("loan", "8", "sha256:a", None)
    store.links.restore("loan", "7")
    assert store.links.reason("loan", "7") is None
    store.links.link("loan", "7", "sha256:a", None)
    assert store.links.digest("loan", "7") == "sha256:a"


def test_to_restore_what_is_not_withdrawn_changes_nothing(store: Store) -> None:
    store.links.link("loan", "7", None, "it cannot be built")
    before = store.generation.now()
    store.links.restore("loan", "7")
    store.links.restore("loan", "8")
    assert store.links.reason("loan", "7") == "it cannot be built"
    assert store.generation.now() == before


def test_what_is_withdrawn_is_not_promoted_and_nothing_has_changed(store: Store) -> None:
    store.ledger.append(move(1, "6"))
    store.links.withdraw("loan", "7", WHY)
    before = store.generation.now()
    for kind in (Kind.PROMOTED, Kind.ROLLED_BACK):
        with pytest.raises(Conflict, match=f"loan:7 may not answer: {WHY}"):
            store.ledger.append(move(2, "7", kind=kind))
    assert store.ledger.history("loan") == [move(1, "6")]
    assert store.generation.now() == before
    noticed = move(2, "7", kind=Kind.NOTICED)
    store.ledger.append(noticed)
    store.ledger.append(move(3, "8"))
    assert store.ledger.history("loan")[1:] == [noticed, move(3, "8")]
    store.links.restore("loan", "7")
    store.ledger.append(move(4, "7"))


def test_what_is_withdrawn_is_not_approved_and_stays_proposed(store: Store) -> None:
    store.proposals.add(proposal())
    store.links.withdraw("loan", "8", WHY)
    with pytest.raises(Conflict, match=f"loan:8 may not answer: {WHY}"):
        store.proposals.approve("p1", "bob", move(1, "8"))
    assert store.proposals.find("p1").decision is Decision.OPEN
    assert store.ledger.history("loan") == []


def test_what_an_alias_is_at_is_not_withdrawn(store: Store) -> None:
    store.links.link("loan", "7", "sha256:a", None)
    for one in (move(1), move(1, alias="challenger"), move(1, model="iris"), move(1, alias="old")):
        store.ledger.append(one)
    store.ledger.append(move(2, "8", alias="old"))
    before = store.generation.now()
    with pytest.raises(Conflict, match=r"loan:7 is in use: by loan@challenger, loan@champion$"):
        store.links.withdraw("loan", "7", WHY)
    assert store.links.digest("loan", "7") == "sha256:a"
    assert store.generation.now() == before
    store.ledger.append(move(2, None))
    store.ledger.append(move(2, "8", alias="challenger"))
    store.links.withdraw("loan", "7", WHY)


def test_of_one_that_withdraws_and_one_that_promotes_at_once_exactly_one_succeeds(
    store: Store, url: str
) -> None:
    def each(act: Callable[[Store, str], object]) -> Callable[[Store], object]:
        def acts(own: Store) -> list[bool]:
            done = []
            for version in range(ROUNDS):
                try:
                    act(own, f"{version}")
                    done.append(True)
                except Conflict:
                    done.append(False)
            return done

        return acts

    def withdraw(own: Store, version: str) -> None:
        own.links.withdraw("loan", version, WHY)

    def promote(own: Store, version: str) -> None:
        own.ledger.append(move(1, version, alias=f"for-{version}"))

    for version in range(ROUNDS):
        store.links.link("loan", str(version), "sha256:a", None)
    withdrawn, promoted = at_once(url, [each(withdraw), each(promote)])
    assert isinstance(withdrawn, list)
    assert isinstance(promoted, list)
    assert [a != b for a, b in zip(withdrawn, promoted, strict=True)] == [True] * ROUNDS
    assert [one.to_version for one in store.ledger.history("loan")] == [
        str(version) for version in range(ROUNDS) if promoted[version]
    ]
    digests = [store.links.digest("loan", str(version)) for version in range(ROUNDS)]
    assert digests == ["sha256:a" if one else None for one in promoted]


def test_one_that_is_withdrawn_while_it_is_being_promoted_is_in_use(store: Store, url: str) -> None:
    database = database_of(url, durable=False)
    with ThreadPoolExecutor(1) as another:
        with changing(database) as (connection, entered):
            enter(connection, entered, move(1))
            withdrawing = another.submit(store.links.withdraw, "loan", "7", WHY)
            time.sleep(0.2)  # it waits for this transaction to end
            assert not withdrawing.done()
        with pytest.raises(Conflict, match="loan:7 is in use: by loan@champion"):
            withdrawing.result(30)
    database.close()
    assert store.links.reason("loan", "7") is None


def test_a_store_of_before_gets_to_know_what_is_withdrawn(empty: str) -> None:
    with open_store(empty) as store:
        store.links.link("loan", "7", "sha256:a", None)
    rows_of(
        empty,
        "ALTER TABLE modelway_bundle_links DROP COLUMN withdrawn",
        "UPDATE modelway_revision SET version_num = '0004'",
    )
    with open_store(empty) as store:
        assert store.links.digest("loan", "7") == "sha256:a"
        store.links.link("loan", "7", "sha256:b", None)
        store.ledger.append(move(1))
        store.links.withdraw("loan", "8", WHY)
        with pytest.raises(Conflict, match="may not answer"):
            store.ledger.append(move(2, "8"))
