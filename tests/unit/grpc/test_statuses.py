from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from grpc import StatusCode

from modelway.domain import errors
from modelway.domain.errors import ModelwayError, Problem
from modelway.grpc.statuses import INTERNAL, STATUSES, status_of, told

METHOD = "inference.GRPCInferenceService/ModelInfer"


def _tree(kind: type[ModelwayError] = ModelwayError) -> Iterator[type[ModelwayError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _tree(below)


KINDS = list(_tree())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_row(kind: type[ModelwayError]) -> None:
    assert kind in STATUSES
    assert STATUSES[kind] is not StatusCode.OK
    assert STATUSES[kind] is not StatusCode.UNKNOWN


def test_a_class_of_elsewhere_has_the_status_of_the_nearest_above() -> None:
    class Strange(errors.EndpointNotFound):
        pass

    assert status_of(Strange) is StatusCode.NOT_FOUND


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_clients_repeat_by_themselves_is_retryable(kind: type[ModelwayError]) -> None:
    if STATUSES[kind] is StatusCode.UNAVAILABLE:
        assert kind.retryable


def test_the_hint_is_told() -> None:
    said = told(errors.MalformedPayload("broken", hint="mend it"), METHOD, "1")
    assert (said.status, said.code) == (StatusCode.INVALID_ARGUMENT, "malformed-payload")
    assert said.message == "broken (mend it)"


def test_every_problem_is_told() -> None:
    problems = [Problem(f"/{k}", f"column {k}", "missing", None, "a number") for k in range(7)]
    said = told(errors.SignatureMismatch(problems, total=9), METHOD, "1")
    assert all(one.message in said.message for one in problems)
    assert said.message.endswith("; and 2 more")


@pytest.mark.parametrize("text", ["x" * 10_000, "ä" * 10_000, "😀" * 10_000, "%\n" * 10_000])
def test_a_message_is_cut_to_what_a_client_takes(text: str) -> None:
    said = told(errors.InvalidInput(text), METHOD, "1")
    sent = "".join(
        one if " " <= one <= "~" and one != "%" else "%00" * len(one.encode())
        for one in said.message
    )
    assert 4000 < len(sent) <= 4096 + 3
    assert said.message.endswith("...")


def test_half_a_character_is_replaced() -> None:
    assert told(errors.InvalidInput("a\ud800b"), METHOD, "1").message == "a?b"


@pytest.mark.parametrize(
    ("error", "code", "who"),
    [
        (errors.PredictFailed("secret"), "predict-failed", "the model failed"),
        (errors.ModelCrashed("secret"), "model-crashed", "the model failed"),
        (errors.BadValue("secret"), "bad-value", "the service failed"),
        (ValueError("secret"), INTERNAL, "the service failed"),
    ],
)
def test_a_fault_is_logged_and_not_told(
    error: Exception, code: str, who: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "modelway.grpc"):
        said = told(error, METHOD, "the-call", "the-trace")
    assert (said.status, said.code) == (StatusCode.INTERNAL, code)
    assert said.message == f"{who}; the log has the reason under the request id the-call"
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert vars(record)["request_id"] == "the-call"
    assert vars(record)["trace_id"] == "the-trace"
