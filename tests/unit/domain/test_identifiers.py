"""Identifiers of predictions."""

from __future__ import annotations

import time
import uuid

from modelway.domain.identifiers import new_prediction_id


def test_an_id_is_a_uuid_of_version_7_of_now() -> None:
    before = time.time_ns() // 1_000_000
    parsed = uuid.UUID(new_prediction_id())
    after = time.time_ns() // 1_000_000
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert before <= parsed.int >> 80 <= after


def test_ids_do_not_repeat() -> None:
    assert len({new_prediction_id() for _ in range(10_000)}) == 10_000
