"""Errors survive the way over HTTP: written by the service, read by the client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from modelway.client.problems import error_of
from modelway.domain import errors
from modelway.domain.errors import ModelwayError, Problem, SignatureMismatch
from modelway.rest.http import Request
from modelway.rest.problems import problem_of

URL = "http://127.0.0.1:8080"
REQUEST = Request("0190", "POST", "/predict", headers={})


def tree(root: type[ModelwayError]) -> Iterator[type[ModelwayError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


@pytest.mark.parametrize("kind", list(tree(ModelwayError)), ids=lambda kind: kind.code)
def test_every_error_is_raised_again_as_itself(kind: type[ModelwayError]) -> None:
    if kind is SignatureMismatch:
        return
    sent = kind.__new__(kind)
    ModelwayError.__init__(sent, "what went wrong", hint="what to do")
    if isinstance(sent, errors.MethodNotAllowed):
        sent.allowed = ("GET",)
    response = problem_of(sent, REQUEST)
    found = error_of(response.status, response.body, URL)
    assert type(found) is kind
    if response.status != 500:
        assert (found.message, found.hint) == ("what went wrong", "what to do")


def test_problems_keep_their_places_and_count_the_callers_rows() -> None:
    sent = SignatureMismatch(
        [
            Problem("/data/3/0", "age", "wrong-type", "'x'", "a number"),
            Problem("/4/a~1b", "a/b", "missing", None, "a number"),
            Problem("/columns", "town", "missing", None, "text"),
        ],
        total=7,
    )
    response = problem_of(sent, REQUEST)
    same = error_of(response.status, response.body, URL)
    assert isinstance(same, SignatureMismatch)
    assert (same.problems, same.total) == (sent.problems, 7)
    moved = error_of(response.status, response.body, URL, first_row=100)
    assert isinstance(moved, SignatureMismatch)
    assert [one.pointer for one in moved.problems] == ["/data/103/0", "/104/a~1b", "/columns"]


def test_the_log_is_named_where_the_model_failed() -> None:
    response = problem_of(errors.PredictFailed("secret"), REQUEST)
    found = error_of(response.status, response.body, URL)
    assert "0190" in str(found.hint)
    assert "secret" not in found.message


@pytest.mark.parametrize(
    ("status", "kind"),
    [(502, errors.Unavailable), (404, errors.NotFound), (401, errors.InvalidInput)],
)
def test_what_is_no_problem_document_goes_by_its_status(
    status: int, kind: type[ModelwayError]
) -> None:
    found = error_of(status, b"<html>proxy</html>", URL)
    assert type(found) is kind
    assert URL in found.message
    assert str(status) in found.message
