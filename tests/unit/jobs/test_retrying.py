"""When a job is tried again: never for what is wrong with it, and later each time."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from modelway.domain.errors import (
    InvalidInput,
    LoadFailed,
    ModelCrashed,
    ModelwayError,
    OutputInvalid,
    PredictFailed,
    QueueFull,
    StoreUnavailable,
)
from modelway.jobs.retrying import Retrying

NOW = datetime(2026, 5, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (PredictFailed("no"), True),
        (ModelCrashed("no"), True),
        (QueueFull("no"), True),
        (StoreUnavailable("no"), True),
        (LoadFailed("no"), True),
        (InvalidInput("no"), False),
        (OutputInvalid("no"), False),
    ],
)
def test_what_may_pass_is_tried_again(error: ModelwayError, again: bool) -> None:
    assert (Retrying().at(1, error, NOW) is not None) is again


def test_after_the_last_attempt_there_is_none() -> None:
    retrying = Retrying(attempts=3)
    tried = [retrying.at(attempt, PredictFailed("no"), NOW) for attempt in (1, 2, 3, 4)]
    assert [one is not None for one in tried] == [True, True, False, False]


def test_waits_are_drawn_from_a_range_that_doubles_up_to_the_longest() -> None:
    retrying = Retrying(attempts=10, first_s=2.0, longest_s=9.0, drawn=random.Random(5))
    for attempt, longest_s in ((1, 2.0), (2, 4.0), (3, 8.0), (4, 9.0), (9, 9.0)):
        at = [retrying.at(attempt, PredictFailed("no"), NOW) for _ in range(400)]
        waits = [one - NOW for one in at if one is not None]
        assert len(waits) == 400
        assert timedelta(0) <= min(waits) < timedelta(seconds=longest_s / 20)
        assert timedelta(seconds=longest_s * 19 / 20) < max(waits) <= timedelta(seconds=longest_s)
