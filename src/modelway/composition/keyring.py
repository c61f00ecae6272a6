"""The keys of a service, kept as the store has them: made or revoked there, known here soon after.

Nothing is asked of the store while a request is answered. What is known stays known while the store
is away; when a key was used last is brought there as soon as it is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from modelway.access.admitting import Keys
from modelway.access.keys import Key, Scope
from modelway.access.ports import KeyStore
from modelway.domain.errors import BadValue, ModelwayError

_EVERY_S = 1.0
_USED_TICKS = 10
"""Uses are brought to the store every so many looks."""

_log = logging.getLogger(__name__)


class Admitting(Protocol):
    """What admits callers, in one process or many."""

    async def admit(self, keys: Sequence[Key]) -> None:
        """Have these keys be the ones that are known."""
        ...

    async def used(self) -> Mapping[str, datetime]:
        """When keys were used last, as far as this was not asked before."""
        ...


class Keyring:
    """The keys of ``store``; ``administration`` admits by them too. Used by one event loop.

    ``keys`` are those that are known in the beginning; ``remember`` is told of others, and may
    block.
    """

    def __init__(
        self,
        store: KeyStore,
        keys: Sequence[Key],
        remember: Callable[[Sequence[Key]], object] | None = None,
    ) -> None:
        self._store = store
        self._remember = remember
        self.keys = keys
        self.administration = Keys(self.keys)
        self._pending: dict[str, datetime] = {}

    async def follow(self, service: Admitting) -> None:
        """Keep the service's keys as the store has them, until cancelled."""
        trouble = ""
        tick = 0
        while True:
            await asyncio.sleep(_EVERY_S)
            tick += 1
            try:
                await self._once(service)
                if tick % _USED_TICKS == 0:
                    await self._tell(service)
                trouble = ""
            except ModelwayError as error:
                if trouble != error.message:
                    _log.warning("keys cannot be followed now: %s", error.message)
                trouble = error.message
            except Exception:  # noqa: BLE001 - whatever it is, a key that is revoked later must be
                _log.exception("keys could not be followed")

    async def _once(self, service: Admitting) -> None:
        known = {key.id: _without_use(key) for key in self.keys}
        found = await asyncio.to_thread(self._store.all)
        if {key.id: _without_use(key) for key in found} != known:
            self.administration.refresh(found)
            await service.admit(found)
            self.keys = found
            if self._remember is not None:
                await asyncio.to_thread(self._remember, found)

    async def _tell(self, service: Admitting) -> None:
        for id, at in (await service.used()).items():
            self._pending[id] = max(at, self._pending.get(id, at))
        own = self.administration.used()
        used = {**self._pending, **own}
        if used:
            await asyncio.to_thread(self._store.used, used)
            self._pending.clear()
            self.administration.stored(own)


def check_some(keys: Sequence[Key]) -> None:
    """Raises BadValue unless somebody has a key to ask for predictions with."""
    for key in keys:
        if key.revoked_at is None and key.scopes & {Scope.PREDICT, Scope.ADMIN}:
            return
    raise BadValue(
        "other machines can reach this address, and there is no key to ask with",
        hint="modelway key create --scope predict makes one; --insecure lets everybody ask",
    )


def _without_use(key: Key) -> tuple[object, ...]:
    return (key.secret_sha256, key.scopes, key.endpoints, key.rate_per_s, key.revoked_at)
