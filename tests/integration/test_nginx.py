"""A service behind a real nginx, over a Unix socket and under a path of a site."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.ending import killed, repeated
from support.live import MODELWAY, ROOT, Service, absent, ask, wait_until_ready
from support.served import FLOWER, compiled_bundle, flower_graph

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
ROW = {"sepal_length": 5.0, "petal_width": 2.2}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return [
        compiled_bundle(folder / str(k), flower_graph(certainty), FLOWER, classes=(0, 1, 2))
        for k, certainty in enumerate((0.75, 0.5))
    ]


@pytest.fixture
def proxied(tmp_path: Path, bundles: list[Path]) -> Iterator[Service]:
    """The service as nginx shows it; its administration is in its log."""
    if NGINX is None:
        absent("nginx is not installed")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    path = tmp_path / "http.sock"
    log = tmp_path / "serve.log"
    words = [*MODELWAY, "serve", f"flower={bundles[0]}", "--socket", path, "--prefix", "/ml"]
    words += ["--workers", "2", "--admin-port", "0", "--home", tmp_path / "home"]
    settings = {
        "MODELWAY__TELEMETRY__ACCESS_LOG": "1",
        "MODELWAY__SERVE__TRUSTED_PROXIES": "unix",
        "MODELWAY__TELEMETRY__LOG_FORMAT": "json",
    }
    text = (ROOT / "docs" / "how-to" / "nginx.conf").read_text()
    text = text.replace("unix:/run/modelway/http.sock", f"unix:{path}")
    text = text.replace("listen 8088", f"listen 127.0.0.1:{port}")
    # Where the tests are root, its workers must be too to reach this folder.
    text = "user root;\n" + text if os.geteuid() == 0 else text
    (tmp_path / "nginx.conf").write_text(f"daemon off;\nerror_log {tmp_path}/error.log;\n{text}")
    with log.open("w") as stream:
        service = subprocess.Popen(
            [str(word) for word in words],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, **settings},
            text=True,
        )
    with (
        killed(service),
        killed(
            subprocess.Popen([str(NGINX), "-p", tmp_path, "-c", tmp_path / "nginx.conf"])
        ) as proxy,
    ):
        found = Service(f"http://127.0.0.1:{port}/ml", service, log)
        try:
            wait_until_ready(found)
            yield found
        finally:
            # Each is killed if it does not end by itself, and the test fails.
            for process in (proxy, service):
                process.terminate()
                process.wait(20)


def administration(service: Service) -> tuple[str, Mapping[str, str]]:
    """Where it answers, and the header that it wants."""
    deadline = time.monotonic() + 20
    while "Administration" not in service.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    found = re.search(r"Administration and metrics at (\S+)", service.log.read_text())
    assert found is not None
    key = (service.log.parent / "home" / "admin.key").read_text().strip()
    return found[1], {"authorization": f"Bearer {key}"}


def test_page_docs_and_predictions_under_the_path(proxied: Service) -> None:
    page = proxied.ask("/")
    assert page.status == 200
    linked = set(re.findall(r'(?:src|href)="([^"#:]+)"', page.body.decode()))
    assert linked
    for path in (*linked, "docs"):
        assert proxied.ask("/" + path.removeprefix("./")).status == 200, path
    document: Any = proxied.ask("/openapi.json").json
    assert document["servers"] == [{"url": "/ml"}]
    answer = proxied.ask("/models/flower/predict", json=ROW)
    said: Any = answer.json
    assert (answer.status, said["prediction"]) == (200, 2)
    wrong = proxied.ask("/predict", json={})
    assert wrong.status == 422


def test_the_log_names_the_caller_and_the_request_as_the_proxy_does(proxied: Service) -> None:
    answer = proxied.ask("/predict", json=ROW, headers={"x-forwarded-for": "10.1.2.3"})
    lines = [json.loads(one) for one in proxied.log.read_text().splitlines() if one[:1] == "{"]
    (line,) = [
        one for one in lines if one.get("request_id") == answer.headers["modelway-request-id"]
    ]
    # nginx itself says who called it; what that caller claimed stands before it.
    assert (line["client"], line["route"], line["status"]) == ("127.0.0.1", "/ml/predict", 200)


def test_a_swap_costs_nobody_behind_the_proxy_an_answer(
    proxied: Service, bundles: list[Path]
) -> None:
    url, headers = administration(proxied)
    seen: list[tuple[int, float]] = []

    def call() -> None:
        answer = proxied.ask("/models/flower/predict", json=ROW)
        said: Any = answer.json
        seen.append((answer.status, said.get("probabilities", {}).get("2")))

    with repeated(call, threads=3):
        for k in (1, 0, 1):
            time.sleep(0.3)
            payload = {"bundle": str(bundles[k])}
            swapped = ask(f"{url}/models/flower", payload=payload, headers=headers, method="PUT")
            assert swapped.status == 200, swapped.body
        time.sleep(0.3)
    assert {status for status, _ in seen} == {200}
    assert {value for _, value in seen} == {0.75, 0.5}
