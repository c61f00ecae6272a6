"""SageMaker's multi-model contract as a service of several processes has it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from support.live import Serve
from support.served import FLOWER, compiled_bundle, flower_graph

ROW = "5.0,2.2\n"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_models_are_loaded_asked_and_unloaded_by_the_platform(
    serve: Serve, tmp_path: Path, workers: str
) -> None:
    folder = tmp_path / "models"
    for name, certainty in (("a", 0.75), ("b", 0.5)):
        compiled_bundle(folder / name, flower_graph(certainty), FLOWER, classes=(0, 1, 2))
    outside = tmp_path / "outside"
    shutil.copytree(folder / "a", outside)
    service = serve("--sagemaker", folder, "--workers", workers)
    assert service.ask("/ping").status == 200
    assert service.ask("/models").json == {"models": []}
    for name in ("a", "b"):
        payload = {"model_name": f"model-{name}", "url": str(folder / name)}
        assert service.ask("/models", json=payload).status == 200
        assert service.ask("/models", json=payload).status == 409
    listed: Any = service.ask("/models").json
    assert [one["modelName"] for one in listed["models"]] == ["model-a", "model-b"]
    headers = {"content-type": "text/csv"}
    for _ in range(4):  # whichever worker answers
        for name in ("a", "b"):
            path = f"/models/model-{name}/invoke"
            answer = service.ask(path, body=ROW.encode(), headers=headers)
            assert (answer.status, answer.body.strip()) == (200, b"2")
    wrong = {"model_name": "c", "url": str(outside)}
    assert service.ask("/models", json=wrong).status in (400, 403, 404)
    assert service.ask("/models/model-a", method="DELETE").status == 200
    for _ in range(4):
        assert service.ask("/models/model-a/invoke", body=b"5,2", headers=headers).status == 404
        assert service.ask("/models/model-a").status == 404
    assert service.ask("/models/model-a", method="DELETE").status == 404
    assert service.ask("/execution-parameters").status == 200


def test_the_platform_says_which_port(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    # The flag that the fixture gives comes before the platform's variable.
    service = serve("--sagemaker", tmp_path / "models", environment={"SAGEMAKER_BIND_TO_PORT": "1"})
    assert service.ask("/ping").status == 200
