"""A service that runs, as those see it who direct it: one process, or the supervisor of many."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from modelway.access.keys import Key
from modelway.domain.errors import ModelwayError
from modelway.endpoints.planned import PlannedEndpoint
from modelway.rest.admin import Administered

_AGAIN_S = 10.0

_log = logging.getLogger(__name__)


class Running(Administered, Protocol):
    """What answers, and can be changed while it does.

    ``change`` has an endpoint be so in every process, or changes nothing and raises why.
    ``admit`` has these keys be the ones that are known, where any are asked for.
    ``used`` is when keys were used last, as far as this was not asked before.
    ``counted`` is what was counted of canaries and shadows, likewise: a JSON list of ``Tally`` of
    each process.
    """

    async def change(self, endpoint: PlannedEndpoint) -> str:
        """Have an endpoint be so; gives its live version."""
        ...

    async def admit(self, keys: Sequence[Key]) -> None:
        """Know these keys."""
        ...

    async def used(self) -> Mapping[str, datetime]:
        """When keys were used."""
        ...

    async def counted(self) -> Sequence[str]:
        """What was counted."""
        ...


Beside = Callable[[Running], Coroutine[Any, Any, None]]
"""What goes on beside a service, until it is cancelled."""


async def kept_going(beside: Beside, service: Running) -> None:
    """Have it go on until it ends by itself: what it raises is logged, and it is begun again.

    Nobody waits for its end, so else nobody would know.
    """
    trouble = ""
    while True:
        try:
            return await beside(service)
        except ModelwayError as error:
            if trouble != error.message:
                _log.error("%s", error.message)
            trouble = error.message
        except Exception as error:  # noqa: BLE001 - whatever it is, what it does is still wanted
            if trouble != repr(error):
                _log.exception("what goes on beside the service failed")
            trouble = repr(error)
        await asyncio.sleep(_AGAIN_S)
