"""Shadows: the same inputs, the live answer's id, bounded, and never in an answer's way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway.backends.duckdb_records import DuckdbRecords
from modelway.composition.frameworks import open_remote
from modelway.domain.errors import InvalidInput
from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Table
from modelway.endpoints import shadowing
from modelway.endpoints.deployments import Deployments
from modelway.endpoints.planned import PlannedCanary, PlannedEndpoint, PlannedVersion
from modelway.endpoints.router import EndpointRouter
from modelway.endpoints.shadowing import Shadowing
from modelway.inference.dataplane import DataPlane
from modelway.inference.ports import Answered, Observer
from modelway.records.policy import EndpointPolicy, RecordingPolicy, hashed_text
from modelway.records.recorder import Recorder
from support.recording import Counted, identify
from support.served import FLOWER, catalogue_of, compiled_bundle, flower_graph, function_bundle
from support.watching import Watcher


class Told(Watcher):
    """What an observer and a meter were told."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Answered] = []

    def answered(self, answered: Sequence[Answered]) -> None:
        self.answers += answered


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
    width = Signature(columns=(Column("petal_width", "petal_width", Datatype.INT64),))
    source = "def rule(petal_width):\n    return petal_width\n"
    made["narrow"] = function_bundle(root / "narrow", source, "rule", width)
    height = Signature(columns=(Column("height", "height", Datatype.FP64),))
    source = "def rule(height):\n    return height\n"
    made["strange"] = function_bundle(root / "strange", source, "rule", height)
    # Each of both columns under the alias that the live version has for it, and one of the two.
    source = "def rule(petal_width, sepal_length):\n    return petal_width\n"
    both = Signature(
        columns=tuple(Column(name, name, Datatype.FP64) for name in ("petal_width", "sepal_length"))
    )
    made["aliased"] = function_bundle(root / "aliased", source, "rule", both, row_wise=True)
    source = "def rule(sepal_length):\n    return sepal_length\n"
    length = Signature(columns=both.columns[1:])
    made["short"] = function_bundle(root / "short", source, "rule", length, row_wise=True)
    return made


class Served:
    """An endpoint with the live version 5 and a shadow."""

    def __init__(self, folders: Mapping[str, Path], *more: Observer) -> None:
        self._folders = folders
        self.catalogue = catalogue_of()
        self.router = EndpointRouter(self.catalogue)
        self.deployments = Deployments(self.catalogue, self.router, lambda _: None)
        self.told = Told()
        told = [*more, self.told]
        self.shadowing = Shadowing(self.router, self.catalogue, told, self.told, open_remote)
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
        assert {request.beside[0] for request, _, _ in served.told.answers if request.beside} == {
            "5"
        }
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


def test_a_rule_is_given_the_columns_that_it_takes(folders: Mapping[str, Path]) -> None:
    async def work() -> None:
        served = Served(folders)
        await served.change("narrow")
        await served.ask(2)
        await served.until(lambda: len(served.told.answers) == 1)
        ((request, answer, _),) = served.told.answers
        assert [one.alias for one in request.table.signature.columns] == [
            one.alias for one in FLOWER.columns
        ]
        assert answer.outputs["prediction"].tolist() == [3.0, 9.0]

    run(work())


@pytest.mark.parametrize("shadow", ["aliased", "short"])
@pytest.mark.parametrize("n_requests", [1, 3])
def test_what_is_dropped_or_hashed_is_so_in_a_shadows_records(
    folders: Mapping[str, Path], tmp_path: Path, shadow: str, n_requests: int
) -> None:
    """Asked alone or merged, by the live version's names or its own."""
    policy = EndpointPolicy(
        dropped=frozenset(["sepal length (cm)"]), hashed=frozenset(["petal width"])
    )
    counted = Counted()
    recorder = Recorder(tmp_path, "0", identify, counted, RecordingPolicy(policy, key=b"k"))

    async def work() -> None:
        served = Served(folders, recorder)
        await served.change(shadow)
        model = await served.plane.opened("flower")
        matrix = np.array([[4.125, 0.625]])
        tables = [Table(model.signature, 1, matrix=matrix) for _ in range(n_requests)]
        requests = [InferenceRequest("flower", table) for table in tables]
        assert all(served.plane.infer_together(requests, model))
        await served.until(lambda: len(served.told.answers) == n_requests)

    run(work())
    recorder.close()
    assert counted.n_recorded == n_requests
    found = DuckdbRecords(tmp_path, lambda: []).query(
        "select inputs::varchar, prediction from predictions"
    )
    hashed = hashed_text(0.625, b"k")
    wanted = {"aliased": "0.625", "short": "4.125"}[shadow]
    assert found.rows == [(f'{{"petal width":"{hashed}"}}', wanted)] * n_requests


