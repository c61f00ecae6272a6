"""The door of the Open Inference Protocol: what is ready, and how errors look."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelway.domain import errors
from modelway.domain.errors import ModelwayError, Problem
from modelway.inference.dataplane import DataPlane
from modelway.inference.statistics import Statistics
from modelway.rest import oip
from modelway.rest.error_texts import error_text
from modelway.rest.http import Request
from modelway.settings import RestSettings
from support.asgi import asking, good
from support.doors import door_app
from support.live import Ask
from support.served import FLOWER, compiled_bundle, flower_graph, loaded, plane_of


@pytest.fixture
def plane(tmp_path: Path) -> DataPlane:
    bundle = compiled_bundle(tmp_path / "flower", flower_graph(), FLOWER, classes=(0, 1, 2))
    return plane_of([loaded(bundle, "flower")])


@pytest.fixture
def ask(plane: DataPlane) -> Ask:
    routes = oip.routes(plane, RestSettings(), Statistics())
    return asking(door_app(plane, RestSettings(), routes, {"/v2": error_text}))


def test_a_model_that_cannot_be_opened_is_not_ready(plane: DataPlane, ask: Ask) -> None:
    entry = plane.router.live("flower")
    assert good(ask("/v2/models/flower/ready")) == {"name": "flower", "ready": True}
    entry.model = None  # it is opened when it is asked
    assert good(ask("/v2/models/flower/ready"))["ready"] is True
    entry.fault = errors.LoadFailed("its file is torn")
    answer = ask("/v2/models/flower/ready")
    assert (answer.status, answer.json) == (503, {"name": "flower", "ready": False})


def test_metadata_does_not_need_an_open_model(plane: DataPlane, ask: Ask) -> None:
    entry = plane.router.live("flower")
    before = good(ask("/v2/models/flower"))
    entry.model = None
    assert good(ask(f"/v2/models/flower/versions/{entry.version}")) == before
    assert entry.model is None


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (
            errors.SignatureMismatch(
                [Problem(f"/{k}", f"c{k}", "missing", None, "a number") for k in range(4)], total=9
            ),
            400,
            "c0: expected a number, nothing came; c1: expected a number, nothing came; "
            "c2: expected a number, nothing came; c3: expected a number, nothing came; and 5 more",
        ),
        (errors.InputRefused("the model refuses these values"), 400, "the model refuses these"),
        (errors.InvalidInput("no", hint="say yes"), 400, "no (say yes)"),
        (errors.PayloadTooLarge("too much"), 413, "too much"),
        (errors.EndpointNotFound("a", ["b"]), 404, "no endpoint is called 'a'"),
        (errors.QueueFull("full"), 503, "full"),
        (errors.DeadlineExceeded("late"), 504, "late"),
        (errors.PredictFailed("secret"), 500, "request id"),
        (errors.LoadFailed("secret"), 500, "request id"),
        (KeyError("secret"), 500, "request id"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_is_an_object_of_one_message(
    error: Exception, status: int, message: str
) -> None:
    response = error_text(error, Request("7", "POST", "/v2", headers={}))
    content: dict[str, Any] = json.loads(response.body)
    assert (response.status, list(content)) == (status, ["error"])
    assert message in content["error"]
    assert "secret" not in content["error"]
    assert response.content_type == b"application/json"
    retryable = isinstance(error, ModelwayError) and error.retryable
    assert (b"retry-after: 1\r\n" in response.headers) is retryable
