"""Refused requests of administration, as they are entered in the audit trail: bounded.

Whoever may do nothing can still ask as often as they like. So the first refusal of an address is
entered at once, and those that follow within ten minutes as one number; addresses beyond a few are
told as one. Whatever happens, the trail grows by some thousand entries a day at the most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from modelway.access.auditing import Audited, outcome_of
from modelway.domain.errors import NotPermitted

ACT = "administration.ask"
"""What the trail calls a request that was refused."""

COUNTED_S = 600.0
MOST_PLACES = 16
OTHERS = "others"
"""The address of those beyond the places that are told apart."""

_Place = tuple[str, str]
"""The address that asked, and the actor, empty where nobody is known."""


class Refusals:
    """Enters refusals in a trail; used by one event loop."""

    def __init__(self, audited: Audited, counted_s: float = COUNTED_S) -> None:
        self._audited = audited
        self._counted_s = counted_s
        self._more: dict[_Place, int] = {}
        self._telling: set[asyncio.Task[None]] = set()

    async def refused(
        self, place: tuple[str, str], subject: str, claims: str, error: NotPermitted
    ) -> None:
        """Enter a refusal, or count it.

        ``place`` is the address that asked and the actor, empty where nobody is known; ``subject``
        is what was asked, ``claims`` the id of the key that it claims to have, empty for none.
        """
        if place not in self._more and len(self._more) >= MOST_PLACES:
            place = (OTHERS, "")
        if place in self._more:
            self._more[place] += 1
            return
        self._more[place] = 0
        asyncio.get_running_loop().call_later(self._counted_s, self._told, place)
        detail = {"address": place[0], "error": error.message}
        if claims:
            detail["claims"] = claims
        # Who leaves meanwhile does not keep it from being entered.
        await asyncio.shield(self._entered(place, subject, outcome_of(error), detail))

    def _told(self, place: _Place) -> None:
        """Enter how many came after the first one; the next one is a first one again."""
        more = self._more.pop(place)
        if more:
            detail = {"address": place[0], "more": more, "within_s": self._counted_s}
            entered = self._entered(place, "", NotPermitted.code, detail)
            task = asyncio.create_task(entered)
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _entered(
        self, place: _Place, subject: str, outcome: str, detail: Mapping[str, object]
    ) -> None:
        act = (place[1], ACT, subject)
        await asyncio.to_thread(self._audited.enter, act, outcome, detail)
