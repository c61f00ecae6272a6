"""Requests of one turn answered together: the same bytes, whatever turns out on the way."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from modelway.domain.errors import Forbidden
from modelway.domain.inference import InferenceRequest
from modelway.endpoints.router import EndpointRouter
from modelway.inference.dataplane import DataPlane
from modelway.inference.loading import LoadedModel
from modelway.inference.ports import Answered
from modelway.rest.connection import Connection
from modelway.rest.predictions import Predictions
from modelway.rest.problems import problem_of
from modelway.rest.server import Server
from modelway.settings import RestSettings
from support.doors import door_app
from support.served import FLOWER, compiled_bundle, flower_graph, loaded, plane_of

BODIES = (
    b'{"sepal_length": 5.5, "petal_width": 0.5}',
    b'{"sepal_length": 4.5, "petal_width": 1.5}',
    b'{"petal_width": 2.4, "sepal_length": 6.5}',
    b'{"sepal_length": 6.5, "petal_width": "x"}',
    b'{"sepal_length": 6.5, "petal_wodth": 1.5}',
    b'[{"sepal_length":5.5,"petal_width": 0.5}]',
    b'{"sepal_length": 1e9, "petal_width": 1.5}',
    b'{"sepal_length": 4.5, "petal_width": 1.5 ',
    b"\xff" * 41,
)
ENDPOINT = "flower"
PATHS = (f"/models/{ENDPOINT}/predict", "/predict")


class Diary:
    """An observer and an admission that write down what they are asked."""

    def __init__(self) -> None:
        self.answered_at_once: list[int] = []
        self.failures = 0
        self.admitted = 0
        self.refuses = False

    def answered(self, answered: Sequence[Answered]) -> None:
        self.answered_at_once.append(len(answered))

    def failed(
        self,
        request: InferenceRequest,
        error: Exception,
        seconds: float,
        version: str | None = None,
    ) -> None:
        self.failures += 1

    def principal(self, endpoint: str, headers: Mapping[str, str]) -> str | None:
        self.admitted += 1
        if self.refuses:
            raise Forbidden("not you")
        return None


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder: Path = tmp_path_factory.mktemp("models") / "flower"
    return loaded(compiled_bundle(folder, flower_graph(), FLOWER, classes=(0, 1, 2)), ENDPOINT)


class Served:
    """A server in this loop, and callers of it; what several ask at once comes in one turn."""

    def __init__(self, *models: LoadedModel) -> None:
        self.diary = Diary()
        self.plane: DataPlane = plane_of(models, observers=[self.diary], admission=self.diary)
        routes = list(Predictions(self.plane, RestSettings(), {}).routes(None))
        app = door_app(self.plane, RestSettings(), routes, {"/": problem_of})
        self.counted: list[tuple[int, int]] = []
        self.server = Server(app.answer, max_body_bytes=1_000_000, observe=self._observe)
        self.server.refusal = app.refusal
        self.ours: list[socket.socket] = []

    def _observe(
        self, status: int, seconds: Sequence[float], came: Sequence[int], sent: Sequence[int]
    ) -> None:
        assert len(seconds) == len(came) == len(sent)
        assert all(0 <= one < 60 for one in seconds)
        self.counted.append((status, len(came)))

    async def __aenter__(self) -> Served:
        return self

    async def __aexit__(self, *_: object) -> None:
        for ours in self.ours:
            ours.close()
        await self.server.drain(5)

    async def connect(self, callers: int) -> None:
        for _ in range(callers):
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            self.ours.append(ours)
            await self.server.loop.connect_accepted_socket(lambda: Connection(self.server), theirs)

    async def asked(self, bodies: Sequence[bytes], path: str = PATHS[0]) -> list[bytes]:
        """The answers to one body of each caller, all sent before the server looks."""
        for ours, body in zip(self.ours, bodies, strict=False):
            ours.send(_request(path, body))
        return [await _answer(ours) for ours in self.ours[: len(bodies)]]


def _request(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def _answer(ours: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    whole = b""
    while True:
        whole += await asyncio.wait_for(loop.sock_recv(ours, 65536), 10)
        head, end, body = whole.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if end and length and len(body) == int(length[1]):
            return whole


def _anonymous(answer: bytes) -> bytes:
    """An answer without what no two have in common."""
    named = re.sub(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}", b"ID", answer)
    return re.sub(rb"date: [^\r]*", b"date", named)


@pytest.mark.parametrize("path", PATHS)
def test_whatever_is_asked_is_answered_together_as_alone(model: LoadedModel, path: str) -> None:
    async def work() -> tuple[list[bytes], list[bytes], Diary]:
        async with Served(model) as alone, Served(model) as together:
            alone.server.one_by_one = True
            for one in (alone, together):
                await one.connect(len(BODIES))
                await one.asked(BODIES, path)  # from now on their heads are known
                one.diary.answered_at_once.clear()
            expected = await alone.asked(BODIES, path)
            return expected, await together.asked(BODIES, path), together.diary

    expected, found, diary = asyncio.run(work())
    assert [_anonymous(one) for one in found] == [_anonymous(one) for one in expected]
    statuses = [int(one.split(b" ", 2)[1]) for one in found]
    assert statuses[:3] == [200] * 3
    assert {422, 400} <= set(statuses)
    assert max(diary.answered_at_once) > 1, "nothing was answered together"


def test_every_answer_has_an_id_of_its_own_and_is_counted_once(model: LoadedModel) -> None:
    async def work() -> tuple[list[bytes], Served]:
        async with Served(model) as served:
            await served.connect(3)
            await served.asked(BODIES[:3])
            served.diary.admitted = 0
            served.counted.clear()
            return await served.asked(BODIES[:3]), served

    found, served = asyncio.run(work())
    ids = [json.loads(one.partition(b"\r\n\r\n")[2])["prediction_id"] for one in found]
    assert len(set(ids)) == 3
    for one, own in zip(found, ids, strict=True):
        assert f"modelway-request-id: {own}\r\n".encode() in one
        assert f"modelway-prediction-id: {own}\r\n".encode() in one
    assert served.counted == [(200, 3)]
    assert served.diary.admitted == 3


def test_a_body_that_goes_the_full_way_is_admitted_once(model: LoadedModel) -> None:
    async def work() -> int:
        async with Served(model) as served:
            await served.connect(1)
            await served.asked(BODIES[:1])
            served.diary.admitted = 0
            await served.asked(BODIES[3:4])
            return served.diary.admitted

    assert asyncio.run(work()) == 1


def test_who_may_not_ask_is_refused(model: LoadedModel) -> None:
    async def work() -> list[bytes]:
        async with Served(model) as served:
            await served.connect(2)
            await served.asked(BODIES[:2])
            served.diary.refuses, served.diary.admitted = True, 0
            answers = await served.asked(BODIES[:2])
            assert (served.diary.admitted, served.diary.failures) == (2, 2)
            return answers

    for one in asyncio.run(work()):
        assert one.startswith(b"HTTP/1.1 403 ")


def test_who_has_left_is_not_asked_for(model: LoadedModel) -> None:
    async def work() -> tuple[list[bytes], Diary]:
        async with Served(model) as served:
            await served.connect(3)
            await served.asked(BODIES[:3])
            served.diary.answered_at_once.clear()
            for ours, body in zip(served.ours, BODIES, strict=False):
                ours.send(_request(PATHS[0], body))
            for connection in list(served.server.connections)[:1]:
                served.server.loop.call_soon(
                    connection.data_received, _request(PATHS[0], BODIES[0])
                )
                served.server.loop.call_soon(connection.connection_lost, None)
            answers = []
            for ours in served.ours:
                try:
                    answers.append(await asyncio.wait_for(_answer(ours), 1))
                except (TimeoutError, OSError):
                    continue
            return answers, served.diary

    answers, diary = asyncio.run(work())
    assert len(answers) == 2
    assert sum(diary.answered_at_once) == 2


def test_what_was_sent_behind_is_answered_behind(model: LoadedModel) -> None:
    async def work() -> bytes:
        async with Served(model) as served:
            await served.connect(1)
            await served.asked(BODIES[:1])
            (ours,) = served.ours
            ours.send(_request(PATHS[0], BODIES[0]))
            await asyncio.sleep(0)
            ours.send(_request(PATHS[0], BODIES[1]) + _request(PATHS[0], BODIES[3]))
            whole = b""
            while whole.count(b"HTTP/1.1 ") < 3:
                whole += await served.server.loop.sock_recv(ours, 65536)
            return whole

    statuses = re.findall(rb"HTTP/1.1 (\d+)", asyncio.run(work()))
    assert statuses == [b"200", b"200", b"422"]


def test_a_fault_in_answering_together_leaves_nobody_waiting(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> list[bytes]:
        async with Served(model) as served:
            await served.connect(2)
            await served.asked(BODIES[:2])

            def faulty(*_: object) -> None:
                raise RuntimeError("a fault")

            monkeypatch.setattr(served.plane, "infer_together", faulty)
            return await served.asked(BODIES[:2])

    for one in asyncio.run(work()):
        assert one.startswith(b"HTTP/1.1 200 ")


async def after(
    served: Served, change: Callable[[], object], path: str = PATHS[0]
) -> tuple[bytes, bool]:
    """The answer to a request after which something changes in the same turn of the loop."""
    await served.connect(1)
    await served.asked(BODIES[:1], path)
    (connection,) = served.server.connections
    connection.data_received(_request(path, BODIES[0]))
    waited = connection.waits
    change()
    return await _answer(served.ours[0]), waited


def test_what_is_removed_meanwhile_is_not_found(model: LoadedModel) -> None:
    async def work() -> tuple[bytes, bool]:
        async with Served(model) as served:
            router = served.plane.router
            assert isinstance(router, EndpointRouter)
            return await after(served, lambda: router.remove(ENDPOINT))

    answer, waited = asyncio.run(work())
    assert waited, "it was to be answered with others"
    assert answer.startswith(b"HTTP/1.1 404 ")


def test_another_default_answers_from_the_moment_it_is_one(model: LoadedModel) -> None:
    other = copy.copy(model)
    other.name = "other"

    async def work() -> tuple[bytes, bool]:
        async with Served(model, other) as served:
            router = served.plane.router
            assert isinstance(router, EndpointRouter)
            return await after(served, lambda: setattr(router, "_default", "other"), "/predict")

    answer, waited = asyncio.run(work())
    assert waited
    assert b"modelway-endpoint: other\r\n" in answer


def test_a_server_that_ends_meanwhile_answers_and_closes(model: LoadedModel) -> None:
    async def work() -> tuple[bytes, bool]:
        async with Served(model) as served:
            return await after(served, lambda: setattr(served.server, "draining", True))

    answer, waited = asyncio.run(work())
    assert waited
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close\r\n" in answer


def test_who_the_router_sends_elsewhere_is_answered_there(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = copy.copy(model)
    canary.version = "canary"

    async def work() -> tuple[list[bytes], Diary]:
        async with Served(model) as served:
            await served.connect(3)
            await served.asked(BODIES[:3])
            served.diary.answered_at_once.clear()

            def choose(request: InferenceRequest, live: LoadedModel) -> LoadedModel:
                return canary if request.table.matrix[0, 0] == 4.5 else live

            monkeypatch.setattr(served.plane.router, "choose", choose)
            return await served.asked(BODIES[:3]), served.diary

    answers, diary = asyncio.run(work())
    assert [b"modelway-version: canary" in one for one in answers] == [False, True, False]
    assert sorted(diary.answered_at_once) == [1, 2]


def test_several_endpoints_are_answered_in_one_turn(model: LoadedModel) -> None:
    other = copy.copy(model)
    other.name = "other"

    async def work() -> list[bytes]:
        async with Served(model, other) as served:
            await served.connect(4)
            paths = [f"/models/{name}/predict" for name in (ENDPOINT, "other")] * 2
            for _ in range(2):
                for ours, path in zip(served.ours, paths, strict=True):
                    ours.send(_request(path, BODIES[0]))
                answers = [await _answer(ours) for ours in served.ours]
            return answers

    found = [re.search(rb"modelway-endpoint: (\w+)", one) for one in asyncio.run(work())]
    assert [one and one[1] for one in found] == [b"flower", b"other"] * 2


def test_no_more_are_answered_at_once_than_may_take_the_loop(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> Diary:
        async with Served(model) as served:
            await served.connect(5)
            await served.asked(BODIES[:1] * 5)
            served.diary.answered_at_once.clear()
            monkeypatch.setattr(model.execution, "_inline_units", 2)
            answers = await served.asked(BODIES[:1] * 5)
            assert all(one.startswith(b"HTTP/1.1 200 ") for one in answers)
            return served.diary

    assert asyncio.run(work()).answered_at_once == [2, 2, 1]
