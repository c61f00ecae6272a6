"""What a service under load refuses, and when: over HTTP, by the real server."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from modelway.domain.signature import Column, Datatype, Signature
from support.administered import Administered, until
from support.live import Answer, Serve, Service
from support.served import FLOWER, compiled_bundle, flower_graph, function_bundle

SLEEPS = "import time\n\n\ndef sleeps(seconds):\n    time.sleep(seconds)\n    return seconds\n"
PATH = "/models/slow/predict"


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A function that takes as long as it is told to."""
    signature = Signature((Column("seconds", "seconds", Datatype.FP64),))
    return function_bundle(tmp_path_factory.mktemp("bundles") / "slow", SLEEPS, "sleeps", signature)


def asked(service: Service, seconds: float, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return service.ask(PATH, json={"seconds": seconds}, headers=named)


def meanwhile(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call)
    thread.start()
    return thread


def test_a_deadline_of_the_header_or_of_the_settings_is_kept(serve: Serve, slow: Path) -> None:
    service = serve(f"slow={slow}", environment={"MODELWAY__INFERENCE__DEADLINE_S": "0.5"})
    for headers, at_least in (({"modelway_timeout_ms": "50"}, 0.05), ({}, 0.5)):
        started = time.monotonic()
        answer = asked(service, 2.0, **headers)
        said: Any = answer.json
        assert (answer.status, said["code"]) == (504, "deadline-exceeded")
        assert at_least <= time.monotonic() - started < 2.0
        time.sleep(2.0)  # what has begun is not stopped
    assert asked(service, 0.0).status == 200


def test_a_full_queue_refuses_at_once_and_says_when_to_come_again(serve: Serve, slow: Path) -> None:
    service = serve(f"slow={slow}", environment={"MODELWAY__INFERENCE__QUEUE_REQUESTS": "1"})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: asked(service, 0.5), range(8)))
    refused = [one for one in answers if one.status == 503]
    assert refused
    for one in refused:
        said: Any = one.json
        assert said["code"] == "queue-full"
        assert int(one.headers["retry-after"]) >= 1
    assert {one.status for one in answers} == {200, 503}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_who_comes_after_sigterm_is_refused_and_who_was_there_is_answered(
    serve: Serve, slow: Path, workers: str
) -> None:
    service = serve(f"slow={slow}", "--workers", workers)
    found: list[Answer] = []
    thread = meanwhile(lambda: found.append(asked(service, 2.0)))
    time.sleep(0.5)
    service.process.send_signal(signal.SIGTERM)
    address = service.url.removeprefix("http://").split(":")
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        try:
            socket.create_connection((address[0], int(address[1])), timeout=5).close()
        except ConnectionError:
            break
        time.sleep(0.02)
    else:
        pytest.fail("connections are taken while the service ends")
    thread.join()
    assert [one.status for one in found] == [200]
    assert service.process.wait(20) == 0


def test_what_answers_inline_is_seen_in_the_numbers(serve: Serve, tmp_path: Path) -> None:
    bundle = compiled_bundle(tmp_path / "flower", flower_graph(), FLOWER, classes=(0, 1, 2))
    service = serve(f"flower={bundle}")
    admin = Administered(service)
    row = {"sepal_length": 5.0, "petal_width": 2.2}
    for _ in range(20):
        assert service.ask("/models/flower/predict", json=row).status == 200
    said: Any = service.ask("/models/flower").json
    labels = f'{{endpoint="flower",version="{said["version"][:19]}"}}'
    until(lambda: admin.metric(f"modelway_batch_rows_sum{labels}") == 20)
    assert admin.metric(f"modelway_inference_duration_seconds_count{labels}") == 20
    assert 0 < admin.metric(f"modelway_runner_busy_seconds_total{labels}") < 1
    assert admin.metric('modelway_request_duration_seconds_count{protocol="http"}') >= 20
