"""The statistics of models: one entry a version."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from modelway.domain.errors import InvalidInput
from modelway.inference.counting import Counting
from modelway.inference.statistics import Failures, Statistics
from modelway.rest.app import App
from modelway.rest.error_texts import error_text
from modelway.rest.oip_statistics import model_statistics, statistics_routes
from modelway.settings import RestSettings
from support.asgi import asking, good
from support.doors import door_app
from support.served import FLOWER, compiled_bundle, flower_graph, loaded, plane_of, tensor_bundle


def test_an_entry_counts_in_rows_requests_and_nanoseconds() -> None:
    statistics = Statistics()
    statistics.answered("iris", "1", (3, 3), (0.5, 0.25))
    statistics.answered("iris", "2", (3,), (1.0,))
    entry = model_statistics("iris", "1", statistics, Failures(2, 0.125))
    assert (entry["name"], entry["version"]) == ("iris", "1")
    assert (entry["inference_count"], entry["execution_count"]) == (6, 2)
    assert entry["inference_stats"]["success"] == {"count": 2, "ns": 750_000_000}
    assert entry["inference_stats"]["compute_infer"] == {"count": 2, "ns": 750_000_000}
    assert entry["inference_stats"]["fail"] == {"count": 2, "ns": 125_000_000}
    assert entry["last_inference"] == int(statistics.answers("iris", "1").last * 1000) > 0
    none = model_statistics("iris", "3", statistics, Failures())
    assert (none["inference_count"], none["last_inference"]) == (0, 0)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    folder: Path = tmp_path_factory.mktemp("models")
    flower = compiled_bundle(folder / "flower", flower_graph(), FLOWER, classes=(0, 1, 2))
    models = [loaded(flower, "flower"), loaded(tensor_bundle(folder / "tensor"), "tensor")]
    statistics = Statistics()
    plane = plane_of(models, observers=[Counting(statistics)])
    statistics.failed("tensor", InvalidInput("no"), 0.0)
    return door_app(
        plane, RestSettings(), statistics_routes(plane, statistics), {"/v2": error_text}
    )


def entries(app: App, path: str) -> Sequence[dict[str, Any]]:
    found: Sequence[dict[str, Any]] = good(asking(app)(path))["model_stats"]
    return found


def test_there_is_one_entry_a_version_that_is_asked_for(app: App) -> None:
    assert [one["name"] for one in entries(app, "/v2/models/stats")] == ["flower", "tensor"]
    (one,) = entries(app, "/v2/models/tensor/stats")
    assert one["inference_stats"]["fail"]["count"] == 1
    (same,) = entries(app, f"/v2/models/tensor/versions/{one['version']}/stats")
    assert same == one
    for path in ("/v2/models/nope/stats", "/v2/models/tensor/versions/7/stats"):
        answer = asking(app)(path)
        assert answer.status == 404
        assert list(answer.json) == ["error"]  # type: ignore[call-overload] # an object
