"""The roles that records name are those that versions had when they answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from modelway.backends.duckdb_records import DuckdbRecords
from modelway.composition.frameworks import open_remote
from modelway.composition.recording import identify_by
from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.domain.tables import Table
from modelway.endpoints.deployments import Deployments
from modelway.endpoints.planned import PlannedEndpoint, PlannedVersion
from modelway.endpoints.router import EndpointRouter
from modelway.endpoints.shadowing import Shadowing
from modelway.inference.dataplane import DataPlane
from modelway.inference.ports import Answered
from modelway.records.recorder import Recorder, RecordingBounds
from support.recording import Counted
from support.served import FLOWER, catalogue_of, compiled_bundle, flower_graph


class Shadowed:
    """Counts the answers of shadows."""

    def __init__(self) -> None:
        self.n = 0

    def answered(self, answered: Sequence[Answered]) -> None:
        self.n += len(answered)

    def failed(self, *_: object) -> None:
        raise AssertionError

    def shadowed(self, _: str, requests: int) -> None:
        pass

    shadow_shed = shadowed


class Served:
    """The endpoint ``flower``, whose frames are made when the recorder is closed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders = {
            str(k): compiled_bundle(root / str(k), flower_graph(k / 10), FLOWER, classes=(0, 1, 2))
            for k in (5, 6)
        }
        catalogue = catalogue_of()
        self.router = EndpointRouter(catalogue)
        self.deployments = Deployments(catalogue, self.router, lambda _: None)
        self.told = Shadowed()
        self.recorder = Recorder(
            *(root / "records", "0", identify_by(self.router), Counted(), None),
            RecordingBounds(flush_s=3600.0),
        )
        told = (self.recorder, self.told)
        self.shadowing = Shadowing(self.router, catalogue, told, self.told, open_remote)
        self.plane = DataPlane(self.router, catalogue, [self.recorder, self.shadowing])

    async def change(self, live: str, *shadows: str) -> None:
        first, *others = (
            PlannedVersion(str(self._folders[name]), name, "flower") for name in (live, *shadows)
        )
        await self.deployments.change(PlannedEndpoint("flower", first, shadows=tuple(others)))

    async def ask(self, version: str | None = None) -> InferenceResponse:
        """One answer; one that is not by name has been told of by its shadow too."""
        model = await self.plane.opened("flower", version)
        table = Table(model.signature, 1, matrix=np.ones((1, 2)))
        asked = InferenceRequest("flower", table, is_pinned=version is not None)
        wanted = self.told.n + (version is None)
        answer = await self.plane.infer(asked, model)
        async with asyncio.timeout(10):
            while self.told.n < wanted:
                await asyncio.sleep(0.002)
        return answer

    def records(self, columns: str) -> list[tuple[object, ...]]:
        """These columns of all records."""
        sql = f"select {columns} from predictions order by all"
        return [tuple(row) for row in DuckdbRecords(self._root / "records", list).query(sql).rows]


def after(root: Path, work: Callable[[Served], Awaitable[object]]) -> Served:
    """An endpoint with the live version 5 and the shadow 6, after some work and its records."""
    served = Served(root)

    async def run() -> None:
        await served.change("5", "6")
        await work(served)
        await served.shadowing.close()
        served.recorder.close()

    asyncio.run(run())
    return served


@pytest.mark.parametrize("now", [("5",), ("6",), ("6", "5")])
def test_a_shadow_that_ends_or_is_promoted_was_a_shadow(
    tmp_path: Path, now: tuple[str, ...]
) -> None:
    async def work(served: Served) -> None:
        await served.ask()
        await served.change(*now)

    served = after(tmp_path, work)
    assert served.records("role, version") == [("live", "5"), ("shadow", "6")]


def test_an_answer_of_a_shadow_that_was_asked_for_by_name_is_a_live_one(tmp_path: Path) -> None:
    async def work(served: Served) -> None:
        await served.ask("6")
        await served.ask()

    served = after(tmp_path, work)
    by_name, beside = ("live", "6"), ("shadow", "6")  # who answered is not asked beside itself
    assert served.records("role, version") == [("live", "5"), by_name, beside]


def test_what_answered_is_known_where_its_endpoint_is_removed_before_the_frame(
    tmp_path: Path,
) -> None:
    async def work(served: Served) -> None:
        await served.ask()
        served.deployments.remove("flower")

    served = after(tmp_path, work)
    found = served.records("version, model, digest, prediction")
    assert [one[:2] for one in found] == [("5", "flower"), ("6", "flower")]
    assert all(str(one[2]).startswith("sha256:") for one in found)
