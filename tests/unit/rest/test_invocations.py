"""What `/invocations` answers to whom, and how an error looks there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelway.domain import errors
from modelway.domain.errors import ModelwayError, Problem, SignatureMismatch
from modelway.rest import invocations
from modelway.rest.http import Request
from modelway.rest.invocations import accepted, refusal
from modelway.settings import RestSettings
from support.asgi import asking
from support.doors import door_app
from support.live import Ask
from support.served import (
    FLOWER,
    compiled_bundle,
    flower_graph,
    loaded,
    plane_of,
)

LINES = "application/jsonlines"
PATHS = ("/invocations", "/ping", "/health", "/version")


@pytest.fixture(scope="module", params=[False, True], ids=["mlflow", "sagemaker"])
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    folder: Path = tmp_path_factory.mktemp("iris") / "iris"
    model = loaded(compiled_bundle(folder, flower_graph(), FLOWER, classes=(0, 1, 2)), "iris")
    plane, settings = plane_of([model]), RestSettings(max_rows=1000)
    routes = invocations.routes(plane, settings, sagemaker=request.param)
    return asking(door_app(plane, settings, routes, dict.fromkeys(PATHS, refusal)))


def answer(ask: Ask, body: str, **headers: str) -> tuple[int, str, str]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    found = ask("/invocations", body=body.encode(), headers=sent)
    return found.status, found.headers["content-type"], found.body.decode()


class TestTypes:
    @pytest.mark.parametrize(
        "accept", [None, "*/*", "application/json", "image/png", "x", "text/*"]
    )
    def test_json_is_answered_with_json(self, door: Ask, accept: str | None) -> None:
        sent = {} if accept is None else {"accept": accept}
        body = json.dumps({"instances": [[5, 2.2], [5, 0.2]]})
        kind, text = "application/json", '{"predictions":[2,0]}'
        assert answer(door, body, content_type=kind, **sent) == (200, kind, text)

    def test_csv_without_a_header_is_answered_with_csv(self, door: Ask) -> None:
        kind = "text/csv; charset=utf-8"
        assert answer(door, "5,2.2\n5,0.2\n", content_type="text/csv") == (200, kind, "2\n0\n")

    def test_csv_with_a_header_is_answered_as_its_server_does(
        self, door: Ask, request: pytest.FixtureRequest
    ) -> None:
        body = "sepal_length,petal_width\n5,2.2\n"
        found = answer(door, body, content_type="text/csv")
        if "sagemaker" in request.node.name:
            assert found == (200, "text/csv; charset=utf-8", "2\n")
        else:
            assert found == (200, "application/json", '{"predictions":[2]}')

    @pytest.mark.parametrize(
        ("accept", "kind", "text"),
        [
            ("text/csv", "text/csv; charset=utf-8", "2\n"),
            ("application/json", "application/json", '{"predictions":[2]}'),
            ("application/x-jsonlines", LINES, '{"prediction":2}\n'),
            ("application/json;q=0.1, text/csv", "text/csv; charset=utf-8", "2\n"),
        ],
    )
    @pytest.mark.parametrize(
        ("came", "body"),
        [
            ("text/csv", "5,2.2\n"),
            ("application/json", '{"instances":[{"features":[5,2.2]}]}'),
            (LINES, '{"features":[5,2.2]}\n'),
        ],
    )
    def test_accept_decides(
        self, door: Ask, came: str, body: str, accept: str, kind: str, text: str
    ) -> None:
        assert answer(door, body, content_type=came, accept=accept) == (200, kind, text)

    def test_lines_are_answered_with_lines(self, door: Ask) -> None:
        body = '{"sepal_length":5,"petal_width":2.2}\n[5,0.2]\n'
        text = '{"prediction":2}\n{"prediction":0}\n'
        assert answer(door, body, content_type=LINES) == (200, LINES, text)

    def test_many_rows_are_all_answered(self, door: Ask) -> None:
        rows = [[5, k % 3] for k in range(1000)]
        body = json.dumps(
            {"dataframe_split": {"columns": ["sepal_length", "petal_width"], "data": rows}}
        )
        status, _, text = answer(door, body, content_type="application/json")
        assert status == 200
        assert json.loads(text)["predictions"] == [k % 3 for k in range(1000)]
        status, _, text = answer(
            door, body.replace("]]", "],[5,1]]"), content_type="application/json"
        )
        assert (status, json.loads(text)["error_code"]) == (413, "BAD_REQUEST")

    @pytest.mark.parametrize(
        ("content_type", "said"),
        [
            ("text/plain", "text/plain"),
            ("application/json; charset=latin-1", "UTF-8"),
            ("application/json; a=b", "parameters: a"),
            ("image/png", "image/png"),
        ],
    )
    def test_a_type_that_is_not_read_is_said_in_plain_text(
        self, door: Ask, content_type: str, said: str
    ) -> None:
        status, kind, text = answer(door, "{}", content_type=content_type)
        assert (status, kind) == (415, "text/plain; charset=utf-8")
        assert said in text

    def test_the_answer_is_named(self, door: Ask) -> None:
        headers = {"modelway-prediction-id": "order-7"}
        found = door("/invocations", payload={"instances": [[5, 1]]}, headers=headers)
        assert found.headers["modelway-prediction-id"] == "order-7"
        assert found.headers["modelway-endpoint"] == "iris"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (b"text/csv", "text/csv"),
        (b"TEXT/CSV ; q=0.5", "text/csv"),
        (b"text/csv;q=0.5, application/json", "application/json"),
        (b"text/html, text/csv;q=0.9, */*;q=0.1", "text/csv"),
        (b"*/*, text/csv;q=0.5", None),
        (b"application/jsonl", LINES),
        (b"text/csv;q=0", None),
        (b"image/png", None),
        (b"", None),
        (b"\xff,;=q,q=,", None),
    ],
)
def test_the_type_that_accept_likes_best(accept: bytes, kind: str | None) -> None:
    assert accepted(accept) == kind


class TestHealth:
    def test_what_is_ready_says_so(self, door: Ask) -> None:
        for path in ("/ping", "/health"):
            found = door(path)
            assert (found.status, found.body) == (200, b"\n")
        assert door("/version").body == b"3.17.2"

    @pytest.mark.parametrize("sagemaker", [False, True])
    def test_without_a_model_mlflow_is_not_well_and_sagemaker_is(self, sagemaker: bool) -> None:
        plane, settings = plane_of([]), RestSettings()
        routes = invocations.routes(plane, settings, sagemaker=sagemaker)
        ask = asking(door_app(plane, settings, routes, dict.fromkeys(PATHS, refusal)))
        assert ask("/ping").status == (200 if sagemaker else 404)
        found = ask("/invocations", payload={"instances": [[5, 1]]})
        said: Any = found.json
        assert (found.status, said["error_code"]) == (404, "ENDPOINT_NOT_FOUND")

    def test_a_model_that_cannot_be_opened_is_not_well(self, tmp_path: Path) -> None:
        bundle = compiled_bundle(tmp_path / "iris", flower_graph(), FLOWER, classes=(0, 1, 2))
        plane, settings = plane_of([loaded(bundle, "iris")]), RestSettings()
        entry = plane.router.live("iris")
        entry.model, entry.fault = None, errors.LoadFailed("secret")
        routes = invocations.routes(plane, settings)
        ask = asking(door_app(plane, settings, routes, dict.fromkeys(PATHS, refusal)))
        found = ask("/ping")
        said: Any = found.json
        assert (found.status, said["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        assert b"secret" not in found.body


PROBLEMS = [Problem(f"/{k}/a", "a", "wrong-type", "'x'", "a number") for k in range(5)]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.MalformedPayload("x"), 400, "BAD_REQUEST"),
        (SignatureMismatch(PROBLEMS), 400, "BAD_REQUEST"),
        (
            SignatureMismatch([*PROBLEMS, Problem("/b", "b", "missing", None, "a number")]),
            400,
            "INVALID_PARAMETER_VALUE",
        ),
        (errors.InputRefused("x"), 400, "BAD_REQUEST"),
        (errors.PayloadTooLarge("x"), 413, "BAD_REQUEST"),
        (errors.Unauthenticated("x"), 401, "UNAUTHENTICATED"),
        (errors.Forbidden("x"), 403, "PERMISSION_DENIED"),
        (errors.EndpointNotFound("x", []), 404, "ENDPOINT_NOT_FOUND"),
        (errors.MethodNotAllowed("GET", "/invocations", ["POST"]), 405, "BAD_REQUEST"),
        (errors.TargetExists("x"), 409, "RESOURCE_CONFLICT"),
        (errors.QueueFull("x"), 503, "TEMPORARILY_UNAVAILABLE"),
        (errors.DeadlineExceeded("x"), 504, "DEADLINE_EXCEEDED"),
        (errors.OutOfMemory("x"), 507, "RESOURCE_EXHAUSTED"),
        (errors.PredictFailed("secret"), 500, "INTERNAL_ERROR"),
        (ValueError("secret"), 500, "INTERNAL_ERROR"),
    ],
)
def test_an_error_has_mlflows_form(error: Exception, status: int, code: str) -> None:
    found = refusal(error, Request("r-1", "POST", "/invocations", headers={}))
    said = json.loads(found.body)
    assert set(said) == {"error_code", "message"}
    assert (found.status, said["error_code"]) == (status, code)
    assert "secret" not in said["message"]
    if isinstance(error, SignatureMismatch):
        assert all(problem.message in said["message"] for problem in error.problems)
    if isinstance(error, ModelwayError) and error.retryable:
        assert found.headers == b"retry-after: 1\r\n"


def test_problems_that_are_not_listed_are_counted() -> None:
    found = refusal(
        SignatureMismatch(PROBLEMS, total=9), Request("r-1", "POST", "/invocations", headers={})
    )
    assert json.loads(found.body)["message"].endswith("; and 4 more")
