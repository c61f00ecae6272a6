"""TensorFlow Serving's REST API and KServe's first protocol, as plain HTTP clients use them."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from modelway.rest import tfserving
from modelway.rest.error_texts import error_text
from modelway.settings import RestSettings
from support.doors import answers_to, door_app
from support.live import Serve
from support.served import (
    FLOWER,
    PAIR,
    compiled_bundle,
    flower_graph,
    loaded,
    plane_of,
    ratio_graph,
    tensor_bundle,
)

VIRGINICA = {"sepal_length": 7.7, "sepal_width": 3.0, "petal_length": 6.1, "petal_width": 2.3}
SETOSA = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
RULES = """
def half_plus_two(x: float) -> float:
    return x / 2 + 2

def greet(name: str) -> str:
    return "Hello " + name
"""
N_REQUESTS = 1500


def test_the_examples_of_the_api_are_answered(serve: Serve, tmp_path: Path) -> None:
    """The requests of the API's own documentation, at a model that halves and adds two."""
    (tmp_path / "rules.py").write_text(RULES)
    service = serve("rules.py:half_plus_two", "rules.py:greet", "--workers", "1")
    model = "/v1/models/half_plus_two"
    said: Any = service.ask(model).json
    assert said["model_version_status"][0]["state"] == "AVAILABLE"
    asked: tuple[tuple[str, Any, Any], ...] = (
        (":predict", {"instances": [1.0, 2.0, 5.0]}, {"predictions": [2.5, 3.0, 4.5]}),
        (":predict", {"inputs": [1.0, 2.0]}, {"outputs": [2.5, 3.0]}),
        (":predict", {"inputs": {"x": [[1.0], [2.0]]}}, {"outputs": [2.5, 3.0]}),
        (":regress", {"examples": [{"x": 1.0}, {"x": [2.0]}]}, {"results": [2.5, 3.0]}),
        (":regress", {"context": {"x": 5}, "examples": [{}]}, {"results": [4.5]}),
        ("/versions/1:predict", {"instances": [{"x": 1}]}, {"predictions": [2.5]}),
    )
    for path, payload, expected in asked:
        answer = service.ask(model + path, json=payload)
        assert (answer.status, answer.json) == (200, expected), path
    greeted = service.ask(
        "/v1/models/greet:predict", json={"instances": [{"b64": "Wm/Dqw=="}, "Bo"]}
    )
    assert greeted.json == {"predictions": ["Hello Zoë", "Hello Bo"]}
    listed: Any = service.ask("/v1/models").json
    assert sorted(listed["models"]) == ["greet", "half_plus_two"]
    refused: tuple[tuple[str, Any, int], ...] = (
        ("/v1/models/nobody:predict", {"instances": [1]}, 404),
        (f"{model}:classify", {"examples": [{"x": 1}]}, 400),
        (f"{model}:predict", {"instances": ["x"]}, 400),
        (f"{model}:explain", {"instances": [1]}, 405),
    )
    for path, payload, status in refused:
        answer = service.ask(path, json=payload)
        error: Any = answer.json
        assert (answer.status, list(error)) == (status, ["error"]), path


def test_a_classifier_is_asked_as_a_keras_model_is(serve: Serve, iris_bundle: Path) -> None:
    service = serve(iris_bundle, "--workers", "1")
    rows = [list(VIRGINICA.values()), list(SETOSA.values())]
    for instances in (rows, [VIRGINICA, SETOSA]):
        said: Any = service.ask("/v1/models/iris:predict", json={"instances": instances}).json
        best = [max(range(3), key=row["probabilities"].__getitem__) for row in said["predictions"]]
        assert best == [row["prediction"] for row in said["predictions"]] == [2, 0]
    results: Any = service.ask("/v1/models/iris:classify", json={"examples": [SETOSA]}).json
    label, score = max(results["results"][0], key=lambda pair: pair[1])
    assert label == "setosa"
    assert score > 0.9
    metadata: Any = service.ask("/v1/models/iris/metadata").json
    definition = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert len(definition["inputs"]) == 4


def test_nothing_that_a_client_sends_is_a_fault_of_ours(tmp_path: Path) -> None:
    flower = compiled_bundle(tmp_path / "flower", flower_graph(), FLOWER, classes=(0, 1, 2))
    plane = plane_of(
        [
            loaded(flower, "flower"),
            loaded(tensor_bundle(tmp_path / "tensor"), "tensor"),
            loaded(compiled_bundle(tmp_path / "ratio", ratio_graph(), PAIR), "ratio"),
        ]
    )
    rest = RestSettings(max_json_depth=20)
    app = door_app(plane, rest, tfserving.routes(plane, rest), {"/v1": error_text})
    actions = ("", "/metadata", ":predict", ":classify", ":regress", "/labels/live:predict")
    paths = [
        f"/v1/models/{name}{action}" for name in ("flower", "tensor", "ratio") for action in actions
    ]
    rows: list[object] = [
        {"instances": [[5, 2.2], [5, 0.2]]},
        {"instances": [{"sepal_length": 5, "petal_width": 2.2}]},
        {"inputs": {"a": [1, 2], "b": [1, math.nan]}},
        {"inputs": [[1, 2, 3]]},
        {"signature_name": "predict", "instances": [{"X": [1, 2, 3]}]},
        {"examples": [{"a": 1, "b": [2]}], "context": {"a": 3}},
        {"instances": [{"b64": "aGk="}]},
    ]
    statuses: Counter[int] = Counter()
    for sent, answer in answers_to(app, paths, rows, N_REQUESTS):
        statuses[answer.status] += 1
        assert answer.status < 500, sent
        if answer.status >= 400:
            assert list(json.loads(answer.body)) == ["error"], sent
    print(dict(statuses))
    assert statuses[200] > N_REQUESTS / 100
    assert statuses[400] > N_REQUESTS / 5
