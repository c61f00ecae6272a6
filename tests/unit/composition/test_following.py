"""Endpoints followed: what differs is changed, and what fails changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

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
        self.remembered: dict[str, str] = {}

    def remember(self, endpoints: Sequence[PlannedEndpoint]) -> None:
        self.remembered = {one.name: one.live.version for one in endpoints}

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
    """What answers; ``broken`` versions cannot be opened, ``slow`` ones not until that is set."""

    def __init__(self) -> None:
        self.slow: dict[str, asyncio.Event] = {}
        self.here: dict[str, str] = {}
        self.broken: set[str] = set()
        self.changes: list[str] = []

    async def change(self, endpoint: PlannedEndpoint) -> str:
        if endpoint.live.version in self.broken:
            raise LoadFailed("cannot be opened")
        if endpoint.live.version in self.slow:
            await self.slow[endpoint.live.version].wait()
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
        follows = Following(store, store.look, poll_s, begun.values(), store.remember)
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


def test_what_an_endpoint_does_without_is_a_trouble_and_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(following, "_AGAIN_S", 0.05)
    missing = "without the canary a:8: a:8 has no bundle"
    store = Store(a=endpoint("a", "1"))

    async def work(follows: Following, service: Service) -> None:
        store.set(a=replace(endpoint("a", "2"), missing=(missing,)))
        await until(lambda: follows.troubles == {"a": missing})
        assert service.here == {"a": "2"}
        looks = store.looks
        await until(lambda: store.looks > looks + 1)
        assert follows.troubles == {"a": missing}
        store.set(a=endpoint("a", "2"))
        await until(lambda: follows.troubles == {})

    followed(store, work, 0.01)
    assert caplog.text.count(missing) == 1


def test_what_answers_is_remembered_also_where_something_else_is_wanted() -> None:
    store = Store(a=endpoint("a", "1"), b=endpoint("b", "1"))

    async def work(_: Following, service: Service) -> None:
        await until(lambda: store.remembered == {"a": "1", "b": "1"})
        service.broken = {"2"}
        store.set(a=endpoint("a", "2"), b=LoadFailed("gone"), c=endpoint("c", "3"))
        await until(lambda: store.remembered == {"a": "1", "b": "1", "c": "3"})
        store.set(c=endpoint("c", "3"))
        await until(lambda: store.remembered == {"c": "3"})

    followed(store, work, 0.01)


def test_while_the_store_is_away_everything_goes_on_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store(a=endpoint("a", "1"))

    async def work(_: Following, service: Service) -> None:
        store.away = True
        store.set(a=endpoint("a", "2"))
        await asyncio.sleep(0.1)
        assert service.here == {"a": "1"}
        store.away = False
        await until(lambda: service.here == {"a": "2"})

    with caplog.at_level("INFO"):
        followed(store, work, 0.01)
    said = [one.getMessage() for one in caplog.records if "the store" in one.getMessage()]
    away = "the store cannot be followed now: the store is away"
    assert said == [away, "the store is followed again"]


def test_one_that_takes_long_holds_up_no_other_and_is_followed_again_when_it_is_done() -> None:
    store = Store(a=endpoint("a", "1"), b=endpoint("b", "1"))

    async def work(_: Following, service: Service) -> None:
        service.slow["2"] = asyncio.Event()
        store.set(a=endpoint("a", "2"), b=endpoint("b", "3"))
        await until(lambda: service.here == {"a": "1", "b": "3"})
        await until(lambda: store.remembered == {"a": "1", "b": "3"})
        store.set(a=endpoint("a", "4"), b=endpoint("b", "5"), c=endpoint("c", "6"))
        await until(lambda: service.here == {"a": "1", "b": "5", "c": "6"})
        store.set(b=endpoint("b", "5"))
        await until(lambda: service.here == {"a": "1", "b": "5"})
        store.set(a=endpoint("a", "7"), b=endpoint("b", "5"))
        await asyncio.sleep(0.05)
        assert service.here["a"] == "1", "the changes of one endpoint are made in turn"
        service.slow["2"].set()
        await until(lambda: service.here == {"a": "7", "b": "5"})
        assert [one for one in service.changes if one.startswith("a")] == ["a:2", "a:7"]

    followed(store, work, 0.01)


def test_one_that_is_gone_while_it_is_opened_is_removed_then() -> None:
    store = Store(a=endpoint("a", "1"))

    async def work(_: Following, service: Service) -> None:
        slow = service.slow["2"] = asyncio.Event()
        store.set(a=endpoint("a", "1"), b=endpoint("b", "2"))
        await asyncio.sleep(0.05)
        store.set(a=endpoint("a", "1"))
        await asyncio.sleep(0.05)
        slow.set()
        await until(lambda: service.changes == ["b:2", "-b"])
        await until(lambda: store.remembered == {"a": "1"})

    followed(store, work, 0.01)


def test_so_many_are_changed_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_AT_ONCE", 2)
    store = Store(a=endpoint("a", "1"))

    async def work(_: Following, service: Service) -> None:
        slow = service.slow["2"] = asyncio.Event()
        new = {name: endpoint(name, "2") for name in ("b", "c")}
        store.set(a=endpoint("a", "1"), **new, d=endpoint("d", "3"))
        await asyncio.sleep(0.05)
        assert service.here == {"a": "1"}
        slow.set()
        await until(lambda: service.here == {"a": "1", "b": "2", "c": "2", "d": "3"})

    followed(store, work, 0.01)


def test_of_several_on_an_empty_service_the_first_answers_first() -> None:
    store = Store()

    async def work(_: Following, service: Service) -> None:
        slow = service.slow["1"] = asyncio.Event()
        store.set(a=endpoint("a", "1"), b=endpoint("b", "2"))
        await asyncio.sleep(0.05)
        assert service.here == {}
        slow.set()
        await until(lambda: service.changes == ["a:1", "b:2"])

    followed(store, work, 0.01)
