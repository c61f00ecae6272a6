"""What a path of TensorFlow Serving's names, and how an error looks there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelway.bundles.store import open_bundle
from modelway.domain import errors
from modelway.domain.errors import Problem, SignatureMismatch
from modelway.inference.dataplane import DataPlane
from modelway.rest import tfserving
from modelway.rest.error_texts import error_text
from modelway.rest.http import Request
from modelway.rest.tfserving import shown_version
from modelway.settings import RestSettings
from support.asgi import asking
from support.doors import door_app
from support.live import Ask
from support.served import (
    FLOWER,
    PAIR,
    compiled_bundle,
    flower_graph,
    loaded,
    pair_graph,
    plane_of,
    ratio_graph,
    tensor_bundle,
)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> DataPlane:
    """Endpoints flower, ratio with an older version, tensor."""
    folder: Path = tmp_path_factory.mktemp("models")
    flower = compiled_bundle(folder / "flower", flower_graph(), FLOWER, classes=(0, 1, 2))
    found = plane_of(
        [
            loaded(flower, "flower"),
            loaded(compiled_bundle(folder / "ratio", ratio_graph(), PAIR), "ratio"),
            loaded(tensor_bundle(folder / "tensor"), "tensor"),
        ]
    )
    older = compiled_bundle(folder / "older", pair_graph(), PAIR)
    found.catalogue.add("ratio", open_bundle(older))
    return found


@pytest.fixture(scope="module")
def ask(plane: DataPlane) -> Ask:
    settings = RestSettings()
    routes = tfserving.routes(plane, settings)
    return asking(door_app(plane, settings, routes, {"/v1": error_text}))


def status(ask: Ask, path: str) -> Any:
    answer = ask(path)
    assert answer.status == 200, answer.body
    return answer.json


class TestStatus:
    def test_it_is_that_of_both_protocols(self, ask: Ask) -> None:
        assert status(ask, "/v1/models/flower") == {
            "model_version_status": [
                {
                    "version": "1",
                    "state": "AVAILABLE",
                    "status": {"error_code": "OK", "error_message": ""},
                }
            ],
            "name": "flower",
            "ready": True,
        }

    def test_versions_and_labels_are_asked_for(self, ask: Ask, plane: DataPlane) -> None:
        digest = plane.router.live("flower").version
        for path in ("versions/1", f"versions/{digest}", "labels/live", "labels/stable"):
            assert (
                status(ask, f"/v1/models/flower/{path}")["model_version_status"]
                == (status(ask, "/v1/models/flower")["model_version_status"])
            )

    @pytest.mark.parametrize(
        "path",
        [
            "/v1/models/nobody",
            "/v1/models/flower/versions/2",
            "/v1/models/flower/versions/x",
            "/v1/models/flower/labels/canary",
            "/v1/models/flower/metadata/x",
            "/v1/nothing",
            "/v1",
        ],
    )
    def test_what_is_not_there_is_404(self, ask: Ask, path: str) -> None:
        answer = ask(path)
        said: Any = answer.json
        assert answer.status == 404
        assert list(said) == ["error"]

    def test_one_that_cannot_be_opened_says_so_and_not_why(
        self, plane: DataPlane, ask: Ask
    ) -> None:
        entry = plane.router.live("tensor")
        model, entry.model, entry.fault = entry.model, None, errors.LoadFailed("secret")
        try:
            said = status(ask, "/v1/models/tensor")
        finally:
            entry.model, entry.fault = model, None
        (version,) = said["model_version_status"]
        assert (version["state"], said["ready"]) == ("END", False)
        assert version["status"]["error_code"] == "UNKNOWN"
        assert "secret" not in json.dumps(said)

    def test_kserve_lists_the_endpoints(self, ask: Ask) -> None:
        assert status(ask, "/v1/models") == {"models": ["flower", "ratio", "tensor"]}


class TestMetadata:
    def test_it_has_the_signature(self, ask: Ask) -> None:
        said = status(ask, "/v1/models/flower/metadata")
        spec = {"name": "flower", "signature_name": "", "version": "1"}
        assert said["model_spec"] == spec
        definition = said["metadata"]["signature_def"]["signature_def"]["serving_default"]
        assert definition["method_name"] == "tensorflow/serving/predict"
        width = definition["inputs"]["petal width"]
        assert width["dtype"] == "DT_DOUBLE"
        assert width["tensor_shape"]["dim"] == [{"size": "-1", "name": ""}]
        outputs = {name: one["dtype"] for name, one in definition["outputs"].items()}
        assert outputs == {
            "prediction": "DT_INT64",
            "probabilities": "DT_DOUBLE",
            "label": "DT_STRING",
        }

    def test_tensors_keep_their_shapes(self, ask: Ask) -> None:
        said = status(ask, "/v1/models/tensor/labels/live/metadata")
        definition = said["metadata"]["signature_def"]["signature_def"]["serving_default"]
        sizes = [one["size"] for one in definition["inputs"]["X"]["tensor_shape"]["dim"]]
        assert sizes == ["-1", "3"]


class TestActions:
    @pytest.mark.parametrize("path", ["", "/versions/1", "/labels/stable"])
    def test_every_path_takes_every_action(self, ask: Ask, path: str) -> None:
        flower = f"/v1/models/flower{path}"
        answer = ask(f"{flower}:predict", payload={"instances": [[5, 2.2]]})
        assert answer.json == {
            "predictions": [
                {"prediction": 2, "label": "virginica", "probabilities": [0.125, 0.125, 0.75]}
            ]
        }
        assert answer.headers["modelway-endpoint"] == "flower"
        examples = {"examples": [{"sepal_length": 5, "petal_width": 2.2}]}
        answer = ask(f"{flower}:classify", payload=examples)
        assert answer.json == {
            "results": [[["setosa", 0.125], ["versicolor", 0.125], ["virginica", 0.75]]]
        }
        assert ask(f"{flower}:regress", payload=examples).status == 400

    def test_an_older_version_answers_by_its_name(self, ask: Ask, plane: DataPlane) -> None:
        rows = {"instances": [[3, 2]]}
        older = plane.router.versions("ratio")[-1].version
        path = f"/v1/models/ratio/versions/{older}:predict"
        assert ask("/v1/models/ratio:predict", payload=rows).json == {"predictions": [1.5]}
        assert ask(path, payload=rows).json == {"predictions": [[3.0, 2.0]]}
        assert ask("/v1/models/ratio:regress", payload={"examples": [{"a": 3, "b": 2}]}).json == {
            "results": [1.5]
        }

    def test_many_rows_are_all_answered(self, ask: Ask) -> None:
        rows = [[float(k), 2.0] for k in range(20_000)]
        said: Any = ask("/v1/models/ratio:predict", payload={"instances": rows}).json
        assert said["predictions"] == [k / 2 for k in range(20_000)]

    def test_a_method_is_405(self, ask: Ask) -> None:
        for path, method in (
            ("/v1/models/flower:predict", "GET"),
            ("/v1/models/flower", "DELETE"),
        ):
            answer = ask(path, method=method)
            said: Any = answer.json
            assert answer.status == 405
            assert list(said) == ["error"]


def test_an_error_names_every_problem() -> None:
    problems = [Problem(f"/{k}/a", f"a{k}", "wrong-type", "'x'", "a number") for k in range(5)]
    request = Request("r-1", "POST", "/v1/models/a:predict", headers={})
    found = error_text(SignatureMismatch(problems, total=7), request)
    said = json.loads(found.body)
    assert found.status == 400
    assert all(problem.message in said["error"] for problem in problems)
    assert said["error"].endswith("and 2 more")
    for error, expected in (
        (errors.QueueFull("x"), 503),
        (errors.DeadlineExceeded("x"), 504),
        (errors.PredictFailed("secret"), 500),
        (ValueError("secret"), 500),
    ):
        found = error_text(error, request)
        assert found.status == expected
        assert b"secret" not in found.body


def test_versions_are_numbers() -> None:
    assert [shown_version(one) for one in ("7", "sha256:ab", "2b", "²")] == ["7", "1", "1", "1"]
