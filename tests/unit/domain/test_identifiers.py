"""Identifiers of predictions."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from modelway.domain.identifiers import is_id, new_prediction_id


@pytest.mark.parametrize("text", ["a", "A-1_b.c", "x" * 128])
def test_what_an_id_may_be(text: str) -> None:
    assert is_id(text)
    assert is_id(new_prediction_id())


@pytest.mark.parametrize("text", ["", "a\0b", "a b", "a\n", "é", "x" * 129])
def test_what_is_no_id(text: str) -> None:
    assert not is_id(text)


def test_an_id_is_a_uuid_of_version_7_of_now() -> None:
    before = time.time_ns() // 1_000_000
    parsed = uuid.UUID(new_prediction_id())
    after = time.time_ns() // 1_000_000
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert before <= parsed.int >> 80 <= after


def test_ids_do_not_repeat_and_grow() -> None:
    # More than a block of them in a millisecond.
    made = [new_prediction_id() for _ in range(100_000)]
    assert len(set(made)) == len(made)
    assert made == sorted(made)


def test_threads_never_get_the_same_id() -> None:
    with ThreadPoolExecutor(8) as pool:
        parts = pool.map(lambda _: [new_prediction_id() for _ in range(20_000)], range(8))
        made = [one for part in parts for one in part]
    assert len(set(made)) == len(made)
