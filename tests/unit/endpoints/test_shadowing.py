"""Shadows: the same inputs, the live answer's id, bounded, and never in an answer's way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway.domain.errors import ModelwayError
from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.domain.tables import Table
from modelway.endpoints import shadowing
from modelway.endpoints.deployments import Deployments
from modelway.endpoints.planned import PlannedEndpoint, PlannedVersion
from modelway.endpoints.router import EndpointRouter
from modelway.endpoints.shadowing import Shadowing
from modelway.inference.dataplane import DataPlane
from modelway.inference.ports import Answered
from support.served import FLOWER, catalogue_of, compiled_bundle, flower_graph, function_bundle


class Told:
    """What an observer and a meter were told."""

    def __init__(self) -> None:
        self.answers: list[Answered] = []
        self.failures: list[tuple[str | None, str, str | None]] = []
        self.seen = self.shed = 0

    def answered(self, answered: Sequence[Answered]) -> None:
        self.answers += answered

    def failed(
        self,
        request: InferenceRequest,
        error: ModelwayError,
        seconds: float,
        version: str | None = None,
    ) -> None:
        self.failures.append((request.prediction_id, error.code, version))

    def shadowed(self, _: str, requests: int) -> None:
        self.seen += requests

    def shadow_shed(self, _: str, requests: int) -> None:
        self.shed += requests


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A live version, another, and a rule in Python that fails for some rows."""
    root = tmp_path_factory.mktemp("bundles")
    made = {
        str(k): compiled_bundle(root / str(k), flower_graph(k / 10), FLOWER, classes=(0, 1, 2))
        for k in (5, 6)
    }
    source = (
        "def rule(sepal_length, petal_width):\n"
        "    if sepal_length > 7:\n"
        "        raise RuntimeError\n"
        "    return 1\n"
    )
    made["rule"] = function_bundle(root / "rule", source, "rule", FLOWER)
    return made


class Served:
    """An endpoint with the live version 5 and a shadow."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders
        self.catalogue = catalogue_of()
        self.router = EndpointRouter(self.catalogue)
        self.deployments = Deployments(self.catalogue, self.router, lambda _: None)
        self.told = Told()
        self.shadowing = Shadowing(self.router, self.catalogue, [self.told], self.told)
        self.plane = DataPlane(self.router, self.catalogue, [self.shadowing])

    async def change(self, *shadows: str) -> None:
        live, *others = (
            PlannedVersion(str(self._folders[name]), name, "flower") for name in ("5", *shadows)
        )
        await self.deployments.change(PlannedEndpoint("flower", live, shadows=tuple(others)))

    async def ask(self, rows: int = 1, version: str | None = None) -> InferenceResponse:
        model = await self.plane.opened("flower", version)
        matrix = np.linspace(0.0, 9.0, rows * 2).reshape(rows, 2)
        request = InferenceRequest("flower", Table(model.signature, rows, matrix=matrix))
        return await self.plane.infer(request, model)

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not done():
                await asyncio.sleep(0.005)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_a_shadow_is_told_of_under_the_live_answers_id(folders: Mapping[str, Path]) -> None:
    async def work() -> None:
        served = Served(folders)
        await served.change("6")
        responses = [await served.ask(rows) for rows in (1, 3, 2)]
        await served.until(lambda: len(served.told.answers) == 3)
        found = {response.prediction_id: response for _, response, _ in served.told.answers}
        assert list(found) == [one.prediction_id for one in responses]
        assert {one.version for one in found.values()} == {"6"}
        alone = await served.plane.opened("flower", "6")
        for request, response, _ in served.told.answers:
            wanted = alone.execution.predict(request.table)
            for name, values in wanted.items():
                np.testing.assert_array_equal(response.outputs[name], values)

    run(work())


def test_a_rule_may_be_a_shadow_and_its_failures_are_told_of(folders: Mapping[str, Path]) -> None:
    async def work() -> None:
        served = Served(folders)
        await served.change("rule")
        response = await served.ask(3)
        good = await served.ask(1)
        await served.until(lambda: len(served.told.failures) + len(served.told.answers) == 2)
        assert served.told.failures == [(response.prediction_id, "predict-failed", "rule")]
        ((_, answer, _),) = served.told.answers
        assert answer.prediction_id == good.prediction_id
        assert answer.outputs["prediction"].tolist() == [1]

    run(work())


def test_an_endpoint_without_shadows_costs_nothing(folders: Mapping[str, Path]) -> None:
    async def work() -> None:
        served = Served(folders)
        await served.change()
        await served.ask()
        await asyncio.sleep(0.05)
        assert not served.told.answers
        assert served.told.seen == served.told.shed == 0

    run(work())


def test_what_finds_no_room_is_shed_and_the_answer_is_given(
    folders: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadowing, "_MOST_ROWS", 4)

    async def work() -> None:
        served = Served(folders)
        await served.change("6")
        model = await served.plane.opened("flower")
        table = Table(model.signature, 3, matrix=np.zeros((3, 2)))
        requests = [InferenceRequest("flower", table) for _ in range(3)]
        # Before a task of the event loop had a turn.
        assert all(served.plane.infer_together(requests, model))
        assert served.told.shed == 2
        await served.until(lambda: served.told.seen == 1)
        assert len(served.told.answers) == 1
        await served.ask()
        await served.until(lambda: served.told.seen == 2)

    run(work())


def test_a_shadow_that_is_closed_sheds_until_it_is_open_again(folders: Mapping[str, Path]) -> None:
    async def work() -> None:
        served = Served(folders)
        await served.change("6")
        entry = served.catalogue.version("flower", "6")
        await served.catalogue.close(entry)
        await served.ask()
        await served.until(lambda: served.told.shed == 1)
        await served.until(lambda: entry.model is not None)
        await served.ask()
        await served.until(lambda: len(served.told.answers) == 1)

    run(work())


def test_closing_drops_what_waits(folders: Mapping[str, Path]) -> None:
    async def work() -> None:
        served = Served(folders)
        await served.change("6")
        await served.ask()
        await served.shadowing.close()
        await served.shadowing.close()
        await asyncio.sleep(0.05)
        assert len(served.told.answers) <= 1

    run(work())
