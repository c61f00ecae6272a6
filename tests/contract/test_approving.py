"""An approval is one change: the proposal is decided and its move entered, or neither is.

Over SQLite, PostgreSQL and MariaDB, each a real one, also with processes that are killed meanwhile.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from modelway.backends.sql.store import Store, open_store
from modelway.domain.errors import (
    InvalidInput,
    PromotionConflict,
    ProposalDecided,
    ProposalNotFound,
)
from modelway.registry.promotions import Decision
from support.ending import killed
from support.moves import move, proposal
from support.stores import at_once, rows_of

APPROVER = """
import sys
from datetime import UTC, datetime
from modelway.backends.sql.store import open_store
from modelway.domain.errors import PromotionConflict, ProposalDecided
from modelway.registry.promotions import Kind, Promotion
url, actor, count = sys.argv[1:]
store = open_store(url)
print("ready", flush=True)
sys.stdin.readline()
for n in range(int(count)):
    while True:
        latest = max((one.number for one in store.ledger.current("loan")), default=0)
        move = Promotion(
            "loan", "champion", latest + 1, None, str(n), Kind.PROMOTED, actor, f"p{n}",
            datetime.now(UTC),
        )
        try:
            store.proposals.approve(f"p{n}", actor, move)
        except PromotionConflict:
            continue
        except ProposalDecided:
            pass
        break
"""


def test_approve_decides_it_and_enters_its_move(store: Store) -> None:
    store.proposals.add(proposal())
    store.ledger.append(move(1, "6"))
    approved = store.proposals.approve("p1", "bob", move(2, "8"))
    assert (approved.decision, approved.decided_by) == (Decision.APPROVED, "bob")
    assert store.proposals.find("p1") == approved
    assert store.ledger.history("loan") == [move(1, "6"), move(2, "8")]
    assert store.ledger.unconfirmed() == [move(2, "8")]


@pytest.mark.parametrize("number", [0, 1, 3])
def test_where_the_move_is_not_the_next_it_stays_open(store: Store, number: int) -> None:
    store.proposals.add(proposal())
    store.ledger.append(move(1, "6"))
    before = store.generation.now()
    with pytest.raises(PromotionConflict, match=f"the next is number 2, not {number}"):
        store.proposals.approve("p1", "bob", move(number, "8"))
    assert store.proposals.find("p1") == proposal()
    assert store.ledger.history("loan") == [move(1, "6")]
    assert store.generation.now() == before


@pytest.mark.parametrize("decision", [Decision.DECLINED, Decision.EXPIRED, Decision.APPROVED])
def test_where_it_was_decided_no_move_is_entered(store: Store, decision: Decision) -> None:
    store.proposals.add(proposal())
    if decision is Decision.APPROVED:
        store.proposals.approve("p1", "eve", move(1, "8"))
    else:
        store.proposals.decide("p1", decision, "eve")
    before, moves = store.generation.now(), store.ledger.history("loan")
    with pytest.raises(ProposalDecided, match=f"is {decision} already, by eve"):
        store.proposals.approve("p1", "bob", move(len(moves) + 1, "8"))
    assert store.ledger.history("loan") == moves
    assert store.generation.now() == before


def test_what_there_is_none_of_enters_nothing(store: Store) -> None:
    with pytest.raises(ProposalNotFound):
        store.proposals.approve("p1", "bob", move(1, "8"))
    store.proposals.add(proposal())
    with pytest.raises(InvalidInput, match="why: expected text"):
        store.proposals.approve("p1", "bob", move(1, "8", why="a\x00b"))
    assert store.ledger.history("loan") == []
    assert store.proposals.find("p1") == proposal()


def test_of_one_who_approves_and_one_who_declines_at_once_one_wins(store: Store, url: str) -> None:
    rounds = 30
    for n in range(rounds):
        store.proposals.add(proposal(f"p{n}"))

    def approve(own: Store) -> None:
        for n in range(rounds):
            number = len(own.ledger.history("loan")) + 1
            with contextlib.suppress(ProposalDecided):
                own.proposals.approve(f"p{n}", "bob", move(number, str(n), why=f"p{n}"))

    def decline(own: Store) -> None:
        for n in range(rounds):
            with contextlib.suppress(ProposalDecided):
                own.proposals.decide(f"p{n}", Decision.DECLINED, "eve")

    acts: list[Callable[[Store], object]] = [approve, decline]
    assert at_once(url, acts) == [None, None]
    check_each_is_whole(store, rounds)


def test_processes_that_are_killed_leave_each_approval_whole(store: Store, url: str) -> None:
    rounds, seed = 60, random.SystemRandom().randrange(10**6)
    generator = random.Random(seed)
    for n in range(rounds):
        store.proposals.add(proposal(f"p{n}"))
    n_killed = 0
    for round in range(6):
        command = [sys.executable, "-c", APPROVER, url, f"process-{round}", str(rounds)]
        approver = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with killed(approver) as running:
            assert running.stdin is not None
            assert running.stdout is not None
            assert running.stdout.readline() == "ready\n"
            running.stdin.write("go\n")
            running.stdin.flush()
            time.sleep(generator.uniform(0.0, 0.08))
            n_killed += running.poll() is None
    assert n_killed, f"seed {seed}"
    with open_store(url) as again:
        check_each_is_whole(again, rounds)
    command = [sys.executable, "-c", APPROVER, url, "last", str(rounds)]
    subprocess.run(command, input="go\n", text=True, check=True, capture_output=True, timeout=60)
    check_each_is_whole(store, rounds)
    assert len(store.ledger.history("loan")) == rounds


def test_a_store_of_before_gets_to_know_from_where(empty: str) -> None:
    with open_store(empty) as store:
        store.proposals.add(proposal())
    rows_of(
        empty,
        "ALTER TABLE modelway_proposals DROP COLUMN from_version",
        "UPDATE modelway_revision SET version_num = '0002'",
    )
    with open_store(empty) as store:
        assert store.proposals.find("p1").from_version is None
        store.proposals.add(proposal("p2"))
        assert store.proposals.find("p2").from_version == "6"


def check_each_is_whole(store: Store, count: int) -> None:
    """Fail unless each proposal is approved if and only if its one move is in the ledger."""
    moves = store.ledger.history("loan")
    assert [one.number for one in moves] == list(range(1, len(moves) + 1))
    approved = {
        one.id: one.decided_by for one in store.proposals.all() if one.decision is Decision.APPROVED
    }
    assert len(store.proposals.all()) == count
    assert sorted(one.why for one in moves) == sorted(approved)
