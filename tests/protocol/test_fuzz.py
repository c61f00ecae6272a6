"""Nothing a client sends may produce a 5xx or a hang, and known rows get their answers meanwhile.

20,000 requests and more: from the service's own OpenAPI document (schemathesis), damaged ones made
from valid rows, and bytes that are hardly HTTP. A model with a fault in it does give a 500.
"""

from __future__ import annotations

import contextlib
import pickle
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import schemathesis
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from sklearn.neighbors import RadiusNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from support.fuzzing import FuzzConnection, FuzzRequest, fuzz_requests, quietly, raw_bytes
from support.live import Serve, Service, modelway
from support.witness import SETOSA, VIRGINICA, Witness

RULE = """
from typing import Literal

def greet(name: str, kind: Literal["cat", "dog"], legs: int = 4, tame: bool | None = None) -> str:
    return f"{name} the {kind} on {legs}"
"""
FAULT = """
def divide(a: float, b: float) -> float:
    return a / b
"""
CAT = {"name": "Tom", "kind": "cat", "legs": 4, "tame": True}
PATHS = (
    "/predict",
    "/models/iris/predict",
    "/models/greet/predict",
    "/models/near/predict",
    "/models/native/predict",
    "/flowers/1.0/2/3/4",
    "/models",
    "/models/iris",
    "/health/ready",
    "/openapi.json",
    "/docs",
    "/",
)
ROWS: list[object] = [
    VIRGINICA,
    [VIRGINICA, SETOSA],
    {"columns": list(VIRGINICA), "data": [list(VIRGINICA.values())]},
    CAT,
    [CAT],
    SETOSA,
]
BATCH = 40
DAMAGED_BATCHES = 450
RAW_BATCHES = 60
DOCUMENTED_EXAMPLES = 150
FEWEST_REQUESTS = 20_000


@pytest.fixture
def service(serve: Serve, iris_bundle: Path, iris_training: Path, tmp_path: Path) -> Service:
    """A compiled and a native model, each also of a kind that refuses rows, and a rule."""
    (tmp_path / "rules.py").write_text(RULE)
    data = iris_training / "training.csv"
    rows = pd.read_csv(data)
    near = RadiusNeighborsClassifier(0.5)
    models = {"near": near, "native": make_pipeline(FunctionTransformer(np.sinc), near)}
    for name, model in models.items():
        fitted = model.fit(rows.drop(columns="species"), rows["species"])
        source = tmp_path / f"{name}.pickle"
        source.write_bytes(pickle.dumps(fitted))
        modelway(
            *("bundle", "build", source, "--name", name, "-o", tmp_path / name),
            *("--data", data, "--target", "species"),
        )
    return serve(
        *(iris_bundle, "rules.py:greet", tmp_path / "near", tmp_path / "native"),
        *("--route", "iris=/flowers/{sepal_length}/{sepal_width}/{petal_length}/{petal_width}"),
    )


def test_nothing_that_a_client_sends_is_answered_with_a_5xx(service: Service) -> None:
    statuses: Counter[int] = Counter()
    connection = FuzzConnection(service.url)
    started = time.time_ns() % 2**32
    print(f"seed {started}")

    @seed(started)
    @settings(quietly, max_examples=DAMAGED_BATCHES)
    @given(st.lists(fuzz_requests(PATHS, ROWS), min_size=BATCH, max_size=BATCH))
    def damaged(requests: list[FuzzRequest]) -> None:
        for request in requests:
            status = connection.status(request)
            statuses[status] += 1
            assert 0 < status < 500, request

    @seed(started)
    @settings(quietly, max_examples=RAW_BATCHES)
    @given(st.lists(raw_bytes(), min_size=BATCH, max_size=BATCH))
    def raw(payloads: list[bytes]) -> None:
        for payload in payloads:
            status = connection.raw_status(payload)
            statuses[status] += 1
            assert status < 500, payload

    with Witness(service) as witness, contextlib.closing(connection):
        damaged()
        raw()
        documented = sum(_by_the_document(service, started, statuses))
    sent = connection.sent + documented
    print(f"{sent} requests ({documented} by the document): {dict(sorted(statuses.items()))}")
    print(f"{witness.answered} known rows beside them, slowest {witness.slowest_s:.3f} s")
    assert sent >= FEWEST_REQUESTS
    assert witness.wrong == []
    assert witness.answered > 100
    assert statuses[200] > 1000
    assert statuses[422] > 1000
    assert service.ask("/health/ready").status == 200
    assert service.process.poll() is None


def _by_the_document(service: Service, seeded: int, statuses: Counter[int]) -> Iterator[int]:
    """Requests made from the OpenAPI document, operation by operation; gives how many were sent."""
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    for found in schema.get_all_operations():
        operation = found.ok()
        sent = 0

        @seed(seeded)
        @settings(quietly, max_examples=DOCUMENTED_EXAMPLES)
        @given(operation.as_strategy())
        def ask(case: Any) -> None:
            nonlocal sent
            response = case.call(timeout=20)
            sent += 1
            statuses[response.status_code] += 1
            in_haste = response.status_code == 504 and "modelway-timeout-ms" in case.headers
            assert response.status_code < 500 or in_haste, case.as_curl_command()

        ask()
        yield sent


def test_a_fault_in_a_model_does_give_a_500(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "faulty.py").write_text(FAULT)
    service = serve("faulty.py:divide")
    assert service.ask("/predict", json={"a": 1, "b": 2}).json["prediction"] == 0.5  # type: ignore[index] # JSON
    answer = service.ask("/predict", json={"a": 1, "b": 0})
    assert answer.status == 500
    problem: Any = answer.json
    assert problem["code"] == "predict-failed"
    assert problem["request_id"] == answer.headers["modelway-request-id"]
    assert "division" not in answer.body.decode()
    assert "Traceback" not in answer.body.decode()
    assert problem["request_id"] in service.log.read_text()
