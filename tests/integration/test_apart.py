"""Where versions run: those on trial apart, in processes of their own, others as settings say."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from modelway.domain.errors import ModelCrashed
from modelway.endpoints.deployments import Deployments
from modelway.endpoints.planned import PlannedCanary, PlannedEndpoint, PlannedVersion
from modelway.endpoints.router import EndpointRouter
from support.canaries import NUMBERS, STEADY
from support.served import catalogue_of, function_bundle

PATIENCE_S = 30.0
DYING = "import os\n\n\ndef rule(a):\n    os.abort()\n"


class Placed:
    """An endpoint of rules, and which of its open versions run apart."""

    def __init__(self, folder: Path) -> None:
        sources = {"1": STEADY.format(number=1), "2": STEADY.format(number=2), "3": DYING}
        self._versions = {
            version: PlannedVersion(
                str(function_bundle(folder / version, source, "rule", NUMBERS)), version, "rule"
            )
            for version, source in sources.items()
        }
        self.catalogue = catalogue_of()
        router = EndpointRouter(self.catalogue)
        self.deployments = Deployments(self.catalogue, router, lambda _: None)

    def planned(self, live: str, canary: str = "", shadow: str = "") -> PlannedEndpoint:
        return PlannedEndpoint(
            "sums",
            self._versions[live],
            canaries=(PlannedCanary(self._versions[canary], 0.5),) if canary else (),
            shadows=(self._versions[shadow],) if shadow else (),
            salt="sums",
        )

    @property
    def apart(self) -> dict[str, bool]:
        """Of each open version, whether it runs apart."""
        return {one.version: one.model.apart for one in self.catalogue if one.model is not None}

    async def becomes(self, apart: dict[str, bool]) -> None:
        until = time.monotonic() + PATIENCE_S
        while self.apart != apart:
            assert time.monotonic() < until, self.apart
            await asyncio.sleep(0.02)


def test_a_canary_and_what_it_is_compared_with_run_apart_until_one_is_alone(tmp_path: Path) -> None:
    async def work() -> None:
        it = Placed(tmp_path)
        await it.deployments.change(it.planned("1"))
        assert it.apart == {"1": False}
        await it.deployments.change(it.planned("1", canary="2"))
        assert it.apart == {"1": True, "2": True}
        await it.deployments.change(it.planned("2"))
        await it.becomes({"2": False})
        assert it.catalogue.abandon()

    asyncio.run(work())


def test_a_shadow_runs_apart_and_leaves_the_live_version_where_it_is(tmp_path: Path) -> None:
    async def work() -> None:
        it = Placed(tmp_path)
        await it.deployments.change(it.planned("1", shadow="2"))
        assert it.apart == {"1": False, "2": True}
        assert it.catalogue.abandon()

    asyncio.run(work())


def test_what_was_not_to_be_leaves_the_live_version_where_it_is(tmp_path: Path) -> None:
    async def work() -> None:
        it = Placed(tmp_path)
        await it.deployments.change(it.planned("1"))
        with pytest.raises(ModelCrashed):
            await it.deployments.prepare(it.planned("1", canary="3"))
        await it.becomes({"1": False})
        trial = it.planned("1", canary="2")
        await it.deployments.prepare(trial)
        assert it.apart == {"1": True, "2": True}
        it.deployments.discard(trial)
        await it.becomes({"1": False})
        assert it.catalogue.abandon()

    asyncio.run(work())