def test_a_shadow_that_takes_what_the_live_version_does_not_is_refused(
    folders: Mapping[str, Path],
) -> None:
    async def work() -> None:
        served = Served(folders)
        await served.change()
        with pytest.raises(InvalidInput, match=r"strange cannot be a shadow of flower.*'height'"):
            await served.change("strange")
        await served.ask()

    run(work())


def test_who_answers_by_now_is_no_shadow_any_more(folders: Mapping[str, Path]) -> None:
    """A promotion leaves the shadow named; a record of it would be a second of the live version."""

    async def work() -> None:
        served = Served(folders)
        await served.change("6")
        promoted = PlannedVersion(str(folders["6"]), "6", "flower")
        other = PlannedVersion(str(folders["5"]), "5", "flower")
        shadows = (promoted, other)
        await served.deployments.change(PlannedEndpoint("flower", promoted, shadows=shadows))
        await served.ask(2)
        await served.ask(1, "5")
        await served.until(lambda: served.told.seen == 1)
        await asyncio.sleep(0.05)
        ((request, response, _),) = served.told.answers
        assert (response.version, request.table.n_rows) == ("5", 2)
        assert served.told.shed == 0

    run(work())


def test_a_canary_is_no_shadow_meanwhile(folders: Mapping[str, Path]) -> None:
    async def work() -> None:
        served = Served(folders)
        live, canary = (PlannedVersion(str(folders[one]), one, "flower") for one in "56")
        await served.deployments.change(
            PlannedEndpoint(
                "flower", live, canaries=(PlannedCanary(canary, 0.5),), shadows=(canary,)
            )
        )
        assert {(await served.ask()).version for _ in range(40)} == {"5", "6"}
        await asyncio.sleep(0.1)
        assert not served.told.answers

    run(work())


class Broken(Told):
    """An observer that raises whatever it is told."""

    def answered(self, answered: Sequence[Answered]) -> None:
        raise RuntimeError("broken")

    def failed(self, *_: object) -> None:
        raise RuntimeError("broken")


def test_an_observer_that_raises_costs_the_others_nothing(
    folders: Mapping[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        served = Served(folders, Broken())
        await served.change("rule", "6")
        for rows in (1, 3):
            await served.ask(rows)
        await served.until(lambda: len(served.told.answers) + len(served.told.failures) == 4)
        assert [version for *_, version in served.told.failures] == ["rule"]

    run(work())
    assert caplog.text.count("an observer of a shadow failed") == 4


def test_a_shadow_that_is_being_closed_sheds_and_the_next_is_asked(
    folders: Mapping[str, Path],
) -> None:
    async def work() -> None:
        served = Served(folders)
        await served.change("rule", "6")
        model = served.catalogue.at_hand(served.catalogue.version("flower", "rule"))
        assert model is not None
        await model.execution.close()
        await served.ask()
        await served.ask()
        await served.until(lambda: len(served.told.answers) == 2)
        assert {response.version for _, response, _ in served.told.answers} == {"6"}
        assert served.told.failures == []
        assert served.told.shed == 2

    run(work())


def test_a_shadow_that_cannot_be_asked_sheds_and_the_next_is_asked(
    folders: Mapping[str, Path],
) -> None:
    async def work() -> None:
        served = Served(folders)
        await served.change("6", "rule")
        # A compiled one is asked on a thread of the loop's, a rule is not.
        await asyncio.get_running_loop().shutdown_default_executor()
        await served.ask()
        await served.until(lambda: len(served.told.answers) == 1)
        ((_, response, _),) = served.told.answers
        assert response.version == "rule"
        assert (served.told.seen, served.told.shed) == (1, 1)

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
