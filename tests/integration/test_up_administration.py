"""Administration of ``modelway up``: what the store decides is not changed behind its back."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from openapi_spec_validator import OpenAPIV31SpecValidator

from modelway.endpoints.endpoint import Endpoint
from support.administered import Administered
from support.canaries import NUMBERS, STEADY, controlled, linked, moved
from support.homes import HOME, Homes, Up, wait_until
from support.live import Answer, Serve
from support.served import function_bundle

ROW = {"a": 3}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Endpoints ``good`` and ``other`` of a rule's two versions; no registry, gRPC too."""
    folder = tmp_path_factory.mktemp("administered")
    with controlled(folder / HOME) as control:
        linked(control, folder, {"1": STEADY.format(number=1), "2": STEADY.format(number=2)})
        moved(control, "1")
        control.rollouts.create(Endpoint("good", "rule@champion"), "ann", "the first")
        control.rollouts.create(Endpoint("other", "rule:2"), "ann")
    with Homes() as homes:
        yield homes.up(folder, "--no-mlflow", "--grpc", "--grpc-port", "0")


def answered(up: Up) -> dict[str, object]:
    """What both endpoints answer, and every version that each worker knows."""
    rows = {name: up.ask(f"/models/{name}/predict", payload=ROW).json for name in ("good", "other")}
    found = {name: row["prediction"] for name, row in rows.items()}  # type: ignore[index] # JSON
    return {**found, "workers": [one["models"] for one in up.workers()]}


def refused(answer: Answer, command: str) -> None:
    """The answer is a conflict that names the command to use; foreign protocols have no hints."""
    assert answer.status == 409, answer.body
    assert command in answer.body.decode(), answer.body


def test_what_the_store_decides_is_not_changed_behind_its_back(up: Up) -> None:
    bundle = next((up.home / "bundles").glob("[0-9a-f]*"))
    before = answered(up)
    for name in ("good", "new"):
        wanted = {"bundle": str(bundle)}
        refused(up.administer("PUT", f"/models/{name}", wanted), f"endpoint create {name}")
    refused(up.administer("DELETE", "/models/good"), "modelway endpoint remove good")
    path = "/v2/repository/models/good"
    refused(up.administer("POST", f"{path}/load", {}), "modelway endpoint changes it")
    refused(up.administer("POST", f"{path}/unload", {}), "modelway endpoint changes it")
    assert answered(up) == before


def test_over_grpc_nothing_is_loaded_or_unloaded(up: Up) -> None:
    before = answered(up)
    with grpc.insecure_channel(str(up.said["grpc"])) as channel:
        for method in ("RepositoryModelLoad", "RepositoryModelUnload"):
            call: Any = channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
            with pytest.raises(grpc.RpcError) as error:
                call(b"\x12\x04good", timeout=20)
            assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert answered(up) == before


def test_a_platform_loads_and_unloads_nothing_behind_the_store_either(
    up: Up, tmp_path: Path
) -> None:
    folder = up.home / "bundles"
    bundle = next(folder.glob("[0-9a-f]*"))
    with controlled(tmp_path / HOME) as control:
        linked(control, tmp_path, {"1": STEADY.format(number=1)})
        control.rollouts.create(Endpoint("good", "rule:1"), "ann")
    with Homes() as homes:
        environment = {"MODELWAY__REST__SAGEMAKER": str(folder)}
        own = homes.up(tmp_path, "--no-mlflow", workers=1, environment=environment)
        wanted = {"model_name": "new", "url": str(bundle)}
        refused(own.ask("/models", payload=wanted), "modelway endpoint changes it")
        refused(own.ask("/models/good", method="DELETE"), "modelway endpoint changes it")
        assert own.ask("/models/good/invoke", payload={"instances": [ROW]}).status == 200
        wait_until(lambda: [one["name"] for one in own.workers()[0]["models"]] == ["good"])


def acts_of(up: Up) -> list[dict[str, Any]]:
    """The audit trail, the newest first; details as they were entered."""
    found: list[dict[str, Any]] = up.cli_json("key", "audit")
    return [{**one, "detail": json.loads(one["detail"])} for one in found]


def test_what_was_tried_by_name_is_entered_with_who_tried(up: Up) -> None:
    made: Any = up.administer("POST", "/keys", {"name": "ci", "scopes": ["deploy"]}).json

    def known() -> bool:
        return up.administer("DELETE", "/models/good", key=made["key"]).status == 409

    wait_until(known)
    up.administer("PUT", "/models/good", {"bundle": "/somewhere"})
    put, delete = acts_of(up)[:2]
    assert (put["actor"], put["act"], put["subject"]) == ("admin", "model.load", "good")
    assert (put["outcome"], put["detail"]["bundle"]) == ("conflict", "/somewhere")
    assert (delete["actor"], delete["act"]) == (f"ci:{made['id']}", "model.unload")
    (create,) = [one for one in acts_of(up) if one["act"] == "key.create"]
    assert create["detail"]["id"] == made["id"]


