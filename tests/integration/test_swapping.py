"""A service that is changed while it answers: by its administration, by its files, by kill -9."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import stat
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.administered import Administered, until
from support.ending import joined
from support.live import Serve, Service, ask
from support.patience import promised
from support.served import FLOWER, compiled_bundle, flower_graph

ROW = {"sepal_length": 5.0, "petal_width": 2.2}
CERTAINTY = {"first": 0.75, "second": 0.5, "third": 0.625}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Three bundles for one name, told apart by the probability they give."""
    folder = tmp_path_factory.mktemp("bundles")
    return {
        name: compiled_bundle(folder / name, flower_graph(certainty), FLOWER, classes=(0, 1, 2))
        for name, certainty in CERTAINTY.items()
    }


def certainty(service: Service, path: str = "/models/flower/predict") -> float:
    answer = service.ask(path, json=ROW)
    assert answer.status == 200, answer.body
    said: Any = answer.json
    return float(said["probabilities"]["2"])


class Caller:
    """Asks without a pause on one connection a thread, and keeps every answer in order."""

    def __init__(self, service: Service, threads: int = 3) -> None:
        self._service = service
        self.answers: list[list[tuple[int, float]]] = [[] for _ in range(threads)]
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(k,), daemon=True) for k in range(threads)
        ]

    def __enter__(self) -> Caller:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        joined(*self._threads)

    def _ask(self, k: int) -> None:
        host, _, port = self._service.url.removeprefix("http://").partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        body = json.dumps(ROW)
        while not self._ended.is_set():
            connection.request(
                "POST", "/models/flower/predict", body, {"content-type": "application/json"}
            )
            response = connection.getresponse()
            content = json.loads(response.read())
            self.answers[k].append(
                (response.status, content.get("probabilities", {}).get("2", 0.0))
            )
        connection.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_version_is_swapped_under_load_and_the_old_one_stays_addressable(
    serve: Serve, bundles: Mapping[str, Path], workers: str
) -> None:
    service = serve(f"flower={bundles['first']}", "--workers", workers)
    admin = Administered(service)
    old: Any = service.ask("/models/flower").json
    with Caller(service) as caller:
        time.sleep(0.3)
        answer = admin.load(bundles["second"])
        assert answer.status == 200, answer.body
        time.sleep(0.3)
        assert admin.load(bundles["third"]).status == 200
        time.sleep(0.3)
    order = [CERTAINTY["first"], CERTAINTY["second"], CERTAINTY["third"]]
    for answers in caller.answers:
        assert {status for status, _ in answers} == {200}
        seen = [order.index(value) for _, value in answers]
        assert seen == sorted(seen), "an older version answered after a newer one"
        assert set(seen) == {0, 1, 2}
    assert certainty(service) == CERTAINTY["third"]
    new: Any = service.ask("/models/flower").json
    assert old["version"] in new["versions"]
    assert certainty(service, f"/models/flower/versions/{old['version']}/predict") == 0.75
    missing = service.ask("/models/flower/versions/7/predict", json=ROW)
    said: Any = missing.json
    assert (missing.status, said["code"]) == (404, "version-not-found")
    assert len(admin.workers()) == int(workers)


