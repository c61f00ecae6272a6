"""A service that runs, as those see it who direct it: one process, or the supervisor of many."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from modelway.access.keys import Key
from modelway.endpoints.planned import PlannedEndpoint
from modelway.rest.admin import Administered


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
