"""Ids of callers: answered again with the same inputs, refused with others, at every door."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import pytest

from modelway.grpc import messages
from support.homes import free_port
from support.live import Answer, Serve, Service
from support.served import FLOWER, compiled_bundle, flower_graph

_NAMES = ("sepal_length", "petal_width")
INFER = "/inference.GRPCInferenceService/ModelInfer"


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, serve_all: Serve, port: int
) -> Iterator[Service]:
    """Two workers, which share what they know of ids."""
    folder = tmp_path_factory.mktemp("bundles") / "flower"
    bundle = compiled_bundle(folder, flower_graph(), FLOWER, classes=(0, 1, 2))
    environment = {
        "MODELWAY__SERVE__WORKERS": "2",
        "MODELWAY__GRPC__ENABLED": "true",
        "MODELWAY__GRPC__PORT": str(port),
    }
    yield serve_all(f"flower={bundle}", f"other={bundle}", environment=environment)


def _oip(width: float) -> Mapping[str, Any]:
    inputs = [
        {"name": name, "datatype": "FP64", "shape": [1], "data": [value]}
        for name, value in zip(reversed(_NAMES), (width, 5.0), strict=True)
    ]
    return {"inputs": inputs}


def _row(width: float) -> Mapping[str, float]:
    return {"petal_width": width, "sepal_length": 5.0}


DOORS = {
    "native": ("/models/flower/predict", _row),
    "rows": ("/models/flower/predict", lambda width: [_row(width)]),
    "oip": ("/v2/models/flower/infer", _oip),
    "tensorflow": ("/v1/models/flower:predict", lambda width: {"instances": [_row(width)]}),
    "mlflow": ("/invocations", lambda width: {"dataframe_records": [_row(width)]}),
    "text": ("/models/flower/predict?sepal_length=5&petal_width={width}", None),
}


def asked(service: Service, door: str, width: float, own: str) -> Answer:
    """The answer at a door; every request comes over a connection of its own."""
    path, body = DOORS[door]
    headers = {"modelway-prediction-id": own}
    if body is None:
        return service.ask(path.format(width=width), headers=headers)
    return service.ask(path, json=body(width), headers=headers)


@pytest.mark.parametrize("door", DOORS)
def test_every_door_knows_the_ids_of_all_others(service: Service, door: str) -> None:
    own = uuid.uuid4().hex
    first = service.ask(
        "/models/flower/predict",
        json={"sepal_length": 5.0, "petal_width": 1.5},
        headers={"modelway-prediction-id": own},
    )
    assert first.status == 200
    for _ in range(6):  # of either worker
        again = asked(service, door, 1.5, own)
        assert again.status == 200, again.body
        assert again.headers["modelway-prediction-id"] == own
        refused = asked(service, door, 0.5, own)
        assert refused.status == 409, refused.body


def test_a_refusal_has_the_form_of_its_protocol(service: Service) -> None:
    own = uuid.uuid4().hex
    said: dict[str, Any] = {}
    for door in DOORS:
        asked(service, door, 1.5, own)
        said[door] = asked(service, door, 0.5, own).json
    assert said["native"]["code"] == said["text"]["code"] == "idempotency-mismatch"
    assert said["native"]["status"] == 409
    assert f"under the id {own} before" in said["native"]["detail"]
    assert set(said["oip"]) == set(said["tensorflow"]) == {"error"}
    assert "message" in said["mlflow"]


def test_grpc_refuses_it_too(service: Service, port: int) -> None:
    own = uuid.uuid4().hex
    assert asked(service, "native", 1.5, own).status == 200
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        infer: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(INFER)

        def ask(width: float, own: str | None) -> None:
            request = messages.ModelInferRequest(model_name="flower")
            for name, value in zip(_NAMES, (5.0, width), strict=True):
                tensor = request.inputs.add(name=name, datatype="FP64", shape=[1])
                tensor.contents.fp64_contents.append(value)
            metadata = None if own is None else (("modelway-prediction-id", own),)
            infer(request.SerializeToString(), metadata=metadata, timeout=10)

        ask(1.5, own)
        with pytest.raises(grpc.RpcError) as refused:
            ask(0.5, own)
        assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
        ask(0.5, None)


def test_an_id_is_of_one_endpoint(service: Service) -> None:
    own = uuid.uuid4().hex
    assert asked(service, "native", 1.5, own).status == 200
    headers = {"modelway-prediction-id": own}
    answer = service.ask("/models/other/predict", json=_row(0.5), headers=headers)
    assert answer.status == 200


def test_what_cannot_be_read_binds_no_id(service: Service) -> None:
    own = uuid.uuid4().hex
    headers = {"modelway-prediction-id": own}
    broken = service.ask("/models/flower/predict", json={"petal_width": "x"}, headers=headers)
    assert broken.status == 422
    assert asked(service, "native", 1.5, own).status == 200


def test_an_id_of_the_request_alone_may_come_again(service: Service) -> None:
    for width in (1.5, 0.5):
        answer = service.ask(
            "/models/flower/predict", json=_row(width), headers={"x-request-id": "again"}
        )
        assert answer.status == 200


def test_large_inputs_are_compared_as_small_ones(service: Service) -> None:
    own = uuid.uuid4().hex
    headers = {"modelway-prediction-id": own}
    rows = [_row(1.0 + k / 30_000) for k in range(20_000)]
    for changed, status in ((False, 200), (False, 200), (True, 409)):
        body = [*rows[:-1], _row(2.0)] if changed else rows
        answer = service.ask("/models/flower/predict", json=body, headers=headers)
        assert answer.status == status
