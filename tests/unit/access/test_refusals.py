"""Refused requests in the audit trail: the first at once, the others as a number."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime

from modelway.access.auditing import Audited
from modelway.access.keys import Act
from modelway.access.refusals import ACT, MOST_PLACES, OTHERS, Refusals
from modelway.domain.errors import Forbidden, Unauthenticated

WRONG = Unauthenticated("no key that is known here came with the request")


class Trail:
    """A trail in memory."""

    def __init__(self) -> None:
        self.entered: list[Act] = []

    def append(self, act: Act) -> None:
        self.entered.append(act)

    def acts(self, limit: int, before: datetime | None = None) -> Sequence[Act]:
        return self.entered[-limit:][::-1]


def test_the_first_of_an_address_is_entered_at_once_and_the_others_as_a_number() -> None:
    trail = Trail()

    async def work() -> None:
        refusals = Refusals(Audited(trail), counted_s=0.2)
        for _ in range(1000):
            await refusals.refused(("10.0.0.9", ""), "GET /keys", "abcdefghij", WRONG)
        assert len(trail.entered) == 1
        await asyncio.sleep(0.4)
        assert len(trail.entered) == 2
        await asyncio.sleep(0.3)
        await refusals.refused(("10.0.0.9", ""), "GET /audit", "", WRONG)

    asyncio.run(work())
    first, more, again = trail.entered
    assert (first.actor, first.act, first.subject) == ("", ACT, "GET /keys")
    assert first.outcome == "unauthenticated"
    said = {"address": "10.0.0.9", "claims": "abcdefghij", "error": WRONG.message}
    assert json.loads(first.detail) == said
    assert json.loads(more.detail) == {"address": "10.0.0.9", "more": 999, "within_s": 0.2}
    assert again.subject == "GET /audit"


def test_who_is_known_is_told_apart_and_many_addresses_are_one() -> None:
    trail = Trail()

    async def work() -> None:
        refusals = Refusals(Audited(trail), counted_s=0.3)
        await refusals.refused(("10.0.0.9", ""), "GET /keys", "", WRONG)
        await refusals.refused(("10.0.0.9", "ann:k1"), "GET /keys", "k1", Forbidden("not you"))
        for number in range(5000):
            await refusals.refused((f"10.1.{number}", ""), "GET /keys", "", WRONG)
        assert len(trail.entered) == MOST_PLACES + 1
        await asyncio.sleep(0.5)

    asyncio.run(work())
    assert (trail.entered[1].actor, trail.entered[1].outcome) == ("ann:k1", "forbidden")
    counted = [json.loads(one.detail) for one in trail.entered[MOST_PLACES:]]
    assert [one["address"] for one in counted] == [OTHERS, OTHERS]
    assert counted[1]["more"] == 5000 - (MOST_PLACES - 2) - 1
