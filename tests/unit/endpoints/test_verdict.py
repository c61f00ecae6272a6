"""The verdict: what condemns, what promotes, what does neither, and what it says."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from modelway.domain.errors import InvalidInput
from modelway.endpoints.comparison import ArmCounts, Paired
from modelway.endpoints.endpoint import Bounds
from modelway.endpoints.losses import Loss
from modelway.endpoints.verdict import Decision, Finding, Outcome, Verdict, judge
from modelway.endpoints.weighing import SHARES, Limits

BOUNDS = Bounds()


def arm(
    requests: int,
    errors: int = 0,
    *,
    median_s: float = 0.02,
    wrong: int | None = None,
    labels: int = 0,
    seed: int = 1,
) -> ArmCounts:
    """An arm with exactly these errors and wrong answers, and lognormal latencies."""
    made = ArmCounts()
    for z in np.random.default_rng(seed).standard_normal(requests - errors).tolist():
        made.answered(median_s * float(np.exp(0.5 * z)))
    for _ in range(errors):
        made.failed()
    for row in range(labels):
        made.labelled(Loss.WRONG, float(row < (wrong or 0)))
    return made


def of(verdict: Verdict, metric: str) -> Finding:
    return next(finding for finding in verdict.evidence if finding.metric == metric)


def test_before_anything_is_known_it_keeps() -> None:
    verdict = judge(ArmCounts(), ArmCounts(), None, BOUNDS, 0.05)
    assert verdict.decision is Decision.KEEP
    assert verdict.why == "not decided yet in errors, latency"
    assert [one.metric for one in verdict.evidence] == ["sample ratio", "errors", "latency"]
    assert of(verdict, "errors").p_value == 1.0
    assert of(verdict, "latency").estimate is None


def test_the_shares_of_alpha_are_the_whole() -> None:
    assert sum(SHARES.values()) == pytest.approx(1.0)


def test_a_canary_that_fails_more_than_it_may_is_rolled_back() -> None:
    verdict = judge(arm(200, 2), arm(200, 24, seed=2), None, BOUNDS, 0.5)
    assert verdict.decision is Decision.ROLL_BACK
    finding = of(verdict, "errors")
    assert finding.outcome is Outcome.BROKEN
    assert finding.estimate == pytest.approx(12.0)
    assert finding.lower is not None
    assert finding.lower > 1.0
    assert "24 of 200 requests, live 2 of 200" in verdict.why
    assert "5.00% it may" in verdict.why


def test_a_canary_that_fails_more_often_than_live_is_rolled_back_within_its_bounds() -> None:
    verdict = judge(arm(5_000, 50), arm(5_000, 110, seed=2), None, BOUNDS, 0.5)
    assert of(verdict, "errors").outcome is Outcome.WORSE
    assert verdict.decision is Decision.ROLL_BACK


def test_a_difference_that_matters_to_nobody_condemns_nobody() -> None:
    few = replace(arm(200), requests=200_000, errors=2)
    more = replace(arm(200, seed=2), requests=200_000, errors=60)
    assert of(judge(few, more, None, BOUNDS, 0.5), "errors").outcome is not Outcome.WORSE
    strict = Limits(error_difference=0.0)
    verdict = judge(few, more, None, BOUNDS, 0.5, limits=strict)
    assert of(verdict, "errors").outcome is Outcome.WORSE


def test_an_outage_of_both_condemns_neither() -> None:
    verdict = judge(arm(1_000, 300), arm(1_000, 310, seed=2), None, BOUNDS, 0.5)
    assert verdict.decision is Decision.KEEP
    assert of(verdict, "errors").outcome is Outcome.OPEN
    assert "not shown to be more than live" in verdict.evidence[1].meaning


def test_a_slow_canary_is_rolled_back() -> None:
    verdict = judge(arm(100), arm(100, median_s=0.2, seed=2), None, BOUNDS, 0.5)
    finding = of(verdict, "latency")
    assert verdict.decision is Decision.ROLL_BACK
    assert finding.outcome is Outcome.BROKEN
    assert finding.estimate == pytest.approx(10.0, rel=0.2)
    assert "more than the 3 times it may" in finding.meaning


def test_a_canary_slower_than_is_tolerated_is_rolled_back_within_its_bounds() -> None:
    verdict = judge(arm(2_000), arm(2_000, median_s=0.04, seed=2), None, BOUNDS, 0.5)
    assert of(verdict, "latency").outcome is Outcome.WORSE
    assert verdict.decision is Decision.ROLL_BACK


def test_bounds_are_not_judged_on_fewer_requests_than_they_say() -> None:
    live, canary = arm(100), arm(45, median_s=0.2, seed=2)
    latency = Limits(latency_tolerance=100.0)
    for requests, decision in ((45, Decision.ROLL_BACK), (46, Decision.KEEP)):
        bounds = Bounds(requests=requests)
        assert judge(live, canary, None, bounds, 0.3, limits=latency).decision is decision


def test_a_canary_that_is_wrong_more_often_is_rolled_back() -> None:
    live = arm(3_000, wrong=1_000, labels=10_000)
    canary = arm(3_000, wrong=1_250, labels=10_000, seed=2)
    verdict = judge(live, canary, None, BOUNDS, 0.5)
    finding = of(verdict, "loss")
    assert verdict.decision is Decision.ROLL_BACK
    assert finding.outcome is Outcome.WORSE
    assert finding.estimate == pytest.approx(0.025)
    assert finding.lower is not None
    assert 0.002 < finding.lower < 0.025
    assert finding.n == 10_000


def test_a_canary_no_worse_in_anything_is_promoted() -> None:
    live = arm(4_000, wrong=2_000, labels=20_000)
    canary = arm(4_000, wrong=1_950, labels=20_000, seed=2)
    verdict = judge(live, canary, None, BOUNDS, 0.5)
    assert verdict.decision is Decision.PROMOTE
    assert verdict.why == "no worse in errors, latency, loss"
    assert {one.outcome for one in verdict.evidence} == {Outcome.FINE}


def test_without_labels_errors_and_latency_promote() -> None:
    assert judge(arm(4_000), arm(4_000, seed=2), None, BOUNDS, 0.5).decision is Decision.PROMOTE


def test_labels_that_do_not_tell_yet_hold_a_promotion_up() -> None:
    live, canary = arm(4_000, labels=600, wrong=60), arm(4_000, labels=600, wrong=60, seed=2)
    verdict = judge(live, canary, None, BOUNDS, 0.5)
    assert verdict.decision is Decision.KEEP
    assert verdict.why == "not decided yet in loss"
    assert judge(live, arm(4_000, seed=2), None, BOUNDS, 0.5).decision is Decision.KEEP


def test_a_promotion_needs_enough_requests() -> None:
    verdict = judge(
        arm(4_000), arm(4_000, seed=2), None, BOUNDS, 0.5, limits=Limits(requests=5_000)
    )
    assert verdict.decision is Decision.KEEP
    assert verdict.why == "a promotion needs 5,000 requests of the canary; there are 4,000"


def test_requests_that_are_not_split_by_weight_hold_everything_up() -> None:
    live = arm(4_000, wrong=1_000, labels=10_000)
    for wrong in (1_000, 1_400):
        canary = arm(3_000, wrong=wrong, labels=10_000, seed=2)
        verdict = judge(live, canary, None, BOUNDS, 0.5)
        assert verdict.decision is Decision.KEEP
        assert of(verdict, "sample ratio").outcome is Outcome.MISMATCH
        assert "42.86%, which does not fit its weight of 50.00%" in verdict.why


def test_a_broken_bound_condemns_however_requests_are_split() -> None:
    failing = judge(arm(1_000, 10), arm(3_000, 330, seed=2), None, BOUNDS, 0.5)
    assert of(failing, "sample ratio").outcome is Outcome.MISMATCH
    assert failing.decision is Decision.ROLL_BACK
    alike = judge(arm(1_000, 100), arm(3_000, 300, seed=2), None, BOUNDS, 0.5)
    assert of(alike, "sample ratio").outcome is Outcome.MISMATCH
    assert alike.decision is Decision.KEEP


def test_disagreement_is_shown_and_condemns_nobody() -> None:
    pairs = Paired(rows=10_000, disagreements=9_000, largest=0.9)
    verdict = judge(arm(4_000), arm(4_000, seed=2), pairs, BOUNDS, 0.5)
    finding = of(verdict, "disagreement")
    assert verdict.decision is Decision.PROMOTE
    assert (finding.outcome, finding.estimate, finding.p_value) == (Outcome.SHOWN, 0.9, None)
    assert "9,000 of 10,000 rows" in finding.meaning


@pytest.mark.parametrize("median_s", [0.001, 0.02, 0.4])
def test_the_latency_of_a_shadow_is_shown_and_decides_nothing(median_s: float) -> None:
    live, shadow = arm(4_000), arm(4_000, median_s=median_s, seed=2)
    verdict = judge(live, shadow, Paired(), BOUNDS, 0.5)
    finding = of(verdict, "latency")
    assert (finding.outcome, finding.p_value) == (Outcome.SHOWN, None)
    assert finding.estimate == pytest.approx(median_s / 0.02, rel=0.1)
    assert (finding.lower, finding.upper) == (None, None)
    assert "not timed alike, so this condemns nobody" in finding.meaning
    assert (verdict.decision, verdict.why) == (Decision.PROMOTE, "no worse in errors")
    failing = judge(live, arm(4_000, 400, median_s=median_s, seed=2), Paired(), BOUNDS, 0.5)
    assert failing.decision is Decision.ROLL_BACK
    assert "latency" not in judge(ArmCounts(), ArmCounts(), Paired(), BOUNDS, 0.5).why


def test_pairs_tell_sooner_than_arms_of_their_own() -> None:
    live, shadow = arm(1_000, wrong=400, labels=4_000), arm(1_000, wrong=480, labels=4_000)
    alone = judge(live, shadow, None, BOUNDS, 0.5)
    assert of(alone, "loss").outcome is Outcome.OPEN
    pairs = Paired()
    for row in range(4_000):
        pairs.labelled(Loss.WRONG, float(row < 400), float(row < 480))
    together = judge(live, shadow, pairs, BOUNDS, 0.5)
    assert of(together, "loss").outcome is Outcome.WORSE
    assert together.decision is Decision.ROLL_BACK


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e6])
def test_the_unit_of_a_number_does_not_matter(unit: float) -> None:
    rng = np.random.default_rng(6)
    live, canary = ArmCounts(), ArmCounts()
    for made, error in ((live, 0.5), (canary, 0.6)):
        for label in rng.normal(0.0, unit, 3_000).tolist():
            lost = abs(float(rng.normal(0.0, error * unit)))
            made.labelled(Loss.ABSOLUTE, lost, label)
    finding = of(judge(live, canary, None, BOUNDS, 0.5), "loss")
    assert finding.outcome is Outcome.WORSE
    assert finding.estimate == pytest.approx(0.08, abs=0.03)


def test_a_verdict_is_json_without_infinities() -> None:
    verdict = judge(arm(50), arm(50, 3, seed=2, labels=3), Paired(rows=1), BOUNDS, 0.5)
    text = msgspec.json.encode(verdict)
    assert b'"decision":"keep"' in text
    assert of(verdict, "errors").upper is None
    assert msgspec.json.decode(text, type=Verdict) == verdict


def test_what_cannot_be_judged_is_refused_with_the_reason() -> None:
    few, other, third = arm(10), arm(10), Paired()
    for weight in (0.0, 1.0, float("nan")):
        with pytest.raises(InvalidInput, match="weight between 0 and 1"):
            judge(few, few, None, BOUNDS, weight)
    with pytest.raises(InvalidInput, match=r"alpha between 0 and 0\.5, got 0\.5"):
        judge(few, few, None, BOUNDS, 0.5, 0.5)
    with pytest.raises(InvalidInput, match="canary: 11 errors of 10 requests"):
        judge(few, replace(few, errors=11), None, BOUNDS, 0.5)
    other.labelled(Loss.BRIER, 0.5)
    third.labelled(Loss.WRONG, 0.0, 1.0)
    with pytest.raises(InvalidInput, match="losses 'brier' and 'wrong' cannot be compared"):
        judge(few, other, third, BOUNDS, 0.5)
