"""Endpoints of the store, followed: what they are there is what answers here.

A generation number grows with every change of endpoints, aliases and bundles. It is looked at every
half second; when it has grown, every endpoint is resolved anew, and those that are not as they
answer here are changed, several at the same time, without a failed request. One that takes long
holds up no other, and is changed again once it is done, where it is wanted otherwise by then. What
cannot be (a version has no bundle yet, a canary takes other columns) changes nothing here, is said
in the log and by ``troubles``, and is tried again at the next change, and every few seconds until
then; so is a canary or a shadow that an endpoint has to do without. While the store is away
everything goes on as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from modelway.domain.errors import EndpointNotFound, ModelwayError
from modelway.endpoints.planned import PlannedEndpoint
from modelway.endpoints.ports import Generation

_AGAIN_S = 5.0
_AT_ONCE = 16

_log = logging.getLogger(__name__)

Look = Callable[[], Mapping[str, PlannedEndpoint | ModelwayError]]
"""Every endpoint of the store, resolved, or why it cannot be; blocks."""


_Wanted = PlannedEndpoint | ModelwayError | None
"""What an endpoint is to be: None is gone."""


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

    ``remember`` is told what answers whenever that has changed, and may block.

    Whether a worker could open one of those is not known, so all are looked at once in the
    beginning; what is as it should be is not touched by that. ``troubles`` says what of an endpoint
    cannot be as it is wanted.
    """

    def __init__(
        self,
        generation: Generation,
        look: Look,
        poll_s: float,
        begun: Iterable[PlannedEndpoint],
        remember: Callable[[Sequence[PlannedEndpoint]], object] | None = None,
    ) -> None:
        self._generation = generation
        self._look = look
        self._poll_s = poll_s
        self._remember = remember
        self._answering = {one.name: one for one in begun}
        self._here: dict[str, PlannedEndpoint | None] = dict.fromkeys(self._answering)
        self._remembered: Sequence[PlannedEndpoint] | None = None
        self._waiting: dict[str, _Wanted] = {}
        self._under_way: dict[str, _Wanted] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._away = ""
        self._seen = -1
        self._looked_s = time.monotonic()
        self.troubles: dict[str, str] = {}

    async def follow(self, service: Changeable) -> None:
        """Have what changes answer, until cancelled."""
        try:
            while True:
                await asyncio.sleep(self._poll_s)
                try:
                    await self._once(service)
                    self._say("")
                except ModelwayError as error:
                    self._say(error.message)
                except Exception:  # noqa: BLE001 - whatever it is, the next change is followed
                    _log.exception("endpoints could not be followed")
        finally:
            for task in self._tasks:
                task.cancel()

    async def _once(self, service: Changeable) -> None:
        now = await asyncio.to_thread(self._generation.now)
        again = self.troubles and time.monotonic() - self._looked_s > _AGAIN_S
        if now != self._seen or again:
            self._looked_s = time.monotonic()
            wanted = await asyncio.to_thread(self._look)
            self._seen = now
            self._want(wanted)
            self._begin(service)
        answering = list(self._answering.values())
        if self._remember is not None and answering != self._remembered:
            await asyncio.to_thread(self._remember, answering)
            self._remembered = answering

    def _want(self, wanted: Mapping[str, PlannedEndpoint | ModelwayError]) -> None:
        """Have endpoints wait to be so, but those that become so just now."""
        there = (*self._here, *self._under_way)
        gone: Mapping[str, _Wanted] = {name: None for name in there if name not in wanted}
        self._waiting = {
            name: one
            for name, one in {**gone, **wanted}.items()
            if name not in self._under_way or self._under_way[name] != one
        }

    def _begin(self, service: Changeable) -> None:
        """Begin with those that wait, as far as they may be changed at the same time."""
        for name in [one for one in self._waiting if one not in self._under_way]:
            # The first that answers becomes the default one: no matter of who opens faster.
            if len(self._under_way) >= (_AT_ONCE if self._answering else 1):
                return
            self._under_way[name] = self._waiting.pop(name)
            task = asyncio.create_task(self._bring(name, service))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _bring(self, name: str, service: Changeable) -> None:
        endpoint = self._under_way[name]
        try:
            if endpoint is None:
                await self._removed(name, service)
            else:
                await self._followed(name, endpoint, service)
        except Exception:  # noqa: BLE001 - whatever it is, it is tried again
            _log.exception("an endpoint could not be followed", extra={"endpoint": name})
            self._seen = -1
        del self._under_way[name]
        self._begin(service)

    async def _removed(self, name: str, service: Changeable) -> None:
        with contextlib.suppress(EndpointNotFound):
            await service.unload(name)
        self._here.pop(name, None)
        self._answering.pop(name, None)
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
            self._here[name] = self._answering[name] = endpoint
            self._missing(name, endpoint)
            _log.info("endpoint follows", extra={"endpoint": name, "version": version})
        else:
            self._missing(name, endpoint)

    def _missing(self, name: str, endpoint: PlannedEndpoint) -> None:
        """Say what an endpoint that is followed has to do without."""
        said = "; ".join(endpoint.missing)
        if not said:
            self.troubles.pop(name, None)
            return
        if self.troubles.get(name) != said:
            _log.error("endpoint answers %s", said, extra={"endpoint": name})
        self.troubles[name] = said

    def _trouble(self, name: str, error: ModelwayError) -> None:
        if self.troubles.get(name) != error.message:
            _log.error(
                "what is wanted of an endpoint cannot be; it goes on as it is: %s",
                error.message,
                extra={"endpoint": name, "code": error.code},
            )
        self.troubles[name] = error.message

    def _say(self, away: str) -> None:
        """Log once that the store cannot be followed, and once that it can be again."""
        if away and away != self._away:
            _log.warning("the store cannot be followed now: %s", away)
        elif self._away and not away:
            _log.info("the store is followed again")
        self._away = away