def test_connections_that_stay_are_shared_out_among_workers(
    serve: Serve, bundles: Mapping[str, Path]
) -> None:
    service = serve(f"flower={bundles['first']}", "--workers", "2")
    admin = Administered(service)
    address = service.url.removeprefix("http://")
    connections = [http.client.HTTPConnection(address, timeout=30) for _ in range(20)]
    for one in connections:
        one.request("GET", "/health/live")
        assert one.getresponse().read()

    def shared() -> bool:
        held = [admin.metric(f'modelway_connections{{slot="{slot}"}}') for slot in (0, 1)]
        return sum(held) >= len(connections) and abs(held[0] - held[1]) <= 1

    until(shared)
    for one in connections:
        one.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_cannot_be_loaded_changes_nothing(
    serve: Serve, bundles: Mapping[str, Path], tmp_path: Path, workers: str
) -> None:
    service = serve(f"flower={bundles['first']}", "--workers", workers)
    admin = Administered(service)
    broken = tmp_path / "broken"
    shutil.copytree(bundles["second"], broken)
    (broken / "model.onnx").write_bytes(b"no graph")
    answer = admin.load(broken)
    said: Any = answer.json
    assert (answer.status, said["code"]) == (403, "digest-mismatch")
    assert admin.load(tmp_path / "nowhere").status == 404
    assert admin.load(bundles["second"], "no%20name!").status == 400
    assert admin.send("PUT", "/models/flower", {"folder": "x"}).status == 400
    assert admin.send("DELETE", "/models/nobody").status == 404
    assert certainty(service) == CERTAINTY["first"]
    listed: Any = service.ask("/models").json
    assert [model["name"] for model in listed["models"]] == ["flower"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_models_come_and_go_and_the_default_stays(
    serve: Serve, bundles: Mapping[str, Path], workers: str
) -> None:
    service = serve(f"flower={bundles['first']}", "--workers", workers)
    admin = Administered(service)
    assert admin.load(bundles["second"], "other").status == 200
    for _ in range(6):  # whoever of the workers answers
        assert certainty(service, "/models/other/predict") == CERTAINTY["second"]
        assert certainty(service, "/predict") == CERTAINTY["first"]
    assert "/models/other/predict" in service.ask("/openapi.json").body.decode()
    assert admin.send("DELETE", "/models/other").status == 204
    for _ in range(6):
        assert service.ask("/models/other/predict", json=ROW).status == 404
        assert certainty(service) == CERTAINTY["first"]


PRINTING = """
print("nothing that a supervisor asked for", flush=True)

def loud(a: float) -> float:
    print("neither this" * 1000, flush=True)
    return a
"""


def test_what_a_model_prints_is_no_report(
    serve: Serve, bundles: Mapping[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "printing.py").write_text(PRINTING)
    service = serve(
        "printing.py:loud",
        f"flower={bundles['first']}",
        *("--workers", "2"),
        folder=tmp_path,
    )
    admin = Administered(service)
    for _ in range(6):
        said: Any = service.ask("/models/loud/predict", json={"a": 1.5}).json
        assert said["prediction"] == 1.5
    assert admin.load(bundles["second"]).status == 200
    for _ in range(6):
        assert certainty(service) == CERTAINTY["second"]
    assert len(admin.workers()) == 2
    assert "neither this" in service.log.read_text()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_path_that_cannot_be_looked_at_is_reported_at_once(
    serve: Serve, bundles: Mapping[str, Path], workers: str
) -> None:
    service = serve(f"flower={bundles['first']}", "--workers", workers)
    admin = Administered(service)
    assert 400 <= admin.load(Path("/" + "x" * 300)).status <= 500
    assert admin.load(bundles["second"]).status == 200
    assert certainty(service) == CERTAINTY["second"]


def test_administration_needs_its_key(serve: Serve, bundles: Mapping[str, Path]) -> None:
    service = serve(f"flower={bundles['first']}")
    admin = Administered(service)
    assert stat.S_IMODE(admin.key.stat().st_mode) == 0o600
    assert ask(f"{admin.url}/models").status == 401
    assert admin.send("GET", "/models", key="wrong").status == 401
    assert ask(f"{admin.url}/models", headers={"host": "evil.example"}).status == 400
    assert ask(f"{admin.url}/health/live").status == 200
    assert service.ask("/models/flower", method="PUT", json={"bundle": "x"}).status == 405


def test_a_killed_worker_comes_back_with_what_was_swapped_in_and_numbers_go_on(
    serve: Serve, bundles: Mapping[str, Path]
) -> None:
    service = serve(f"flower={bundles['first']}", "--workers", "2")
    admin = Administered(service)
    first: Any = service.ask("/models/flower").json
    assert admin.load(bundles["second"]).status == 200
    for _ in range(10):
        certainty(service)
    counted = 'modelway_requests_total{protocol="http",code="200"}'
    before = admin.metric(counted)
    assert before >= 10
    path = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")
    killed = [int(word) for word in path.read_text().split()]
    started = time.monotonic()
    for process in killed:
        os.kill(process, signal.SIGKILL)
    until(lambda: _answers(service))
    until(lambda: len(admin.workers()) == 2)
    assert time.monotonic() - started < promised(10)
    older = f"/models/flower/versions/{first['version']}/predict"
    for _ in range(10):
        assert certainty(service) == CERTAINTY["second"]
        assert certainty(service, older) == CERTAINTY["first"]
    assert admin.metric(counted) >= before + 10
    assert sum(admin.metric(f'modelway_worker_restarts_total{{slot="{k}"}}') for k in (0, 1)) == 2


def _answers(service: Service) -> bool:
    try:
        return service.ask("/health/ready").status == 200
    except OSError:
        return False


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_watched_bundle_is_served_anew_when_it_changes(
    serve: Serve, bundles: Mapping[str, Path], tmp_path: Path, workers: str
) -> None:
    link = tmp_path / "current"
    link.symlink_to(bundles["first"])
    service = serve(f"flower={link}", "--watch", "--workers", workers)
    assert certainty(service) == CERTAINTY["first"]

    def point(target: Path) -> None:
        (tmp_path / "next").symlink_to(target)
        (tmp_path / "next").rename(link)

    point(bundles["second"])
    until(lambda: certainty(service) == CERTAINTY["second"])
    broken = tmp_path / "broken"
    shutil.copytree(bundles["third"], broken)
    (broken / "signature.json").write_text("{}")
    point(broken)
    until(lambda: "cannot be served" in service.log.read_text())
    assert certainty(service) == CERTAINTY["second"]
    point(bundles["third"])
    until(lambda: certainty(service) == CERTAINTY["third"])
