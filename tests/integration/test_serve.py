"""``modelway serve`` as a process: what it answers, what it holds, how it starts and ends."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from support.live import MODELWAY, Serve, Service, modelway

VIRGINICA = "sepal_length=7.7&sepal_width=3.0&petal_length=6.1&petal_width=2.3"
HEAVY = {"sklearn", "pandas", "mlflow", "skl2onnx", "onnx", "scipy", "joblib"}
MAXIMUM_PSS_KIB = 100 * 1024

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def imported(log: Path) -> set[str]:
    """Top-level modules that a process run with PYTHONPROFILEIMPORTTIME imported."""
    names = re.findall(r"^import time:.*\|\s+(\S+)$", log.read_text(), re.MULTILINE)
    return {name.partition(".")[0] for name in names}


def prediction(service: Service, path: str = f"/?{VIRGINICA}") -> Any:
    answer = service.ask(path)
    assert answer.status == 200, answer.body
    return answer.json


def children(process: int) -> list[int]:
    path = Path(f"/proc/{process}/task/{process}/children")
    return [int(word) for word in path.read_text().split()]


def test_a_query_is_answered_and_wrong_fields_are_named_together(
    serve: Serve, iris_bundle: Path
) -> None:
    service = serve(iris_bundle)
    answer = prediction(service)
    assert answer["prediction"] == 2
    assert answer["label"] == "virginica"
    assert sum(answer["probabilities"].values()) == pytest.approx(1)

    wrong = service.ask("/?sepal_length=7.7&petal_length=abc&petal_width=2.3")
    assert wrong.status == 422
    assert wrong.headers["content-type"] == "application/problem+json"
    problem: Any = wrong.json
    assert {error["column"] for error in problem["errors"]} == {"sepal_width", "petal_length"}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_serving_process_imports_nothing_that_trains(
    serve: Serve, iris_bundle: Path, workers: str
) -> None:
    service = serve(iris_bundle, "--workers", workers, environment={"PYTHONPROFILEIMPORTTIME": "1"})
    rows = [{"sepal_length": 7.7, "sepal_width": 3.0, "petal_length": 6.1, "petal_width": 2.3}] * 3
    assert service.ask("/predict", json=rows).status == 200
    for path in ("/", "/docs", "/openapi.json", "/models", "/models/iris"):
        assert service.ask(path).status == 200, path
    modules = imported(service.log)
    assert {"modelway", "onnxruntime", "numpy", "uvloop", "httptools"} <= modules
    assert modules & HEAVY == set()


@linux
def test_a_worker_needs_less_than_100_mb(serve: Serve, iris_bundle: Path) -> None:
    service = serve(iris_bundle)
    assert prediction(service)["prediction"] == 2
    smaps = Path(f"/proc/{service.process.pid}/smaps_rollup").read_text()
    pss = re.search(r"^Pss:\s+(\d+) kB", smaps, re.MULTILINE)
    assert pss is not None
    assert int(pss[1]) < MAXIMUM_PSS_KIB


@linux
def test_a_killed_worker_is_replaced_while_the_other_answers(
    serve: Serve, iris_bundle: Path
) -> None:
    service = serve(iris_bundle, "--workers", "2")
    before = children(service.process.pid)
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    deadline = time.monotonic() + 30
    # A request that the dying worker has accepted is lost with it; one that comes after is not.
    while "worker died" not in service.log.read_text():
        assert time.monotonic() < deadline, service.log.read_text()
    while len(set(children(service.process.pid)) - set(before)) < 1:
        assert time.monotonic() < deadline, service.log.read_text()
        assert prediction(service)["prediction"] == 2


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_lets_an_open_request_finish(serve: Serve, iris_bundle: Path, workers: str) -> None:
    service = serve(iris_bundle, "--workers", workers)
    port = int(service.url.rpartition(":")[2])
    body = b'{"sepal_length":7.7,"sepal_width":3.0,"petal_length":6.1,"petal_width":2.3}'
    head = (
        b"POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
    )
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head + body[:10])
        time.sleep(0.3)
        service.process.terminate()
        time.sleep(0.3)
        connection.sendall(body[10:])
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"prediction":2' in answer
    assert service.process.wait(20) == 0


SLOW = """
import os, time

