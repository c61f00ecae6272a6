"""The contract of ``TrialStore``, over SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from modelway.backends.sql.store import Store
from modelway.domain.errors import InvalidInput
from modelway.endpoints.comparison import ArmCounts, Paired
from modelway.endpoints.endpoint import Bounds, Role
from modelway.endpoints.losses import Loss
from modelway.endpoints.trials import Arm, ArmSummary, Judged, Tally
from modelway.endpoints.verdict import judge
from support.moves import NOON, SECOND, label
from support.stores import at_once


def counted(n: int, errors: int = 0, version: str = "8") -> Tally:
    counts = ArmCounts()
    for _ in range(n):
        counts.answered(0.01)
    for _ in range(errors):
        counts.failed()
    return Tally("loan", "routing", Arm.CANARY, version, counts)


def lost(loss: Loss, n: int) -> Tally:
    counts, paired = ArmCounts(), Paired()
    for k in range(n):
        counts.labelled(loss, 0.5 + k)
        paired.compared(agree=bool(k % 2), apart=0.25 * k)
        paired.labelled(loss, 0.5, 0.5 + k)
    return Tally("loan", "routing", Arm.SHADOW, "9", counts, paired)


def judged(reference: str = "loan:8", trial: str = "t1", n: int = 100) -> Judged:
    live, canary = counted(n).counts, counted(n, 3).counts
    verdict = judge(live, canary, None, Bounds(), 0.5)
    return Judged(
        *("loan", reference, Role.CANARY, "8", "7", trial, NOON, NOON, verdict),
        *(ArmSummary.of(canary), ArmSummary.of(live)),
    )


def test_what_a_source_rewrites_is_counted_once(store: Store) -> None:
    for n in (1, 2, 5):
        store.trials.put("t1", "a", [counted(n)], NOON)
    assert store.trials.arms("t1") == {(Arm.CANARY, "8"): counted(5)}


def test_arms_are_the_sums_over_all_sources(store: Store) -> None:
    store.trials.put("t1", "a", [counted(3), counted(2, version="9")], NOON)
    store.trials.put("t1", "b", [counted(4, errors=1)], NOON)
    store.trials.put("t2", "a", [counted(50)], NOON)
    arms = store.trials.arms("t1")
    assert {key: one.counts.requests for key, one in arms.items()} == {
        (Arm.CANARY, "8"): 8,
        (Arm.CANARY, "9"): 2,
    }
    assert arms[Arm.CANARY, "8"].counts.errors == 1
    assert store.trials.arms("t3") == {}


def test_losses_and_pairs_add_up_too(store: Store) -> None:
    store.trials.put("t1", "labels", [lost(Loss.BRIER, 2)], NOON)
    shadow = Tally("loan", "routing", Arm.SHADOW, "9", counted(7).counts)
    store.trials.put("t1", "host", [shadow], NOON)
    found = store.trials.arms("t1")[Arm.SHADOW, "9"]
    assert (found.counts.requests, found.counts.labels, found.counts.loss) == (7, 2, Loss.BRIER)
    assert found.paired is not None
    assert (found.paired.rows, found.paired.disagreements, found.paired.largest) == (2, 1, 0.25)
    store.trials.put("t1", "other", [lost(Loss.WRONG, 1)], NOON)
    with pytest.raises(InvalidInput, match="'brier' and 'wrong' do not add up"):
        store.trials.arms("t1")


def test_prune_forgets_other_trials_that_nobody_writes_any_more(store: Store) -> None:
    store.trials.put("t1", "a", [counted(1)], NOON)
    store.trials.put("t2", "a", [counted(1)], NOON)
    store.trials.put("t3", "a", [counted(1)], NOON + SECOND)
    assert store.trials.prune(["t1"], NOON + SECOND) == 1
    assert [bool(store.trials.arms(key)) for key in ("t1", "t2", "t3")] == [True, False, True]
    assert store.trials.prune(["t1"], NOON + SECOND) == 0
    assert store.trials.prune([], NOON + 2 * SECOND) == 2


def test_the_latest_verdict_is_kept_by_reference(store: Store) -> None:
    store.trials.keep(judged(n=10))
    store.trials.keep(judged("loan:9"))
    store.trials.keep(replace(judged("loan:8"), endpoint="other"))
    store.trials.keep(judged(n=200))
    assert store.trials.judged("loan") == [judged(n=200), judged("loan:9")]
    assert store.trials.judged("nobody") == []


def test_a_verdict_that_was_acted_on_stays_within_its_trial(store: Store) -> None:
    acted = replace(judged(n=10), acted="rolled back")
    store.trials.keep(acted)
    store.trials.keep(judged(n=200))
    assert store.trials.judged("loan") == [acted]
    store.trials.keep(judged(trial="t2"))
    assert store.trials.judged("loan") == [judged(trial="t2")]


def test_a_proposal_stays_noted_while_it_is_judged_on(store: Store) -> None:
    store.trials.keep(judged(n=10))
    assert store.trials.claim(judged(), "proposed")
    store.trials.keep(judged(n=200))
    assert store.trials.judged("loan") == [replace(judged(n=200), acted="proposed")]
    ended = replace(judged(n=300), acted="rolled back")
    store.trials.keep(ended)
    store.trials.keep(judged(n=400))
    assert store.trials.judged("loan") == [ended]


def test_a_claim_is_given_to_one_and_can_be_taken_back(store: Store) -> None:
    assert not store.trials.claim(judged(), "proposed")
    store.trials.keep(judged())
    assert store.trials.claim(judged(), "proposed")
    assert not store.trials.claim(judged(), "proposed")
    assert store.trials.judged("loan") == [replace(judged(), acted="proposed")]
    assert store.trials.claim(judged(), "")
    assert store.trials.claim(judged(), "proposed")
    assert not store.trials.claim(judged(trial="t2"), "proposed")


def test_of_many_at_once_none_is_lost_and_one_acts(url: str, store: Store) -> None:
    put = at_once(
        url,
        [
            partial(lambda n, host: host.trials.put("t1", f"s{n}", [counted(2)], NOON), n)
            for n in range(6)
        ],
    )
    assert put == [None] * 6
    assert store.trials.arms("t1")[Arm.CANARY, "8"].counts.requests == 12
    assert at_once(url, [lambda host: host.trials.keep(judged())] * 6) == [None] * 6
    assert store.trials.judged("loan") == [judged()]
    claims = at_once(url, [lambda host: host.trials.claim(judged(), "proposed")] * 6)
    assert sorted(map(str, claims)) == ["False"] * 5 + ["True"]


def test_labels_grow(store: Store) -> None:
    before = store.trials.labels()
    store.labels.add([label(1), label(2, id="b")])
    assert store.trials.labels() > before


def test_a_name_that_no_store_holds_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput, match="source: expected at most 255 characters"):
        store.trials.put("t1", "a" * 300, [], NOON)
