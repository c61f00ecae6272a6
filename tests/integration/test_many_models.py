"""200 models in one server: opened when asked, closed to make room, each answering for itself."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from support.administered import Administered
from support.live import Serve, Service
from support.served import FLOWER, compiled_bundle, flower_graph

N_MODELS = 200
ROW = {"sepal_length": 5.0, "petal_width": 2.2}
SLOW = """
import time
time.sleep(4)

def slow(a: float) -> float:
    return a
"""


def certainty(k: int) -> float:
    return 0.5 + k / 512


def asked(service: Service, k: int) -> float:
    said: Any = service.ask(f"/models/m{k}/predict", json=ROW).json
    return float(said["probabilities"]["2"])


def test_two_hundred_models_answer_in_the_memory_of_some(serve: Serve, tmp_path: Path) -> None:
    bundles = [
        compiled_bundle(tmp_path / f"m{k}", flower_graph(certainty(k)), FLOWER, classes=(0, 1, 2))
        for k in range(N_MODELS)
    ]
    service = serve(
        *(f"m{k}={bundle}" for k, bundle in enumerate(bundles)),
        environment={
            "MODELWAY__INFERENCE__LAZY": "true",
            "MODELWAY__INFERENCE__PINNED": "m7",
            "MODELWAY__INFERENCE__MEMORY_BYTES": str(40_000_000),
        },
    )
    admin = Administered(service)
    loaded = 'modelway_models_loaded{slot="0"}'
    assert admin.metric(loaded) == 1, "only the pinned one is open before it is asked"
    for k in (*range(N_MODELS), 0, 7, N_MODELS - 1):
        assert asked(service, k) == certainty(k)
    assert admin.metric('modelway_model_loads_total{endpoint="m7"}') == 1
    assert 1 <= admin.metric(loaded) < N_MODELS, "some were closed to make room"
    listed: Any = service.ask("/models").json
    assert len(listed["models"]) == N_MODELS


def test_while_a_model_is_opened_the_others_answer(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    quick = compiled_bundle(tmp_path / "quick", flower_graph(), FLOWER, classes=(0, 1, 2))
    service = serve(
        f"m0={quick}",
        "slow.py:slow",
        environment={"MODELWAY__INFERENCE__LAZY": "true"},
        folder=tmp_path,
    )
    ended: list[float] = []

    def wait() -> None:
        answer: Any = service.ask("/models/slow/predict", json={"a": 1.5}).json
        assert answer["prediction"] == 1.5
        ended.append(time.monotonic())

    assert asked(service, 0) == 0.75
    waiting = threading.Thread(target=wait)
    waiting.start()
    answered = [(asked(service, 0), time.monotonic()) for _ in range(100)]
    waiting.join()
    assert {value for value, _ in answered} == {0.75}
    assert ended, "the model that was opened has answered"
    assert len([at for _, at in answered if at < ended[0]]) >= 50
