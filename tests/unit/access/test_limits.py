from __future__ import annotations

import pytest

from modelway.access.limits import Bucket


def test_a_second_may_come_at_once_and_no_more() -> None:
    bucket = Bucket(5.0, 100.0)
    assert [bucket.take(100.0) for _ in range(5)] == [0.0] * 5
    assert bucket.take(100.0) == pytest.approx(0.2)
    assert bucket.take(100.1) == pytest.approx(0.1), "asking again takes nothing"
    assert bucket.take(100.2) == 0.0
    assert bucket.take(100.2) > 0.0


def test_what_was_not_used_is_not_saved_up() -> None:
    bucket = Bucket(5.0, 0.0)
    assert sum(not bucket.take(3600.0) for _ in range(50)) == 5


def test_less_than_one_a_second_lets_one_through() -> None:
    bucket = Bucket(0.1, 0.0)
    assert bucket.take(0.0) == 0.0
    assert bucket.take(0.0) == pytest.approx(10.0)
    assert bucket.take(9.0) == pytest.approx(1.0)
    assert bucket.take(10.001) == 0.0


def test_over_time_it_is_the_rate() -> None:
    bucket = Bucket(20.0, 0.0)
    taken = sum(not bucket.take(k / 1000) for k in range(10_000))
    assert 20 * 10 <= taken <= 20 * 11
