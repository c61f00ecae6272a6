"""Remotes as shadows: told of under the live answer's id, bounded, and never in an answer's way."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway.bundles.ports import Runtime
from modelway.composition.frameworks import open_remote
from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.domain.tables import Table
from modelway.endpoints import remotes
from modelway.endpoints.arms import ArmCounting
from modelway.endpoints.deployments import Deployments
from modelway.endpoints.endpoint import Endpoint
from modelway.endpoints.planned import PlannedEndpoint, PlannedRemote, PlannedVersion
from modelway.endpoints.remotes import OpenRemote
from modelway.endpoints.router import EndpointRouter
from modelway.endpoints.shadowing import Shadowing
from modelway.endpoints.trials import Arm
from modelway.inference.dataplane import DataPlane
from modelway.inference.ports import Answered
from modelway.runtimes import remote
from support.canaries import controlled, linked_bundle, moved
from support.homes import HOME, Homes, Up, wait_until
from support.live import Serve
from support.remote_servers import Scripted, scripted
from support.served import FLOWER, catalogue_of, compiled_bundle, flower_graph
from support.watching import Watcher

OLD = "remote:old"
GOOD = b'{"outputs":[{"name":"prediction","datatype":"INT64","shape":[1],"data":[1]}]}'


@pytest.fixture(scope="module")
def flower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flower") / "1"
    return compiled_bundle(folder, flower_graph(), FLOWER, classes=(0, 1, 2))


@pytest.fixture
def other() -> Iterator[Scripted]:
    with scripted(Scripted(GOOD)) as script:
        yield script


class Served(Watcher):
    """An endpoint with a live version, and remotes that are told of here."""

    def __init__(self, opening: OpenRemote) -> None:
        super().__init__()
        catalogue = catalogue_of()
        self.router = EndpointRouter(catalogue)
        self.deployments = Deployments(catalogue, self.router, lambda _: None)
        self.arms = ArmCounting()
        self.shadowing = Shadowing(self.router, catalogue, [self.arms, self], self, opening)
        self.plane = DataPlane(self.router, catalogue, [self.arms, self.shadowing])
        self.answers: list[tuple[str, str, Any]] = []

    def answered(self, answered: Sequence[Answered]) -> None:
        for _, response, _ in answered:
            outputs = {name: array.tolist() for name, array in response.outputs.items()}
            self.answers.append((response.prediction_id, response.version, outputs))

    async def ask(self, times: int = 1) -> list[InferenceResponse]:
        model = await self.plane.opened("flower")
        found = []
        for _ in range(times):
            table = Table(model.signature, 1, matrix=np.ones((1, 2)))
            found.append(await self.plane.infer(InferenceRequest("flower", table), model))
        return found

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not done():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def served(
    flower: Path, opening: OpenRemote = open_remote, **urls: str
) -> AsyncIterator[Served]:
    found = Served(opening)
    planned = PlannedEndpoint(
        "flower",
        PlannedVersion(str(flower), "1", "flower"),
        remotes=tuple(PlannedRemote(f"remote:{name}", url) for name, url in urls.items()),
    )
    await found.deployments.change(planned)
    found.arms.follow("flower", found.router.routing("flower"))
    try:
        yield found
    finally:
        await found.shadowing.close()
        await found.shadowing.close()


def test_a_remote_is_told_of_under_the_live_answers_id(flower: Path, other: Scripted) -> None:
    async def work() -> None:
        async with served(flower, old=other.url) as one:
            responses = await one.ask(20)
            await one.until(lambda: len(one.answers) == 20)
            assert {id for id, *_ in one.answers} == {each.prediction_id for each in responses}
            assert {version for _, version, _ in one.answers} == {OLD}
            assert {tuple(outputs["prediction"]) for *_, outputs in one.answers} == {(1,)}
            counted = {(each.arm, each.version): each.counts for each in one.arms.taken()}
            assert counted[Arm.SHADOW, OLD].requests == counted[Arm.BESIDE, OLD].requests == 20
            assert (one.seen, one.shed) == (20, 0)
        assert other.connections <= 4

    asyncio.run(work())


@pytest.mark.parametrize(
    ("status", "content", "code"),
    [(500, b"", "predict-failed"), (200, b"<html>", "output-invalid")],
)
def test_who_fails_is_counted_and_said_once_and_soon_left_alone(
    flower: Path,
    other: Scripted,
    status: int,
    content: bytes,
    code: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other.status, other.content = status, content

    async def work() -> None:
        async with served(flower, old=other.url) as one:
            responses = await one.ask(200)
            assert len(responses) == 200
            await one.until(lambda: len(one.failures) + one.shed == 200)
            assert {(failure[1], failure[2]) for failure in one.failures} == {(code, OLD)}
            assert 5 <= len(one.failures) <= 12
            counts = {each.arm: each.counts for each in one.arms.taken()}[Arm.SHADOW]
            assert (counts.requests, counts.errors) == (len(one.failures),) * 2
            other.status, other.content = 200, GOOD
            await asyncio.sleep(1.1)
            await one.ask()
            await one.until(lambda: len(one.answers) == 1)

    with caplog.at_level(logging.WARNING):
        asyncio.run(work())
    (said,) = [record.message for record in caplog.records if OLD in record.message]
    assert "fails as a shadow" in said


def test_who_is_slow_keeps_nobody_waiting(
    flower: Path, other: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remotes, "_MOST_WAITING", 8)
    monkeypatch.setattr(remote, "TIMEOUT_S", 0.3)
    other.wait_s = 2.0

    async def work() -> None:
        with scripted(Scripted(GOOD)) as quick:
            async with served(flower, slow=other.url, quick=quick.url) as one:
                begun = time.monotonic()
                for _ in range(10):
                    await one.ask(5)
                    await asyncio.sleep(0.01)
                assert time.monotonic() - begun < 2.0
                await one.until(lambda: len(one.answers) >= 10)
                assert {version for _, version, _ in one.answers} == {"remote:quick"}
                await one.until(lambda: len(one.failures) >= 4)
                assert {(code, v) for _, code, v in one.failures} == {
                    ("deadline-exceeded", "remote:slow")
                }
                assert one.shed >= 30

    asyncio.run(work())


def test_who_is_away_costs_a_try_a_second(flower: Path, free_port: int) -> None:
    async def work() -> None:
        async with served(flower, old=f"http://127.0.0.1:{free_port}/v2/models/x") as one:
            assert len(await one.ask(300)) == 300
            await one.until(lambda: len(one.failures) + one.shed == 300)
            assert len(one.failures) <= 12
            failed = len(one.failures)
            await one.ask(100)
            assert len(one.failures) - failed <= 4

    asyncio.run(work())


def test_who_cannot_be_opened_is_left_alone_too(
    flower: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[float] = []

    def opening(planned: PlannedRemote) -> Runtime:
        tries.append(time.monotonic())
        raise OSError("no certificates")

    async def work() -> None:
        async with served(flower, opening, old="http://127.0.0.1:1/v2/models/x") as one:
            for _ in range(60):
                await one.ask(5)
                await asyncio.sleep(0.005)
            await one.until(lambda: one.shed == 300)
            assert 5 <= len(tries) <= 12
            assert one.failures == []

    asyncio.run(work())
    assert "Traceback" not in caplog.text
    (said,) = [record.message for record in caplog.records if OLD in record.message]
    assert "no certificates" in said


def test_who_ends_does_not_wait_for_a_remote(flower: Path, other: Scripted) -> None:
    other.wait_s = 10.0

    async def work() -> None:
        async with served(flower, old=other.url) as one:
            await one.ask(3)
            await one.until(lambda: any(method == "POST" for method, *_ in other.seen))

    begun = time.monotonic()
    asyncio.run(work())
    assert time.monotonic() - begun < 8


def test_connections_end_where_nothing_comes(
    flower: Path, other: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remotes, "_IDLE_S", 0.05)

    async def work() -> None:
        async with served(flower, old=other.url) as one:
            for n in (1, 2):
                await one.ask()
                await one.until(lambda: len(one.answers) == n)  # noqa: B023 - asked at once
                await asyncio.sleep(0.3)
            assert other.connections == 2

    asyncio.run(work())


def test_a_second_modelway_as_the_shadow_of_the_first(
    tmp_path: Path, iris_bundle: Path, serve: Serve
) -> None:
    second = serve(f"iris={iris_bundle}")
    with controlled(tmp_path / HOME) as control, Homes() as homes:
        linked_bundle(control, iris_bundle, "iris", "1")
        moved(control, "1", "iris")
        control.rollouts.create(Endpoint("iris", "iris@champion"), "ann")
        (tmp_path / "modelway.toml").write_text(
            f'[shadows]\nremotes = "old={second.url}/v2/models/iris"\n'
        )
        up = homes.up(tmp_path, "--no-mlflow")
        shown = up.cli_json("endpoint", "shadow", "iris", "remote:unknown")
        (trouble,) = [one["trouble"] for one in shown["versions"] if one["role"] == "shadow"]
        assert "no setting says where remote:unknown is" in trouble
        shown = up.cli_json("endpoint", "shadow", "iris", OLD)
        assert [one["trouble"] for one in shown["versions"] if one["reference"] == OLD] == [None]

        row = [5.1, 3.5, 1.4, 0.2]
        metadata: Any = up.ask("/v2/models/iris").json
        body = dict(zip([one["name"] for one in metadata["inputs"]], row, strict=True))

        def ask() -> str:
            answer = up.ask("/models/iris/predict", payload=body)
            assert answer.status == 200, answer.body
            return str(answer.headers["modelway-prediction-id"])

        def recorded(columns: str, where: str = "true") -> list[list[Any]]:
            sql = f"select {columns} from predictions where role = 'shadow' and {where}"
            found: list[list[Any]] = up.cli_json("record", "query", sql)["rows"]
            return found

        wait_until(lambda: bool(ask() and recorded("1")))
        ids = {ask() for _ in range(20)}
        wait_until(lambda: ids <= {one for (one,) in recorded("prediction_id")})
        found = recorded("distinct prediction, version, model, digest, status")
        assert found == [["0", OLD, None, None, "ok"]]
        (judged,) = _judged(up)
        assert (judged["reference"], judged["version"]) == (OLD, OLD)
        evidence = {one["metric"]: one for one in judged["verdict"]["evidence"]}
        assert evidence["disagreement"]["estimate"] == 0.0

        second.process.kill()
        second.process.wait()
        for _ in range(60):
            ask()
        wait_until(lambda: recorded("distinct status", "status <> 'ok'") == [["predict-failed"]])
        assert up.log.read_text().count("fails as a shadow") <= 2  # each of two workers


def _judged(up: Up) -> list[Any]:
    """The verdicts, once what shadow and live answered was compared."""

    def verdicts() -> list[Any]:
        found: Any = up.administer("GET", "/endpoints/iris/verdict").json
        return [
            one
            for one in found["verdicts"]
            if "disagreement" in {each["metric"] for each in one["verdict"]["evidence"]}
        ]

    wait_until(lambda: bool(verdicts()), 60.0)
    return verdicts()
