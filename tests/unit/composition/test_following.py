"""Endpoints followed: what differs is changed, and what fails changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from modelway.composition import following
from modelway.composition.following import Following
from modelway.domain.errors import EndpointNotFound, LoadFailed, ModelwayError, StoreUnavailable
from modelway.endpoints.planned import PlannedEndpoint, PlannedVersion


def endpoint(name: str, version: str) -> PlannedEndpoint:
    return PlannedEndpoint(name, PlannedVersion(f"/bundles/{version}", version, name))


class Store:
    """A generation and what endpoints are resolved to; ``away`` raises."""

    def __init__(self, **wanted: PlannedEndpoint | ModelwayError) -> None:
        self.wanted = wanted
        self.generation = 1
        self.away = False
        self.looks = 0

    def now(self) -> int:
        if self.away:
            raise StoreUnavailable("the store is away")
        return self.generation

    def look(self) -> dict[str, PlannedEndpoint | ModelwayError]:
        self.looks += 1
        return dict(self.wanted)

    def set(self, **wanted: PlannedEndpoint | ModelwayError) -> None:
        self.wanted = wanted
        self.generation += 1


class Service:
    """What answers; ``broken`` versions cannot be opened."""

    def __init__(self) -> None:
        self.here: dict[str, str] = {}
        self.broken: set[str] = set()
        self.changes: list[str] = []

    async def change(self, endpoint: PlannedEndpoint) -> str:
        if endpoint.live.version in self.broken:
            raise LoadFailed("cannot be opened")
        self.here[endpoint.name] = endpoint.live.version
        self.changes.append(f"{endpoint.name}:{endpoint.live.version}")
        return endpoint.live.version

    async def unload(self, name: str) -> None:
        if name not in self.here:
            raise EndpointNotFound(name, list(self.here))
        del self.here[name]
        self.changes.append(f"-{name}")


def followed(
    store: Store, work: Callable[[Following, Service], Coroutine[Any, Any, None]], poll_s: float
) -> None:
    async def run() -> None:
        service = Service()
        begun = {n: one for n, one in store.wanted.items() if isinstance(one, PlannedEndpoint)}
        service.here = {name: one.live.version for name, one in begun.items()}
        follows = Following(store, store.look, poll_s, begun)
        follows.wake()  # what it begins with is looked at once
        task = asyncio.create_task(follows.follow(service))
        try:
            async with asyncio.timeout(10):
                await until(lambda: store.looks == 1 and len(service.changes) == len(begun))
                store.looks, service.changes = 0, []
                await work(follows, service)
        finally:
            task.cancel()

    asyncio.run(run())


async def until(done: Callable[[], bool]) -> None:
    while not done():
        await asyncio.sleep(0.005)


def test_nothing_is_looked_at_until_the_number_grows() -> None:
    store = Store(a=endpoint("a", "1"))

    async def work(follows: Following, service: Service) -> None:
        await asyncio.sleep(0.1)
        assert store.looks == 0
        store.set(a=endpoint("a", "2"), b=endpoint("b", "1"))
        await until(lambda: service.here == {"a": "2", "b": "1"})
        assert service.changes == ["a:2", "b:1"]
        assert follows.troubles == {}

    followed(store, work, 0.01)


def test_what_is_as_it_was_is_not_touched_and_what_is_gone_is_removed() -> None:
    store = Store(a=endpoint("a", "1"), b=endpoint("b", "1"))

    async def work(_: Following, service: Service) -> None:
        store.set(b=endpoint("b", "1"))
        await until(lambda: service.here == {"b": "1"})
        assert service.changes == ["-a"]

    followed(store, work, 0.01)


def test_what_cannot_be_changes_nothing_is_said_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(following, "_AGAIN_S", 0.05)
    store = Store(a=endpoint("a", "1"))

    async def work(follows: Following, service: Service) -> None:
        service.broken = {"2"}
        store.set(a=endpoint("a", "2"), b=LoadFailed("has no bundle yet"))
        await until(lambda: len(follows.troubles) == 2)
        assert follows.troubles == {"a": "cannot be opened", "b": "has no bundle yet"}
        assert service.here == {"a": "1"}
        service.broken = set()
        await until(lambda: service.here == {"a": "2"})
        await until(lambda: follows.troubles == {"b": "has no bundle yet"})

    followed(store, work, 0.01)


def test_while_the_store_is_away_everything_goes_on() -> None:
    store = Store(a=endpoint("a", "1"))

    async def work(_: Following, service: Service) -> None:
        store.away = True
        store.set(a=endpoint("a", "2"))
        await asyncio.sleep(0.05)
        assert service.here == {"a": "1"}
        store.away = False
        await until(lambda: service.here == {"a": "2"})

    followed(store, work, 0.01)


def test_whoever_knows_of_a_change_wakes_it() -> None:
    store = Store(a=endpoint("a", "1"))

    async def work(follows: Following, service: Service) -> None:
        store.set(a=endpoint("a", "2"))
        follows.wake()
        await until(lambda: service.here == {"a": "2"})

    followed(store, work, 3600.0)
