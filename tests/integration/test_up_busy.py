"""``modelway up`` while records are read for long: what it keeps up, it keeps up all the same."""

from __future__ import annotations

import http.client
import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from modelway.endpoints.endpoint import Endpoint
from support.canaries import STEADY, controlled, linked, moved
from support.homes import HOME, Homes, Up, wait_until
from support.patience import promised

SLOW = "select count(*) from range(10000000) a, range(10000000) b where hash(a.range, b.range) = 1"
QUICK = "select 1"


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """One worker that answers by the champion; version 2 is there too."""
    with controlled(tmp_path / HOME) as control:
        linked(control, tmp_path, {"1": STEADY.format(number=1), "2": STEADY.format(number=2)})
        moved(control, "1")
        control.rollouts.create(Endpoint("good", "rule@champion"), "ann")
    with Homes() as homes:
        yield homes.up(tmp_path, "--no-mlflow", workers=1)


@contextmanager
def slow_queries(up: Up, n: int) -> Iterator[None]:
    """So many callers who wait for a query, until the end of the block."""
    body = json.dumps({"sql": SLOW})
    headers = {"authorization": f"Bearer {up.admin_key}", "content-type": "application/json"}
    connections = []
    for _ in range(n):
        connection = http.client.HTTPConnection(urlsplit(up.said["administration"]).netloc)
        connection.request("POST", "/records/query", body, headers)
        connections.append(connection)
    time.sleep(1)
    try:
        yield
    finally:
        for connection in connections:
            connection.close()


def predicted(up: Up) -> object:
    answer = up.ask("/models/good/predict", payload={"a": 3})
    assert answer.status == 200, answer.body
    return answer.headers["modelway-version"]


def test_slow_queries_hold_up_neither_changes_nor_the_end(up: Up) -> None:
    assert predicted(up) == "1"
    with slow_queries(up, 8):
        with controlled(up.home) as control:
            moved(control, "2")
        took_s = wait_until(lambda: predicted(up) == "2", 10)
        print(f"followed after {took_s:.2f} s")
        assert up.administer("GET", "/endpoints").status == 200
        began = time.monotonic()
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(20) == 0
        print(f"ended after {time.monotonic() - began:.2f} s")
    assert "Traceback" not in up.log.read_text()


def test_a_query_ends_when_its_caller_leaves(up: Up) -> None:
    with slow_queries(up, 8):
        pass
    began = time.monotonic()
    assert up.administer("POST", "/records/query", {"sql": QUICK}).status == 200
    assert time.monotonic() - began < promised(5)


def test_more_than_may_wait_is_refused(up: Up) -> None:
    with slow_queries(up, 36):
        answer = up.administer("POST", "/records/query", {"sql": QUICK})
        assert answer.status == 503
        assert "overloaded" in answer.body.decode()
