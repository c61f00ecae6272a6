"""Endpoints whose jobs are left to others."""

from __future__ import annotations

from modelway.jobs.shunned import Shunned


def test_an_endpoint_is_left_for_longer_each_time_until_it_answers() -> None:
    shunned, at, waits = Shunned(), 100.0, []
    for _ in range(8):
        shunned.add("broken", at)
        shunned.add("broken", at)  # another job of the same lease
        until = next(at + s for s in range(1, 1000) if not shunned.holds("broken", at + s))
        waits.append(until - at)
        at = until
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]
    assert not shunned.holds("other", at)
    shunned.forget("broken")
    shunned.add("broken", at)
    assert shunned.holds("broken", at + 4.9)
    assert not shunned.holds("broken", at + 5)
