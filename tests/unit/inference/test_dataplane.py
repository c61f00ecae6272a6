"""The data plane: who answers, who is told, who may."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from modelway.domain.errors import (
    EndpointNotFound,
    IdempotencyMismatch,
    ModelwayError,
    PredictFailed,
    VersionNotFound,
)
from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Table
from modelway.inference.dataplane import DataPlane
from modelway.inference.loading import LoadedModel
from modelway.inference.own_ids import OwnIds
from modelway.inference.ports import Answered
from modelway.rest.app import create_app
from modelway.settings import RestSettings
from support.asgi import asking, problem
from support.served import (
    FLOWER,
    compiled_bundle,
    flower_graph,
    function_bundle,
    loaded,
    plane_of,
)

NUMBERS = Signature(columns=(Column("a", "a", Datatype.FP64),))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[LoadedModel]:
    folder: Path = tmp_path_factory.mktemp("models")
    flower = compiled_bundle(folder / "flower", flower_graph(), FLOWER, classes=(0, 1, 2))
    source = "def picky(a):\n    return a if a else 1 / a\n"
    picky = function_bundle(folder / "picky", source, "picky", NUMBERS)
    return [loaded(flower, "flower"), loaded(picky, "picky")]


class Diary:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def answered(self, answered: Sequence[Answered]) -> None:
        for _, response, seconds in answered:
            assert seconds >= 0
            self.told.append(("answered", response.prediction_id))

    def failed(
        self,
        request: InferenceRequest,
        error: ModelwayError,
        seconds: float,
        version: str | None = None,
    ) -> None:
        assert seconds >= 0
        self.told.append(("failed", error.code))


class Broken(Diary):
    """An observer with a fault."""

    def answered(self, answered: Sequence[Answered]) -> None:
        raise RuntimeError("broken")


class Doorkeeper:
    """An admission that knows one name."""

    def principal(self, endpoint: str, headers: Mapping[str, str]) -> str | None:
        return f"{headers['who']} at {endpoint}"


def request(endpoint: str, width: int = 2, value: float = 1.5, **options: str) -> InferenceRequest:
    signature = FLOWER if width == 2 else NUMBERS
    table = Table(signature, 1, matrix=np.full((1, width), value))
    return InferenceRequest(endpoint, table, **options)  # type: ignore[arg-type] # only texts


def plane(models: list[LoadedModel], *observers: Diary) -> DataPlane:
    return plane_of(models, observers=observers)


def inferred(told: DataPlane, asked: InferenceRequest) -> InferenceResponse:
    async def infer() -> InferenceResponse:
        return await told.infer(asked, await told.opened(asked.endpoint))

    return asyncio.run(infer())


def test_an_answer_says_who_gave_it(models: list[LoadedModel]) -> None:
    response = inferred(plane(models), request("flower"))
    assert (response.endpoint, response.version) == ("flower", models[0].bundle.digest)
    assert response.outputs["class_index"].tolist() == [1]
    assert response.classes == (0, 1, 2)
    assert len(response.prediction_id) == 36
    brought = inferred(plane(models), request("flower", prediction_id="mine"))
    assert brought.prediction_id == "mine"


def test_a_version_that_there_is_not_is_not_answered_by_another(models: list[LoadedModel]) -> None:
    asked = plane(models)
    with pytest.raises(VersionNotFound, match="no version '7'"):
        asyncio.run(asked.opened("flower", "7"))
    assert asyncio.run(asked.opened("flower", models[0].version)) is models[0]


def test_observers_are_told_of_answers_and_failures(models: list[LoadedModel]) -> None:
    diary = Diary()
    told = plane(models, diary)
    inferred(told, request("flower", prediction_id="one"))
    with pytest.raises(PredictFailed):
        inferred(told, request("picky", 1, 0.0))
    assert diary.told == [("answered", "one"), ("failed", "predict-failed")]


def test_observers_are_told_of_what_a_door_refused(models: list[LoadedModel]) -> None:
    diary = Diary()
    told = plane(models, diary)
    app = create_app(
        told,
        RestSettings(),
        pages={},
        templates={"/f/{petal width}/{sepal_length}": "flower"},
        output_names={},
    )
    ask = asking(app)
    problem(ask("/predict", payload={"petal_width": "x"}), 422)
    problem(ask("/predict", body=b"{", method="POST"), 400)
    problem(ask("/predict?petal_width=x"), 422)
    problem(ask("/f/x/1"), 422)
    problem(
        ask(
            "/predict",
            payload={"petal_width": 1, "sepal_length": 5},
            headers={"modelway-prediction-id": " "},
        ),
        400,
    )
    assert [code for _, code in diary.told] == [
        *("signature-mismatch", "malformed-payload", "signature-mismatch", "signature-mismatch"),
        "invalid-input",
    ]


class Ledger(Diary):
    """An observer that writes down whose requests failed, and under which ids."""

    def failed(
        self,
        request: InferenceRequest,
        error: ModelwayError,
        seconds: float,
        version: str | None = None,
    ) -> None:
        self.told.append((request.prediction_id or "", request.principal or ""))


@pytest.mark.parametrize(
    "path",
    [
        "/predict",
        "/predict?petal_width=x",
        "/v2/models/flower/infer",
        "/v1/models/flower:predict",
        "/invocations",
    ],
)
def test_what_is_refused_is_told_of_as_its_caller_knows_it(
    models: list[LoadedModel], path: str
) -> None:
    ledger = Ledger()
    told = plane_of(models, observers=[ledger], admission=Doorkeeper())
    app = create_app(told, RestSettings(), pages={}, templates={}, output_names={})
    body = None if "?" in path else b"{"
    headers = {"who": "ann", "content-type": "application/json"}
    answer = asking(app)(path, body=body, headers=headers)
    assert answer.status in (400, 422)
    assert ledger.told == [(answer.headers["modelway-request-id"], "ann at flower")]


def test_an_id_that_came_with_other_inputs_is_not_that_of_the_refusal(
    models: list[LoadedModel], tmp_path: Path
) -> None:
    ledger = Ledger()
    bare = plane(models)
    ids = OwnIds(tmp_path / "ids", 64)
    told = DataPlane(bare.router, bare.catalogue, [ledger], own_ids=ids)
    for value in (1.0, 2.0):
        asked = request("flower", 2, value, prediction_id="mine", principal="ann")
        asked.has_own_id = True
        with pytest.raises(IdempotencyMismatch) if value > 1 else nullcontext():
            inferred(told, asked)
    assert ledger.told == [("answered", "mine"), ("", "ann")]


def test_a_broken_observer_costs_nobody_the_answer(
    models: list[LoadedModel], caplog: pytest.LogCaptureFixture
) -> None:
    diary = Diary()
    told = plane(models, Broken(), diary)
    response = inferred(told, request("flower", prediction_id="one"))
    assert response.prediction_id == "one"
    assert diary.told == [("answered", "one")]
    assert "an observer failed" in caplog.text


def test_the_admission_says_who_calls(models: list[LoadedModel]) -> None:
    guarded = plane_of(models, admission=Doorkeeper())
    assert guarded.admit("flower", {"who": "ada"}) == "ada at flower"
    assert plane(models).admit("flower", {}) is None


def test_the_default_is_the_first_or_the_named(models: list[LoadedModel]) -> None:
    assert plane_of(models).router.default() == "flower"
    assert plane_of(models, "picky").router.default() == "picky"
    assert plane_of([]).router.default() is None
    with pytest.raises(EndpointNotFound):
        plane_of(models, "nobody")


def test_closing_twice_does_no_harm(tmp_path: Path) -> None:
    flower = compiled_bundle(tmp_path / "flower", flower_graph(), FLOWER, classes=(0, 1, 2))
    closing = plane([loaded(flower, "flower")])
    assert closing.close()
    assert closing.close()
