"""Nothing that clients of other servers send may produce a 5xx, a hang or a larger process.

20,000 damaged requests to a real service's foreign doors, beside which known rows are answered; the
native API has as many in ``test_fuzz.py``, gRPC has its own in ``test_grpc_fuzz.py``.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, seed, settings
from hypothesis import strategies as st

from support.fuzzing import FuzzConnection, FuzzRequest, fuzz_requests, quietly
from support.live import Serve, Service
from support.served import FLOWER, compiled_bundle, flower_graph, tensor_bundle
from support.triton_models import identity_bundle, simple_bundle
from support.witness import SETOSA, VIRGINICA, Witness, pss_mb

BATCH = 40
DOOR_BATCHES = 420
SAGEMAKER_BATCHES = 80
MOST_GROWTH = 1.1

OIP_PATHS = (
    *(f"/v2/models/{name}/infer" for name in ("iris", "simple", "identity", "tensor")),
    *("/v2", "/v2/health/ready", "/v2/models/iris", "/v2/models/iris/versions/1/infer"),
    *("/v2/models/iris/stats", "/v2/repository/index", "/v2/repository/models/iris/unload"),
)
TF_PATHS = tuple(
    f"/v1/models/{name}{action}"
    for name in ("iris", "tensor")
    for action in ("", "/metadata", ":predict", ":classify", ":regress", "/labels/live:predict")
)
MLFLOW_PATHS = ("/invocations",) * 6 + ("/ping", "/version", "/execution-parameters")
CELLS = list(VIRGINICA.values())
ROW = {"name": "rows", "shape": [1, 4], "datatype": "FP64", "data": CELLS}
NUMBERS = {"name": "INPUT0", "shape": [1, 16], "datatype": "INT32", "data": list(range(16))}
TEXTS = {"name": "INPUT0", "shape": [1, 2], "datatype": "BYTES", "data": ["a", "\u00e9"]}
BODIES: tuple[object, ...] = (
    {"inputs": [ROW], "id": "1", "outputs": [{"name": "label"}]},
    {"inputs": [ROW], "parameters": {"binary_data_output": True}},
    {"inputs": [{**ROW, "data": [CELLS], "parameters": {"binary_data_size": 32}}]},
    {"inputs": [NUMBERS, {**NUMBERS, "name": "INPUT1"}]},
    {"inputs": [TEXTS], "outputs": [{"name": "OUTPUT0", "parameters": {"binary_data": True}}]},
    {"instances": [CELLS, list(SETOSA.values())]},
    {"instances": [VIRGINICA], "signature_name": "predict"},
    {"inputs": {name: [value] for name, value in SETOSA.items()}},
    {"examples": [{"sepal_length": 1.0}], "context": dict.fromkeys(SETOSA, 3)},
    {"dataframe_split": {"columns": list(SETOSA), "data": [CELLS]}, "params": {"a": 1}},
    {"dataframe_records": [SETOSA]},
    {"columns": list(SETOSA), "data": [CELLS], "index": [0]},
    VIRGINICA,
)


def sent_to(
    service: Service, paths: Sequence[str], bodies: Sequence[object], batches: int
) -> Counter[int]:
    """How often each status came, none of them a 5xx, from a process that keeps its size."""
    statuses: Counter[int] = Counter()
    sizes_mb: list[float] = []
    connection = FuzzConnection(service.url)
    started = time.time_ns() % 2**32
    print(f"seed {started}")

    @seed(started)
    @settings(quietly, max_examples=batches)
    @given(st.lists(fuzz_requests(paths, bodies), min_size=BATCH, max_size=BATCH))
    def damaged(requests: list[FuzzRequest]) -> None:
        for request in requests:
            status = connection.status(request)
            statuses[status] += 1
            assert 0 < status < 500, request
        sizes_mb.append(pss_mb(service.process.pid))

    with contextlib.closing(connection):
        damaged()
    early, late = max(sizes_mb[: len(sizes_mb) // 3]), sizes_mb[-1]
    print(f"{connection.sent} requests: {dict(sorted(statuses.items()))}")
    print(f"{early:.1f} MB, then {late:.1f} MB")
    assert len(sizes_mb) == batches
    assert late <= early * MOST_GROWTH
    return statuses


def test_no_protocols_door_answers_with_a_5xx(
    serve: Serve, iris_bundle: Path, tmp_path: Path
) -> None:
    service = serve(
        f"iris={iris_bundle}",
        f"simple={simple_bundle(tmp_path / 'simple')}",
        f"identity={identity_bundle(tmp_path / 'identity')}",
        f"tensor={tensor_bundle(tmp_path / 'tensor')}",
    )
    with Witness(service) as witness:
        statuses = sent_to(service, OIP_PATHS + TF_PATHS + MLFLOW_PATHS, BODIES, DOOR_BATCHES)
    assert (witness.wrong, witness.answered > 100) == ([], True)
    assert min(statuses[200], statuses[400]) > 500
    assert service.ask("/health/ready").status == 200


def test_what_comes_in_place_of_a_platform_cannot_break_the_service(
    serve: Serve, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    for name in ("a", "b"):
        compiled_bundle(folder / name, flower_graph(), FLOWER, classes=(0, 1, 2))
    service = serve("--sagemaker", folder)
    loads = [{"model_name": name, "url": str(folder / name)} for name in ("a", "b")]
    for load in loads:
        assert service.ask("/models", json=load).status == 200
    paths = ("/models", "/models/a", "/models/a/invoke", "/models/b/invoke", "/ping")
    row = {"sepal_length": 5.0, "petal_width": 2.2}
    statuses = sent_to(service, paths, (*loads, row, {"instances": [row]}), SAGEMAKER_BATCHES)
    assert min(statuses[200], statuses[400]) > 50
    assert service.ask("/ping").status == 200
