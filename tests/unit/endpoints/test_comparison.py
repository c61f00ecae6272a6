"""Sums of arms: they add up in any order, quantiles keep their error, all of it is plain data."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.domain.errors import InvalidInput
from modelway.endpoints.comparison import RELATIVE_ERROR, ArmCounts, Paired, bin_of, quantile_of
from modelway.endpoints.losses import Loss

SECONDS = st.lists(st.floats(1e-6, 999.0), min_size=1, max_size=40)


def answered(seconds: list[float]) -> ArmCounts:
    arm = ArmCounts()
    for one in seconds:
        arm.answered(one)
    return arm


@given(SECONDS, st.sampled_from([0.0, 0.25, 0.5, 0.99, 1.0]))
def test_a_quantile_is_off_by_two_percent_at_most(seconds: list[float], share: float) -> None:
    exact = float(np.quantile(seconds, share, method="inverted_cdf"))
    assert answered(seconds).quantile_s(share) == pytest.approx(exact, rel=RELATIVE_ERROR + 1e-9)


def test_a_quantile_of_nothing_is_unknown() -> None:
    assert math.isnan(ArmCounts().quantile_s(0.5))


def test_what_is_out_of_range_is_counted_at_its_end() -> None:
    arm = answered([0.0, 1e-9, 1e5])
    assert arm.latency.n == 3
    assert sum(arm.bins.values()) == 3
    assert arm.quantile_s(0.5) == pytest.approx(1e-6, rel=0.05)
    assert arm.quantile_s(1.0) == pytest.approx(1e3, rel=0.05)


def test_quantiles_of_many_looks_are_those_of_each() -> None:
    seconds = np.random.default_rng(4).lognormal(-4.0, 1.0, (6, 50))
    places = bin_of(np.log(seconds))
    first = int(places.min())
    counts = np.stack([np.bincount(row - first, minlength=400) for row in places])
    found = quantile_of(counts, 0.5, first)
    assert found.tolist() == [answered(row.tolist()).quantile_s(0.5) for row in seconds]


@given(SECONDS, SECONDS)
def test_arms_added_are_the_whole(first: list[float], second: list[float]) -> None:
    one, other = answered(first), answered(second)
    one.failed()
    other.labelled(Loss.WRONG, 1.0)
    added = one + other
    assert added.requests == len(first) + len(second) + 1
    assert added.errors == 1
    assert added.labels == 1
    assert added.loss is Loss.WRONG
    assert added.bins == answered(first + second).bins
    assert added.latency.mean == pytest.approx(answered(first + second).latency.mean)
    assert (other + one).bins == added.bins
    assert one + ArmCounts() == one


def test_pairs_added_are_the_whole() -> None:
    one, other = Paired(), Paired()
    one.compared(agree=True, apart=0.1)
    one.labelled(Loss.BRIER, live=0.2, shadow=0.5)
    other.compared(agree=False, apart=0.7)
    other.compared(agree=True)
    other.labelled(Loss.BRIER, live=0.4, shadow=0.3)
    added = one + other
    assert (added.rows, added.disagreements, added.largest) == (3, 1, 0.7)
    assert added.differences.n == 2
    assert added.differences.mean == pytest.approx(0.1)


def test_losses_of_numbers_are_scaled_by_the_labels() -> None:
    labels = [1.0, 5.0, 3.0, 7.0]
    arm = ArmCounts()
    for label in labels:
        arm.labelled(Loss.ABSOLUTE, 0.5, label)
    assert arm.loss_scale == pytest.approx(np.std(labels))
    same = ArmCounts()
    same.labelled(Loss.ABSOLUTE, 0.5, 2.0)
    assert same.loss_scale == 1.0


def test_all_of_it_is_plain_data() -> None:
    arm, pairs = answered([0.01, 0.02]), Paired()
    arm.failed()
    arm.labelled(Loss.ABSOLUTE, 0.25, 3.0)
    pairs.compared(agree=False, apart=0.5)
    pairs.labelled(Loss.ABSOLUTE, 0.25, 0.5)
    assert msgspec.json.decode(msgspec.json.encode(arm), type=ArmCounts) == arm
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(pairs), type=Paired) == pairs


def test_what_does_not_add_up_is_refused() -> None:
    wrong, brier, pairs = ArmCounts(), ArmCounts(), Paired()
    wrong.labelled(Loss.WRONG, 1.0)
    brier.labelled(Loss.BRIER, 0.3)
    pairs.labelled(Loss.WRONG, 0.0, 1.0)
    for add in (
        lambda: wrong + brier,
        lambda: wrong.labelled(Loss.BRIER, 0.1),
        lambda: pairs.labelled(Loss.BRIER, 0.1, 0.1),
    ):
        with pytest.raises(InvalidInput, match="do not add up"):
            add()
    with pytest.raises(InvalidInput, match="finite number, got nan"):
        wrong.labelled(Loss.WRONG, math.nan)
    with pytest.raises(InvalidInput, match=r"finite numbers, got 0\.0, inf"):
        pairs.labelled(Loss.WRONG, 0.0, math.inf)
    with pytest.raises(InvalidInput, match="give the label"):
        ArmCounts().labelled(Loss.ABSOLUTE, 1.0)
    with pytest.raises(InvalidInput, match="distance of at least 0"):
        pairs.compared(agree=True, apart=-1.0)
    assert (wrong.labels, wrong.loss, pairs.rows) == (1, Loss.WRONG, 0)
