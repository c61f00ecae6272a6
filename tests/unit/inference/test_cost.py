"""What a model costs is learned from few calls, and one slow call by accident changes little."""

from __future__ import annotations

import random

import pytest

from modelway.inference.cost import Cost


def learned(fixed_s: float, unit_s: float, sizes: list[int], *, noise: float = 0.0) -> Cost:
    cost, rng = Cost(), random.Random(7)
    for units in sizes:
        cost.learn(units, (fixed_s + unit_s * units) * (1 + noise * rng.uniform(-1, 1)))
    return cost


def test_before_the_first_call_nothing_is_allowed() -> None:
    cost = Cost()
    assert not cost.is_known
    assert cost.most_units(1.0) == 0


def test_one_call_is_taken_for_all_slope_so_that_larger_ones_are_not_underestimated() -> None:
    cost = learned(0.0, 12e-6, [1])
    assert cost.seconds(100) == pytest.approx(1.2e-3)
    assert cost.most_units(1e-3) == 83


def test_two_sizes_give_both_figures() -> None:
    cost = learned(11e-6, 0.4e-6, [1, 64])
    assert cost.fixed_s == pytest.approx(11e-6)
    assert cost.unit_s == pytest.approx(0.4e-6)
    assert cost.most_units(1e-3) == 2472


def test_small_and_large_calls_are_both_predicted_under_noise() -> None:
    cost = learned(12e-6, 1e-6, [1, 10_000, 7, 1, 500, 1, 64] * 30, noise=0.2)
    assert cost.seconds(1) == pytest.approx(13e-6, rel=0.25)
    assert cost.seconds(10_000) == pytest.approx(10_012e-6, rel=0.25)


def test_calls_of_one_size_keep_the_slope_that_others_gave() -> None:
    cost = learned(1e-3, 10e-6, [1, 64, *[16] * 500])
    assert cost.unit_s == pytest.approx(10e-6, rel=0.05)
    assert cost.fixed_s == pytest.approx(1e-3, rel=0.05)


def test_one_slow_call_by_accident_moves_little() -> None:
    cost = learned(12e-6, 1e-6, [1, 64] * 20)
    cost.learn(1, 0.5)
    assert cost.seconds(1) < 20e-6


def test_a_model_that_has_become_slower_or_faster_is_believed_at_the_third_call() -> None:
    cost = learned(12e-6, 1e-6, [1, 64] * 20)
    for _ in range(2):
        cost.learn(1, 5e-3)
    assert cost.surprises == 2
    assert cost.seconds(1) < 100e-6
    cost.learn(1, 5e-3)
    assert cost.surprises == 0
    assert cost.seconds(1) == pytest.approx(5e-3)
    for _ in range(3):
        cost.learn(1, 13e-6)
    assert cost.seconds(1) == pytest.approx(13e-6)


def test_neither_figure_is_ever_negative() -> None:
    cost = Cost()
    for units, seconds in [(1, 1e-3), (1000, 1e-6), (1, 1e-6), (1000, 1.0), (10, 0.0)] * 5:
        cost.learn(units, seconds)
        assert cost.fixed_s >= 0.0
        assert cost.unit_s >= 0.0


def test_where_units_cost_nothing_there_may_be_any_number() -> None:
    cost = Cost()
    cost.learn(1, 1e-4)
    cost.learn(1000, 1e-4)
    assert cost.most_units(1e-3) > 10**9
    assert cost.most_units(1e-5) == 0
