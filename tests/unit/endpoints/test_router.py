"""Roles under one name: who answers, what is refused, what stays known."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from modelway.bundles.store import open_bundle
from modelway.domain.errors import InvalidInput
from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.domain.tables import Table
from modelway.endpoints.deployments import Deployments
from modelway.endpoints.endpoint import Role
from modelway.endpoints.planned import PlannedCanary, PlannedEndpoint, PlannedVersion
from modelway.endpoints.router import EndpointRouter
from modelway.inference.dataplane import DataPlane
from support.served import FLOWER, PAIR, catalogue_of, compiled_bundle, flower_graph, pair_graph


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Three versions that are alike, and two that are not."""
    root = tmp_path_factory.mktemp("bundles")
    made = {
        str(k): compiled_bundle(
            root / str(k), flower_graph(0.5 + k / 10), FLOWER, classes=(0, 1, 2)
        )
        for k in (1, 2, 3)
    }
    made["pair"] = compiled_bundle(root / "pair", pair_graph(), PAIR)
    made["named"] = compiled_bundle(
        root / "named", flower_graph(0.4), FLOWER, classes=("a", "b", "c")
    )
    return made


class Served:
    """A data plane whose endpoint ``flower`` is changed."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders
        self.catalogue = catalogue_of()
        self.router = EndpointRouter(self.catalogue)
        self.deployments = Deployments(self.catalogue, self.router, lambda _: None)
        self.plane = DataPlane(self.router, self.catalogue)

    def version(self, name: str) -> PlannedVersion:
        return PlannedVersion(str(self._folders[name]), name, "flower")

    async def change(
        self, live: str, canaries: Mapping[str, float], shadows: tuple[str, ...] = ()
    ) -> None:
        await self.deployments.change(
            PlannedEndpoint(
                "flower",
                self.version(live),
                canaries=tuple(PlannedCanary(self.version(k), w) for k, w in canaries.items()),
                shadows=tuple(self.version(k) for k in shadows),
                split_by="header:customer",
                salt="flower",
            )
        )

    async def ask(self, customer: str, version: str | None = None) -> InferenceResponse:
        model = await self.plane.opened("flower", version)
        table = Table(model.signature, 1, matrix=np.zeros((1, len(FLOWER.columns))))
        request = InferenceRequest(
            "flower", table, headers={"customer": customer}, is_pinned=version is not None
        )
        response = await self.plane.infer(request, model)
        self.meant_for = request.meant_for
        return response


def run(work: object) -> None:
    asyncio.run(work)  # type: ignore[arg-type]


def test_a_canary_answers_its_share_and_callers_stay_with_it(folders: Mapping[str, Path]) -> None:
    async def work() -> None:
        served = Served(folders)
        await served.change("1", {"2": 0.1, "3": 0.2})
        asked = {f"c{k}": (await served.ask(f"c{k}")).version for k in range(1000)}
        counts = [sum(v == name for v in asked.values()) for name in ("1", "2", "3")]
        assert all(abs(n - wanted) < 75 for n, wanted in zip(counts, (700, 100, 200), strict=True))
        for customer in list(asked)[:100]:
            assert (await served.ask(customer)).version == asked[customer] == served.meant_for

    run(work())


def test_who_names_a_version_is_answered_by_it(folders: Mapping[str, Path]) -> None:
    async def work() -> None:
        served = Served(folders)
        await served.change("1", {"2": 0.999})
        for version in ("1", "2"):
            asked = [(await served.ask(f"c{k}", version)).version for k in range(20)]
            assert asked == [version] * 20
            assert served.meant_for is None
        with_live = [(await served.ask(f"c{k}")).version for k in range(20)]
        assert with_live.count("2") >= 19

    run(work())


def test_requests_together_are_answered_each_by_its_own(folders: Mapping[str, Path]) -> None:
    async def work() -> None:
        served = Served(folders)
        await served.change("1", {"2": 0.5})
        model = await served.plane.opened("flower")
        table = Table(model.signature, 1, matrix=np.zeros((1, len(FLOWER.columns))))
        requests = [
            InferenceRequest("flower", table, headers={"customer": f"c{k}"}) for k in range(50)
        ]
        responses = served.plane.infer_together(requests, model)
        alone = [(await served.ask(f"c{k}")).version for k in range(50)]
        assert [None if one is None else one.version for one in responses] == [
            "1" if version == "1" else None for version in alone
        ]
        assert "2" in alone

    run(work())


def test_roles(folders: Mapping[str, Path]) -> None:
    async def work() -> None:
        served = Served(folders)
        await served.change("1", {"2": 0.1}, ("3",))
        roles = [served.router.role("flower", version) for version in ("1", "2", "3", "0")]
        assert roles == [Role.LIVE, Role.CANARY, Role.SHADOW, Role.LIVE]

    run(work())


def test_what_has_no_role_any_more_is_closed_and_stays_known(folders: Mapping[str, Path]) -> None:
    async def work() -> None:
        served = Served(folders)
        await served.change("1", {"2": 0.1}, ("3",))
        await served.change("2", {})
        await asyncio.sleep(0.1)
        states = {one.version: (one.live, one.state) for one in await served.deployments.states()}
        assert states == {
            "1": (False, "unloaded"),
            "2": (True, "ready"),
            "3": (False, "unloaded"),
        }
        assert (await served.ask("c", "1")).version == "1"

    run(work())


def test_a_canary_that_was_closed_is_opened_and_the_live_one_answers_meanwhile(
    folders: Mapping[str, Path],
) -> None:
    async def work() -> None:
        served = Served(folders)
        await served.change("1", {"2": 0.999})
        entry = served.catalogue.version("flower", "2")
        await served.catalogue.close(entry)
        model = await served.plane.opened("flower")
        table = Table(model.signature, 1, matrix=np.zeros((1, len(FLOWER.columns))))
        request = InferenceRequest("flower", table, headers={"customer": "c1"})
        assert (await served.plane.infer(request, model)).version == "1"
        assert request.meant_for == "2"
        async with asyncio.timeout(10):
            while entry.model is None:
                await asyncio.sleep(0.01)
        assert (await served.plane.infer(request, model)).version == "2"

    run(work())


@pytest.mark.parametrize(("other", "what"), [("pair", "other inputs"), ("named", "other classes")])
def test_a_canary_that_callers_could_not_tell_from_another_model_is_refused(
    folders: Mapping[str, Path], other: str, what: str
) -> None:
    async def work() -> None:
        served = Served(folders)
        await served.change("1", {})
        with pytest.raises(InvalidInput, match=what):
            await served.change("1", {other: 0.1})
        routing = served.router.routing("flower")
        assert routing is not None
        assert routing.split is None
        assert [one.version for one in await served.deployments.states()] == ["1"]

    run(work())


def test_versions_of_two_models_may_have_one_number(folders: Mapping[str, Path]) -> None:
    async def work() -> None:
        served = Served(folders)
        mine, other, third = (
            PlannedVersion(str(folders[name]), "1", model)
            for name, model in (("1", "flower"), ("2", "rule"), ("3", "rose"))
        )
        await served.deployments.change(PlannedEndpoint("flower", mine, shadows=(other,)))
        routing = served.router.routing("flower")
        assert routing is not None
        (shadow,) = routing.shadows
        digests = [open_bundle(folders[name]).digest for name in ("1", "2", "3")]
        assert [routing.live.bundle.digest, shadow.bundle.digest] == digests[:2]
        assert (routing.live.version, shadow.version) == ("1", digests[1])
        assert served.router.role("flower", shadow.version) is Role.SHADOW
        await served.deployments.change(PlannedEndpoint("flower", third))
        # The number is that of what answers now, as it is in a process that begins now.
        for version, place in (("1", 2), (digests[0], 0), (digests[1], 1)):
            assert (await served.ask("c1", version)).version == version
            assert served.catalogue.version("flower", version).bundle.digest == digests[place]
        assert (await served.ask("c1")).version == "1"
        await served.deployments.change(PlannedEndpoint("flower", mine))
        assert (await served.ask("c1")).version == "1"
        assert [one.version for one in served.catalogue.versions("flower")] == [
            *(digests[1], digests[2], "1"),
        ]
        assert served.router.live("flower").bundle.digest == digests[0]

    run(work())
