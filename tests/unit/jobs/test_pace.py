"""How many jobs a worker takes at a time."""

from __future__ import annotations

from modelway.jobs.pace import AT_ONCE_S, Pace


def test_of_an_endpoint_that_was_not_asked_yet_one_is_taken() -> None:
    assert Pace(64).jobs("iris") == 1


def test_as_many_are_taken_as_are_answered_at_once() -> None:
    pace = Pace(64)
    pace.took("slow", 1, AT_ONCE_S * 30)
    pace.took("middling", 4, AT_ONCE_S)
    pace.took("quick", 1, 0.001)
    pace.took("instant", 1, 0.0)
    found = [pace.jobs(name) for name in ("slow", "middling", "quick", "instant", "other")]
    assert found == [1, 4, 64, 64, 1]


def test_a_first_answer_that_had_to_wait_is_soon_forgotten() -> None:
    pace = Pace(64)
    pace.took("iris", 1, 3.0)  # the model was opened for it
    taken = []
    for _ in range(8):
        taken.append(pace.jobs("iris"))
        pace.took("iris", taken[-1], 0.001 * taken[-1])
    assert taken == [1, 1, 2, 5, 10, 21, 41, 64]