def test_refusals_are_entered_once_with_the_key_that_was_claimed(up: Up) -> None:
    made: Any = up.administer("POST", "/keys", {"name": "app", "scopes": ["predict"]}).json
    wrong = made["key"][:-4] + "AAAA"
    wait_until(lambda: up.administer("GET", "/audit", key=made["key"]).status == 403)
    for _ in range(50):
        assert up.administer("GET", "/keys", key=wrong).status == 401
        assert up.administer("GET", "/audit", key=made["key"]).status == 403
    found = [one for one in acts_of(up) if one["act"] == "administration.ask"]
    refused = {one["outcome"]: one for one in found}
    assert len(found) == 2, found
    unknown, forbidden = refused["unauthenticated"], refused["forbidden"]
    assert unknown["actor"] == ""
    assert forbidden["actor"] == f"app:{made['id']}"
    assert (forbidden["subject"], forbidden["detail"]["claims"]) == ("GET /audit", made["id"])
    assert unknown["detail"]["address"] == forbidden["detail"]["address"] == "127.0.0.1"
    assert made["key"].split("_", 2)[2] not in json.dumps(found)


def test_a_key_of_one_endpoint_sees_and_labels_no_other(up: Up) -> None:
    wanted = {"name": "labels", "scopes": ["label", "read"], "endpoints": ["good"]}
    made: Any = up.administer("POST", "/keys", wanted).json
    ids = {
        name: up.ask(f"/models/{name}/predict", payload=ROW).headers["modelway-prediction-id"]
        for name in ("good", "other")
    }

    def asked(method: str, path: str, payload: object = None) -> int:
        return up.administer(method, path, payload, key=made["key"]).status

    wait_until(lambda: asked("GET", f"/records/{ids['good']}") == 200)
    wait_until(lambda: up.administer("GET", f"/records/{ids['other']}").status == 200)
    for path in ("/records/{}", "/trace/{}"):
        assert asked("GET", path.format(ids["good"])) == 200
        assert asked("GET", path.format(ids["other"])) == 403
    assert asked("POST", f"/trace/{ids['other']}/replay") == 403
    assert asked("POST", "/labels", {"prediction_id": ids["good"], "value": 4}) == 200
    assert asked("POST", "/labels", {"prediction_id": ids["other"], "value": 4}) == 403
    assert asked("POST", "/labels", {"prediction_id": "unknown", "value": 4}) == 403
    said = {"prediction_id": ids["good"], "value": 4, "source": "the bank"}
    assert asked("POST", "/labels", said) == 403
    assert up.administer("POST", "/labels", said).status == 200


def test_a_service_without_a_store_enters_acts_in_its_log(tmp_path: Path, serve: Serve) -> None:
    folder = tmp_path / "rules"
    source = STEADY.format(number=1)
    bundle = function_bundle(folder, source, "rule", NUMBERS)
    service = Administered(serve(f"rule={bundle}"))
    assert service.load(bundle, "flower").status == 200
    assert service.send("GET", "/models", key="wrong").status == 401
    log = service.service.log.read_text()
    assert "admin model.load flower: done" in log
    assert str(bundle) in log
    assert "administration.ask GET /models: unauthenticated" in log


def claims_of(body: Any) -> list[dict[str, Any]]:
    """The claims of a body, whichever of the forms it has."""
    found = body.get("labels", [body]) if isinstance(body, dict) else body
    return list(found)


def test_a_label_made_from_the_document_is_taken(up: Up) -> None:
    found: Any = up.ask("/openapi.json").json
    OpenAPIV31SpecValidator(found).validate()
    post = found["paths"]["/labels"]["post"]
    for example in post["requestBody"]["content"]["application/json"]["examples"].values():
        answer = up.ask("/labels", payload=example["value"])
        assert answer.status == 200, answer.body
    operation = schemathesis.openapi.from_dict(found)["/labels"]["POST"]
    started = time.time_ns() % 2**32
    print(f"seed {started}")
    statuses: Counter[int] = Counter()

    @seed(started)
    @settings(
        max_examples=40,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy())
    def taken(case: Any) -> None:
        # To JSON Schema 1.0 is an integer too, which no client writes for one.
        assume(not any(isinstance(one.get("row"), float) for one in claims_of(case.body)))
        response = case.call(base_url=up.url, timeout=20)
        statuses[response.status_code] += 1
        if response.status_code == 404:
            assert response.json()["code"] == "prediction-not-found"
            assert "verdict" in json.dumps(case.body)
        else:
            assert response.status_code == 200, response.text
            case.validate_response(response)

    taken()
    assert statuses[200] > 10