time.sleep(float(os.environ.get("LOADING_S", 0)))

def slow(a: float) -> float:
    if a == 7:
        time.sleep(30)
    return a
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_drain_has_a_limit_whatever_a_model_does(
    serve: Serve, tmp_path: Path, workers: str
) -> None:
    (tmp_path / "rules.py").write_text(SLOW)
    service = serve(
        *("rules.py:slow", "--workers", workers), environment={"MODELWAY__SERVE__DRAIN_S": "1"}
    )
    port = int(service.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET /?a=7 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        time.sleep(0.5)
        service.process.terminate()
        began = time.monotonic()
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 503"), answer
    assert b"content-type: application/problem+json" in answer
    assert b'"code":"unavailable"' in answer
    assert service.process.wait(20) == 0
    assert time.monotonic() - began < 20
    assert "Traceback" not in service.log.read_text()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_ends_a_service_that_still_loads(tmp_path: Path, workers: str) -> None:
    (tmp_path / "rules.py").write_text(SLOW)
    modelway("bundle", "build", "rules.py:slow", "-o", "slow", folder=tmp_path)
    loading = subprocess.Popen(
        [*MODELWAY, "serve", "slow", "--port", "0", "--admin-port", "0", "--workers", workers],
        cwd=tmp_path,
        env={**os.environ, "LOADING_S": "30"},
    )
    time.sleep(3)
    assert loading.poll() is None
    loading.terminate()
    assert loading.wait(20) == 0


def test_a_port_in_use_names_its_holder_before_anything_is_built(
    serve: Serve, iris_bundle: Path, tmp_path: Path
) -> None:
    service = serve(iris_bundle)
    port = service.url.rpartition(":")[2]
    done = modelway("serve", tmp_path / "none.pickle", "--port", port, exit_code=2)
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    if sys.platform == "linux":
        assert f"(process {service.process.pid})" in done.stderr
    assert "hint: choose another with --port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_changed_bundle_is_never_served(iris_bundle: Path, tmp_path: Path, workers: str) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(iris_bundle, changed)
    with (changed / "signature.json").open("a") as stream:
        stream.write("\n")
    done = modelway("serve", changed, "--port", "0", "--workers", workers, exit_code=6)
    assert "do not match its digest" in done.stderr
    assert "Serving" not in done.stdout
    modelway("bundle", "verify", changed, exit_code=6)


def test_several_models_answer_under_their_names(
    serve: Serve, iris_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "rules.py").write_text(
        "def is_long(petal_length: float) -> bool:\n    return petal_length > 4\n"
    )
    service = serve(f"flowers={iris_bundle}", "rules.py:is_long")
    assert prediction(service, f"/models/flowers/predict?{VIRGINICA}")["prediction"] == 2
    assert prediction(service, "/models/is_long/predict?petal_length=5")["prediction"] is True
    assert prediction(service)["endpoint"] == "flowers"


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = modelway("serve", tmp_path / "none.pickle", "--port", "0", exit_code=3)
    assert "none.pickle does not exist" in done.stderr


def test_the_output_ends_with_the_address(serve: Serve, iris_bundle: Path) -> None:
    service = serve(iris_bundle, environment={"PYTHONUNBUFFERED": "1"})
    assert f"Serving iris at {service.url}  (page: /  API: /docs)" in service.log.read_text()


def test_no_worker_outlives_a_killed_supervisor(serve: Serve, iris_bundle: Path) -> None:
    service = serve(iris_bundle, "--workers", "2")
    service.process.send_signal(signal.SIGKILL)
    service.process.wait(20)
    port = int(service.url.rpartition(":")[2])
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return
        time.sleep(0.05)
    pytest.fail("a worker still listens")
