"""Endpoints of the store, followed: what they are there is what answers here.

A generation number grows with every change of endpoints, aliases and bundles. It is looked at every
half second; when it has grown, every endpoint is resolved anew, and those that are not as they
answer here are changed, one after the other, without a failed request. What cannot be (a version
has no bundle yet, a canary takes other columns) changes nothing here, is said in the log and by
``troubles``, and is tried again at the next change, and every few seconds until then. While the
store is away everything goes on as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from modelway.domain.errors import EndpointNotFound, ModelwayError
from modelway.endpoints.planned import PlannedEndpoint
from modelway.endpoints.ports import Generation

_AGAIN_S = 5.0

_log = logging.getLogger(__name__)

Look = Callable[[], Mapping[str, PlannedEndpoint | ModelwayError]]
"""Every endpoint of the store, resolved, or why it cannot be; blocks."""


class Changeable(Protocol):
    """What answers, and can be changed while it does."""

    async def change(self, endpoint: PlannedEndpoint) -> str:
        """Have an endpoint be so; gives its live version."""
        ...

    async def unload(self, name: str) -> None:
        """Have nothing answer under a name."""
        ...


class Following:
    """Follows the store; ``begun`` are the endpoints that workers begin with.

    Whether a worker could open one of those is not known, so all are looked at once in the
    beginning; what is as it should be is not touched by that. ``troubles`` says what of an endpoint
    cannot be as it is wanted.
    """

    def __init__(
        self,
        generation: Generation,
        look: Look,
        poll_s: float,
        begun: Iterable[str],
    ) -> None:
        self._generation = generation
        self._look = look
        self._poll_s = poll_s
        self._here: dict[str, PlannedEndpoint | None] = dict.fromkeys(begun)
        self._seen = -1
        self._looked_s = time.monotonic()
        self._woken = asyncio.Event()
        self.troubles: dict[str, str] = {}

    def wake(self) -> None:
        """Look now; something may have changed."""
        self._woken.set()

    async def follow(self, service: Changeable) -> None:
        """Have what changes answer, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._poll_s)
            self._woken.clear()
            try:
                await self._once(service)
            except ModelwayError as error:
                _log.warning("the store cannot be followed now: %s", error.message)
            except Exception:  # noqa: BLE001 - whatever it is, the next change is followed
                _log.exception("endpoints could not be followed")

    async def _once(self, service: Changeable) -> None:
        now = await asyncio.to_thread(self._generation.now)
        again = self.troubles and time.monotonic() - self._looked_s > _AGAIN_S
        if now == self._seen and not again:
            return
        self._looked_s = time.monotonic()
        wanted = await asyncio.to_thread(self._look)
        for name in [one for one in self._here if one not in wanted]:
            await self._removed(name, service)
        for name, endpoint in wanted.items():
            await self._followed(name, endpoint, service)
        self._seen = now

    async def _removed(self, name: str, service: Changeable) -> None:
        with contextlib.suppress(EndpointNotFound):
            await service.unload(name)
        self._here.pop(name, None)
        self.troubles.pop(name, None)
        _log.info("endpoint removed", extra={"endpoint": name})

    async def _followed(
        self, name: str, endpoint: PlannedEndpoint | ModelwayError, service: Changeable
    ) -> None:
        if isinstance(endpoint, ModelwayError):
            self._trouble(name, endpoint)
        elif self._here.get(name) != endpoint:
            try:
                version = await service.change(endpoint)
            except ModelwayError as error:
                self._trouble(name, error)
                return
            self._here[name] = endpoint
            self.troubles.pop(name, None)
            _log.info("endpoint follows", extra={"endpoint": name, "version": version})
        else:
            self.troubles.pop(name, None)

    def _trouble(self, name: str, error: ModelwayError) -> None:
        if self.troubles.get(name) != error.message:
            _log.error(
                "what is wanted of an endpoint cannot be; it goes on as it is: %s",
                error.message,
                extra={"endpoint": name, "code": error.code},
            )
        self.troubles[name] = error.message
