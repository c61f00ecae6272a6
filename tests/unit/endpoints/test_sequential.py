"""Bets, bounds and sums: against closed forms, integrals and exact enumeration."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import integrate, stats

from modelway.endpoints.sequential import (
    GUARD,
    RATIOS,
    SETTLED,
    Estimate,
    Floats,
    Moments,
    difference_of,
    log_evidence_above,
    log_evidence_below,
    log_share_above,
    log_share_apart,
    log_share_below,
    lower_bound,
    mean_of,
    p_value,
    rate_ratio,
    share_at,
    tuned,
    upper_bound,
)

Bet = Callable[[NDArray[np.int64], int, float], Floats]

VALUES = st.lists(st.floats(-1e3, 1e3), max_size=30)


def moments(values: list[float]) -> Moments:
    made = Moments()
    for value in values:
        made.add(value)
    return made


def estimate(value: float, error: float, size: float) -> Estimate:
    return Estimate(np.asarray(value), np.asarray(error), np.asarray(size))


@given(VALUES, VALUES)
def test_halves_added_are_the_whole(first: list[float], second: list[float]) -> None:
    whole, added = moments(first + second), moments(first) + moments(second)
    assert added.n == whole.n == len(first + second)
    if whole.n:
        assert added.mean == pytest.approx(np.mean(first + second), abs=1e-9)
        assert added.m2 == pytest.approx(whole.n * np.var(first + second), abs=1e-5)
        assert whole.m2 == pytest.approx(added.m2, abs=1e-5)
    assert moments(first) + Moments() == moments(first)


def test_a_difference_takes_both_arms_to_vary_as_the_one_that_varies_more() -> None:
    live, canary = Moments(400, 1.0, 400 * 4.0 - GUARD), Moments(100, 3.0, 100 * 9.0 - GUARD)
    for one, other, value in ((live, canary, 2.0), (canary, live, -2.0)):
        found = difference_of(one, other)
        assert float(found.value) == value
        assert float(found.error) == pytest.approx(math.sqrt(9 / 400 + 9 / 100))
        assert float(found.size) == pytest.approx(400 * 100 / 500)


def test_of_a_few_values_nothing_is_known() -> None:
    few = moments([5.0] * (SETTLED - 1))
    for found in (mean_of(few), difference_of(few, moments([0.0] * 1000))):
        assert float(log_evidence_above(found, 0.0, 0.1)) == -math.inf
        assert float(lower_bound(found, 0.05, 0.1)) == -math.inf
        assert float(upper_bound(found, 0.05, 0.1)) == math.inf


def test_what_never_varied_is_not_taken_for_what_cannot() -> None:
    """Of 500 answers none was wrong: an exact bound for one look says at most six in a thousand."""
    upper = float(upper_bound(mean_of(moments([0.0] * 500)), 0.05, tuned(0.05, 500)))
    exact = stats.beta.ppf(0.95, 1, 500)
    assert exact < upper < 0.01


@pytest.mark.parametrize("z", [0.5, 2.0, 3.5, 6.0])
def test_the_mixture_is_the_integral_over_its_prior(z: float) -> None:
    size, error, rho = 800.0, 0.25, 0.07
    found = estimate(z * error, error, size)
    spread = rho * error * math.sqrt(size)

    def stake(difference: float) -> float:
        score = difference * z / error - difference**2 / (2 * error**2)
        return float(stats.norm.pdf(difference, scale=spread) * math.exp(score))

    above = 2 * integrate.quad(stake, 0, 10 * spread, limit=500)[0]
    one_sided = float(log_evidence_above(found, 0.0, rho))
    assert math.log(above) - 0.35 < one_sided <= math.log(above) + 1e-9


@given(st.floats(-5, 5), st.floats(0.01, 5), st.floats(30, 1e6), st.floats(0.001, 0.4))
def test_a_bound_is_what_the_bet_rejects(
    value: float, error: float, size: float, alpha: float
) -> None:
    found, rho = estimate(value, error, size), tuned(alpha, 1_000)
    lower, upper = lower_bound(found, alpha, rho), upper_bound(found, alpha, rho)
    wanted = pytest.approx(-math.log(alpha), rel=1e-6)
    assert float(log_evidence_above(found, lower, rho)) == wanted
    assert float(log_evidence_below(found, upper, rho)) == wanted
    assert float(lower) < value < float(upper)


def test_the_bound_is_tightest_where_it_is_tuned_to_be() -> None:
    def width(tuned_for: float) -> float:
        at = estimate(0.0, 1.0, 5_000.0)
        return -float(lower_bound(at, 0.025, tuned(0.025, tuned_for)))

    assert width(5_000) < min(width(3_000), width(8_000))
    assert width(5_000) * 1.3 > max(width(500), width(50_000))


@pytest.mark.parametrize("weight", [0.1, 0.5, 0.9])
def test_skewed_arms_looked_at_always_raise_no_more_false_alarms_than_promised(
    weight: float,
) -> None:
    """2,000 paths of 2,000 exponential values, looked at after each; a z-test so used fails."""
    rng = np.random.default_rng(20)
    values = rng.exponential(1.0, (2_000, 2_000)) - 1.0
    to_canary = rng.random(values.shape) < weight
    live, canary = (paths(values, where) for where in (~to_canary, to_canary))
    found = difference_of(live, canary)
    for bet in (log_evidence_above, log_evidence_below):
        alarms = (bet(found, 0.0, tuned(0.05, 500)) >= math.log(20)).any(axis=1)
        assert alarms.mean() <= 0.05
    peeked = (np.abs(found.value) > 1.96 * found.error)[:, 100:].any(axis=1)
    assert peeked.mean() > 0.2


def paths(values: Floats, where: NDArray[np.bool_]) -> Paths:
    n = np.cumsum(where, axis=1, dtype=np.int64)
    total = np.cumsum(values * where, axis=1)
    mean = total / np.maximum(n, 1)
    return Paths(n, mean, np.maximum(np.cumsum(values**2 * where, axis=1) - total * mean, 0.0))


class Paths:
    """Moments of many paths, at every step."""

    def __init__(self, n: NDArray[np.int64], mean: Floats, m2: Floats) -> None:
        self.n, self.mean, self.m2 = n, mean, m2


@pytest.mark.parametrize(
    ("k", "n", "share"), [(0, 0, 0.5), (3, 4, 0.05), (0, 40, 0.5), (9, 90, 0.3)]
)
def test_a_share_is_bet_on_by_likelihood_ratios(k: int, n: int, share: float) -> None:
    def mean_ratio(ratios: Floats) -> float:
        odds = ratios * share / (1 - share)
        likelihood = stats.binom.pmf(k, n, odds / (1 + odds)) / stats.binom.pmf(k, n, share)
        return math.log(np.mean(likelihood))

    both = np.concatenate((RATIOS, 1 / RATIOS))
    assert float(log_share_above(k, n, share)) == pytest.approx(mean_ratio(RATIOS), abs=1e-9)
    assert float(log_share_below(k, n, share)) == pytest.approx(mean_ratio(1 / RATIOS), abs=1e-9)
    assert float(log_share_apart(k, n, share)) == pytest.approx(mean_ratio(both), abs=1e-9)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5, 0.9])
@pytest.mark.parametrize("bet", [log_share_above, log_share_below, log_share_apart])
def test_a_share_looked_at_after_every_event_is_exact(share: float, bet: Bet) -> None:
    """The chance of ever reaching 1 / alpha within 400 events, counted out, not drawn."""
    alive = np.array([1.0])
    alarmed = 0.0
    for n in range(1, 401):
        alive = np.append(alive * (1 - share), 0.0) + np.append(0.0, alive * share)
        reached = bet(np.arange(n + 1), n, share) >= math.log(20)
        alarmed += float(alive[reached].sum())
        alive[reached] = 0.0
    assert alarmed <= 0.05
    assert alarmed + alive.sum() == pytest.approx(1.0)


def test_the_bet_on_a_share_holds_for_every_smaller_share() -> None:
    shares = np.linspace(0.01, 0.99, 50)
    assert (np.diff(log_share_above(7, 20, shares)) < 0).all()
    assert (np.diff(log_share_below(7, 20, shares)) > 0).all()


def test_errors_are_told_from_a_handful_on() -> None:
    """Eleven errors of an arm that has half of the requests, and none of the other."""
    assert float(p_value(log_share_above(11, 11, 0.5))) < 0.01
    assert float(p_value(log_share_above(6, 12, 0.5))) == 1.0


def test_the_ratio_of_two_rates_is_bounded_on_both_sides() -> None:
    lower, upper = rate_ratio(300, 400, 0.5, 0.05, 0.05)
    assert 2.0 < lower < 3.0 < upper < 4.5
    evidence = log_share_above(300, 400, share_at(0.5, lower))
    assert float(evidence) == pytest.approx(math.log(20), abs=1e-6)
    assert rate_ratio(0, 0, 0.5, 0.05, 0.05) == (0.0, math.inf)
    assert rate_ratio(0, 50, 0.5, 0.05, 0.05)[0] == 0.0
    assert rate_ratio(50, 50, 0.5, 0.05, 0.05)[1] == math.inf


def test_a_share_follows_from_weight_and_ratio() -> None:
    assert float(share_at(0.05, 1.0)) == pytest.approx(0.05)
    assert float(share_at(0.5, 3.0)) == pytest.approx(0.75)


def test_arrays_give_what_numbers_give() -> None:
    values, sizes = np.array([0.1, -0.2, 3.0]), np.array([40.0, 500.0, 9.0])
    together = log_evidence_above(Estimate(values, np.full(3, 0.05), sizes), 0.01, 0.1)
    alone = [
        float(log_evidence_above(estimate(value, 0.05, size), 0.01, 0.1))
        for value, size in zip(values.tolist(), sizes.tolist(), strict=True)
    ]
    assert together.tolist() == alone
