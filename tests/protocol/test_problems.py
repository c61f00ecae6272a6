"""Every error as a problem document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from modelway.domain import errors
from modelway.rest.http import Request, Response
from modelway.rest.problems import STATUSES, problem_of, status_of

REQUEST = Request("the-id", "GET", "/x", headers={})


def tree(kind: type[errors.ModelwayError]) -> Iterator[type[errors.ModelwayError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__.startswith("modelway."):
            yield from tree(child)


def content(response: Response) -> Any:
    return msgspec.json.decode(response.body)


@pytest.mark.parametrize("kind", list(tree(errors.ModelwayError)), ids=lambda kind: kind.__name__)
def test_every_error_has_a_row(kind: type[errors.ModelwayError]) -> None:
    assert kind in STATUSES
    assert 400 <= status_of(kind) < 600


def test_what_a_caller_did_wrong_is_never_our_fault() -> None:
    for kind in (errors.InvalidInput, errors.NotFound, errors.MethodNotAllowed, errors.Conflict):
        assert all(400 <= status_of(one) < 500 for one in tree(kind))


def test_an_error_of_a_class_without_a_row_has_its_groups() -> None:
    class Newer(errors.NotFound):
        pass

    assert status_of(Newer) == 404


def test_a_problem_document() -> None:
    problem = errors.Problem("/3/age", "age", "wrong-type", "'old'", "a number")
    response = problem_of(errors.SignatureMismatch([problem], total=7), REQUEST)
    assert (response.status, response.content_type) == (422, b"application/problem+json")
    assert content(response) == {
        "type": "about:blank",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "age: expected a number, got 'old'; and 4 more",
        "code": "signature-mismatch",
        "request_id": "the-id",
        "errors": [
            {
                "pointer": "/3/age",
                "column": "age",
                "code": "wrong-type",
                "received": "'old'",
                "expected": "a number",
                "message": "age: expected a number, got 'old'",
            }
        ],
        "total": 7,
    }


def test_a_hint_is_passed_on() -> None:
    assert content(problem_of(errors.RouteNotFound("/x"), REQUEST))["hint"]


def test_what_is_allowed_is_said() -> None:
    response = problem_of(errors.MethodNotAllowed("PUT", "/x", ["GET", "POST"]), REQUEST)
    assert response.headers == b"allow: GET, POST\r\n"


def test_what_may_pass_later_says_when_to_try_again() -> None:
    response = problem_of(errors.NotReady("models are being loaded"), REQUEST)
    assert (response.status, response.headers) == (503, b"retry-after: 1\r\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.PredictFailed("secret"), "predict-failed"),
        (errors.LoadFailed("secret", hint="secret"), "load-failed"),
        (errors.MissingExtra("secret", "secret", "secret"), "missing-extra"),
        (ZeroDivisionError("secret"), "internal-error"),
    ],
)
def test_our_own_faults_are_logged_and_not_told(
    error: Exception, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = problem_of(error, REQUEST)
    assert response.status == 500
    assert b"secret" not in response.body
    assert content(response)["code"] == code
    assert "the-id" in content(response)["detail"]
    (record,) = caplog.records
    assert vars(record)["request_id"] == "the-id"
    assert record.exc_info is not None
    assert record.exc_info[1] is error
