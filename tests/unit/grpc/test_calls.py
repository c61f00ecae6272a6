from __future__ import annotations

import time
from dataclasses import replace

import pytest

from modelway.domain.errors import InvalidInput, MalformedPayload
from modelway.grpc.calls import Call, parsed
from modelway.grpc.messages import ModelInferRequest
from modelway.telemetry.spans import PassedOn


def _call(deadline: float | None = None, **headers: str) -> Call:
    span = PassedOn().start("a", None, {})
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Call("a/b", "the-call", named, deadline, span, started=100.0)


def test_an_answer_is_called_like_its_call_or_as_the_caller_wants() -> None:
    assert _call().prediction_id() == "the-call"
    assert _call(modelway_prediction_id="mine-7").prediction_id() == "mine-7"


def test_an_id_of_a_call_that_may_come_again_is_no_id_of_an_answer() -> None:
    call = replace(_call(), is_named=True)
    assert len({call.prediction_id(), call.prediction_id(), call.id}) == 3
    assert call.own_id() is None


@pytest.mark.parametrize("brought", ["", " ", "a b", "a/b", "x" * 129])
def test_what_is_no_id_is_refused(brought: str) -> None:
    with pytest.raises(InvalidInput):
        _call(modelway_prediction_id=brought).prediction_id()


def test_the_sooner_of_two_deadlines_holds() -> None:
    assert _call().wanted_until() is None
    assert _call(deadline=101.0).wanted_until() == 101.0
    assert _call(modelway_timeout_ms="250").wanted_until() == 100.25
    assert _call(deadline=101.0, modelway_timeout_ms="250").wanted_until() == 100.25
    assert _call(deadline=100.1, modelway_timeout_ms="250").wanted_until() == 100.1


def test_a_timeout_in_microseconds_counts_from_now() -> None:
    now = time.monotonic()
    found = _call().wanted_until(2_000_000)
    assert found is not None
    assert now + 2 <= found < now + 3
    assert _call(deadline=now + 1).wanted_until(2_000_000) == now + 1


@pytest.mark.parametrize("timeout_us", [None, 0, -5, "soon", 1.5])
def test_a_timeout_that_is_none_changes_nothing(timeout_us: object) -> None:
    assert _call().wanted_until(timeout_us) is None
    assert _call(deadline=101.0).wanted_until(timeout_us) == 101.0


@pytest.mark.parametrize("brought", ["", "0", "-1", "1.5", "1e3", "soon", "1234567890"])
def test_what_is_no_time_is_refused(brought: str) -> None:
    with pytest.raises(InvalidInput):
        _call(modelway_timeout_ms=brought).wanted_until()


def test_a_message_is_read_as_what_it_is_to_be() -> None:
    content = ModelInferRequest(model_name="iris").SerializeToString()
    assert parsed(ModelInferRequest, content).model_name == "iris"
    with pytest.raises(MalformedPayload, match="cannot be read as a ModelInferRequest"):
        parsed(ModelInferRequest, b"\xff\xff")
