"""The catalogue: what is open, what is opened when it is asked for, and what is closed for it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from modelway.bundles.store import open_bundle
from modelway.domain.errors import (
    DeadlineExceeded,
    EndpointNotFound,
    LoadFailed,
    OutOfMemory,
    VersionNotFound,
)
from modelway.domain.tables import Table
from modelway.endpoints.deployments import Deployments
from modelway.endpoints.planned import PlannedEndpoint, PlannedVersion
from modelway.endpoints.router import EndpointRouter, Routing
from modelway.inference.catalogue import Catalogue, Entry, _file_bytes
from modelway.inference.dataplane import DataPlane
from modelway.inference.loading import LoadedModel
from modelway.inference.metering import InferenceMetrics
from modelway.inference.ports import KEPT_VERSIONS
from modelway.settings import InferenceSettings
from modelway.telemetry.instruments import Metrics
from modelway.telemetry.metrics import BATCH_ROWS, short_version
from modelway.telemetry.slots import Slot
from support.running import answered
from support.served import FLOWER, catalogue_of, compiled_bundle, flower_graph, loaded

Result = TypeVar("Result")

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    certainties = dict(zip(NAMES, (0.75, 0.5, 0.625), strict=True))
    return {
        name: compiled_bundle(folder / name, flower_graph(value), FLOWER, classes=(0, 1, 2))
        for name, value in certainties.items()
    }


def run(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    return asyncio.run(work())


def entries(catalogue: Catalogue, bundles: Mapping[str, Path]) -> list[Entry]:
    return [catalogue.add(name, open_bundle(folder)) for name, folder in bundles.items()]


def states(catalogue: Catalogue) -> dict[str, str]:
    return {entry.name: entry.state for entry in catalogue}


def test_a_model_is_opened_once_however_many_ask(bundles: Mapping[str, Path]) -> None:
    async def work() -> None:
        catalogue = catalogue_of()
        first, *_ = entries(catalogue, bundles)
        assert set(states(catalogue).values()) == {"unloaded"}
        models = await asyncio.gather(*(catalogue.opened(first) for _ in range(5)))
        assert len({id(model) for model in models}) == 1
        assert states(catalogue) == {"a": "ready", "b": "unloaded", "c": "unloaded"}

    run(work)


def test_the_one_not_asked_for_longest_makes_room(bundles: Mapping[str, Path]) -> None:

    async def work() -> None:
        catalogue = catalogue_of(memory_bytes=10**9)
        a, b, c = entries(catalogue, bundles)
        await catalogue.opened(a)
        await catalogue.opened(b)
        a.held_bytes = b.held_bytes = 10**9 // 2
        await catalogue.opened(a)
        await catalogue.opened(c)
        assert states(catalogue) == {"a": "ready", "b": "unloaded", "c": "ready"}
        await catalogue.opened(b)
        assert b.state == "ready"

    run(work)


def test_models_that_take_turns_in_one_place_answer_who_waited_for_them(
    bundles: Mapping[str, Path],
) -> None:
    async def ask(catalogue: Catalogue, entry: Entry) -> int:
        model = await catalogue.opened(entry)
        sample = Table(FLOWER, 1, matrix=np.array([[5.0, 2.2]]))
        index: int = (await model.execution.run(sample))["class_index"].item()
        return index

    async def work() -> None:
        catalogue = catalogue_of(memory_bytes=max(map(_file_bytes, bundles.values())) * 3 // 2)
        found = entries(catalogue, bundles)
        for _ in range(3):
            answers = await asyncio.gather(*(ask(catalogue, one) for one in found * 3))
            assert answers == [2] * 9

    run(work)


def test_who_opens_one_model_does_not_wait_for_another(bundles: Mapping[str, Path]) -> None:
    slow_goes_on = threading.Event()

    def load(name: str, _: str, folder: Path, __: bool) -> LoadedModel:
        if name == "a":
            assert slow_goes_on.wait(30)
        return loaded(folder, name)

    async def work() -> None:
        settings = InferenceSettings()
        catalogue = Catalogue(load, InferenceMetrics(Metrics(Slot.in_memory())), settings)
        slow, quick, _ = entries(catalogue, bundles)
        opening = asyncio.create_task(catalogue.opened(slow))
        await asyncio.sleep(0)
        async with asyncio.timeout(20):
            await catalogue.opened(quick)
        assert (slow.state, quick.state) == ("loading", "ready")
        slow_goes_on.set()
        await opening
        assert slow.held_bytes > 0

    run(work)


def test_who_wants_no_answer_any_more_does_not_wait_for_a_model(
    bundles: Mapping[str, Path],
) -> None:
    goes_on = threading.Event()

    def load(name: str, _: str, folder: Path, __: bool) -> LoadedModel:
        assert goes_on.wait(30)
        return loaded(folder, name)

    async def work() -> None:
        settings = InferenceSettings()
        catalogue = Catalogue(load, InferenceMetrics(Metrics(Slot.in_memory())), settings)
        first, *_ = entries(catalogue, bundles)
        plane = DataPlane(EndpointRouter(catalogue, [Routing(first)]), catalogue, settings=settings)
        with pytest.raises(DeadlineExceeded, match="opening the model"):
            await plane.opened("a", None, time.monotonic() + 0.02)
        assert first.state == "loading", "others may wait for it"
        goes_on.set()
        await plane.opened("a", None, time.monotonic() + 30)
        plane.close()

    run(work)


def test_what_is_forgotten_while_it_is_opened_does_not_stay_open(
    bundles: Mapping[str, Path],
) -> None:
    async def work() -> None:
        catalogue = catalogue_of()
        first, *_ = entries(catalogue, bundles)
        opening = asyncio.create_task(catalogue.opened(first))
        await asyncio.sleep(0)
        catalogue.forget(first)
        await opening
        for _ in range(100):
            if first.model is None:
                break
            await asyncio.sleep(0.02)
        assert first.model is None

    run(work)


def test_what_is_pinned_stays_and_what_does_not_fit_is_refused(
    bundles: Mapping[str, Path],
) -> None:
    async def work() -> None:
        catalogue = catalogue_of(memory_bytes=10**9, pinned="a, b")
        a, b, c = entries(catalogue, bundles)
        await catalogue.opened(a)
        await catalogue.opened(b)
        a.held_bytes = b.held_bytes = 10**9 // 2
        with pytest.raises(OutOfMemory, match="models that stay"):
            await catalogue.opened(c)
        assert states(catalogue) == {"a": "ready", "b": "ready", "c": "unloaded"}

    run(work)


def test_a_model_that_is_needed_is_closed_after_that(bundles: Mapping[str, Path]) -> None:
    async def work() -> None:
        catalogue = catalogue_of()
        first, *_ = entries(catalogue, bundles)
        model = await catalogue.opened(first)
        model.asides += 1
        closing = asyncio.create_task(catalogue.close(first))
        await asyncio.sleep(0.05)
        assert not closing.done()
        assert first.state == "unloaded"
        assert await catalogue.opened(first) is not model
        model.asides -= 1
        await closing

    run(work)


def test_what_cannot_be_opened_says_so_each_time_and_may_be_tried_again(
    bundles: Mapping[str, Path], tmp_path: Path
) -> None:
    folder = compiled_bundle(tmp_path / "x", b"no graph", FLOWER, classes=(0, 1, 2))

    async def work() -> None:
        catalogue = catalogue_of()
        entry = catalogue.add("x", open_bundle(folder))
        for _ in range(2):
            with pytest.raises(LoadFailed):
                await catalogue.opened(entry)
        assert entry.state == "failed"
        assert entry.fault is not None

    run(work)


def test_what_could_not_be_opened_is_left_alone_by_those_who_do_not_wait_for_it(
    bundles: Mapping[str, Path], tmp_path: Path
) -> None:
    folder = compiled_bundle(tmp_path / "x", b"no graph", FLOWER, classes=(0, 1, 2))

    async def work() -> None:
        catalogue = catalogue_of()
        entry = catalogue.add("x", open_bundle(folder))
        catalogue.reopen(entry)
        while entry.fault is None:
            await asyncio.sleep(0.01)
        first = entry.fault
        for _ in range(20):
            catalogue.reopen(entry)
            await asyncio.sleep(0.005)
        assert entry.fault is first
        entry.failed_s -= 3600.0
        catalogue.reopen(entry)
        while entry.fault is first:
            await asyncio.sleep(0.01)

    run(work)


def test_names_and_versions_that_there_are_not(bundles: Mapping[str, Path]) -> None:
    catalogue = catalogue_of()
    first, *_ = entries(catalogue, bundles)
    assert catalogue.version("a", first.version) is first
    with pytest.raises(VersionNotFound, match="sha256"):
        catalogue.version("a", "7")
    with pytest.raises(EndpointNotFound):
        catalogue.version("nobody", "7")
    with pytest.raises(EndpointNotFound):
        catalogue.versions("nobody")


def test_batches_are_counted_under_the_name_that_a_version_has_now(
    bundles: Mapping[str, Path],
) -> None:
    metrics = Metrics(Slot.in_memory())

    async def work() -> None:
        catalogue = catalogue_of()
        catalogue.meter = InferenceMetrics(metrics)
        first, second = (catalogue.add("a", open_bundle(bundles[k]), "1") for k in ("a", "b"))
        assert (first.version, second.version) == ("1", second.bundle.digest)
        model = await catalogue.opened(second)
        width = len(FLOWER.columns)
        await answered(model.execution, Table(model.signature, 2, matrix=np.zeros((2, width))))
        catalogue.called("a", {second: "1"})
        await answered(model.execution, Table(model.signature, 3, matrix=np.zeros((3, width))))

    run(work)
    rows = {
        one.values[1]: one.cells[-1]
        for one in metrics.read().series
        if one.metric is BATCH_ROWS and one.cells[-1]
    }
    assert rows == {short_version(open_bundle(bundles["b"]).digest): 2.0, "1": 3.0}


def planned(folder: Path, version: str = "") -> PlannedEndpoint:
    """The endpoint ``a`` with a bundle."""
    return PlannedEndpoint("a", PlannedVersion(str(folder), version))


class TestDeployments:
    def deployed(self, bundles: Mapping[str, Path], **settings: Any) -> tuple[Any, ...]:
        catalogue = catalogue_of(**settings)
        live = catalogue.add("a", open_bundle(bundles["a"]))
        router = EndpointRouter(catalogue, [Routing(live)])
        refused: list[str] = []

        def check(entry: Entry) -> None:
            if entry.version in refused:
                raise LoadFailed("not this one")

        return Deployments(catalogue, router, check), catalogue, router, live, refused

    def test_prepared_is_not_live_until_committed(self, bundles: Mapping[str, Path]) -> None:
        async def work() -> None:
            deployments, catalogue, router, live, _ = self.deployed(bundles)
            await catalogue.opened(live)
            wanted = planned(bundles["b"])
            version = await deployments.prepare(wanted)
            assert router.live("a") is live
            await deployments.commit(wanted)
            assert router.live("a").version == version
            assert router.live("a", live.version) is live
            await asyncio.sleep(0.05)
            assert live.state == "unloaded"

        run(work)

    def test_what_the_others_have_prepared_is_opened_where_it_is_not(
        self, bundles: Mapping[str, Path]
    ) -> None:
        async def work() -> None:
            deployments, _, router, _, _ = self.deployed(bundles)
            wanted = open_bundle(bundles["b"]).digest
            await deployments.commit(planned(bundles["b"], wanted))
            assert router.live("a").version == wanted
            await deployments.commit(planned(bundles["c"], wanted))  # it is here: nothing is opened
            assert router.live("a").version == wanted
            with pytest.raises(VersionNotFound):
                await deployments.commit(planned(bundles["c"], "sha256:other"))
            assert router.live("a").version == wanted

        run(work)

    def test_what_is_refused_or_discarded_is_forgotten(self, bundles: Mapping[str, Path]) -> None:
        async def work() -> None:
            deployments, catalogue, router, live, refused = self.deployed(bundles)
            refused.append(open_bundle(bundles["b"]).digest)
            with pytest.raises(LoadFailed, match="not this one"):
                await deployments.change(planned(bundles["b"]))
            await deployments.prepare(planned(bundles["c"]))
            deployments.discard(planned(bundles["c"]))
            assert [entry.version for entry in catalogue.versions("a")] == [live.version]
            deployments.discard(planned(bundles["a"]))
            assert router.live("a") is live

        run(work)

    def test_the_same_bundle_again_is_no_change(self, bundles: Mapping[str, Path]) -> None:
        async def work() -> None:
            deployments, catalogue, router, live, _ = self.deployed(bundles)
            model = await catalogue.opened(live)
            await deployments.change(planned(bundles["a"]))
            assert router.live("a").model is model

        run(work)

    def test_so_many_versions_are_known(self, tmp_path: Path, bundles: Mapping[str, Path]) -> None:
        async def work() -> None:
            deployments, catalogue, router, *_ = self.deployed(bundles)
            for k in range(KEPT_VERSIONS + 2):
                graph = flower_graph(0.5 + k / 100)
                folder = compiled_bundle(tmp_path / str(k), graph, FLOWER, classes=(0, 1, 2))
                version = await deployments.change(planned(folder))
            assert router.live("a").version == version
            assert len(catalogue.versions("a")) == KEPT_VERSIONS

        run(work)
