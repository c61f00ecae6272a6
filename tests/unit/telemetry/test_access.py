"""The access log: which requests are in it, and what is said of them."""

from __future__ import annotations

import json
import logging

import pytest

from modelway.telemetry.access import Access, AccessLog
from modelway.telemetry.logs import JsonLines

ACCESS = Access(
    method="POST",
    route="/models/{name}/predict",
    status=200,
    seconds=0.00123456,
    request_id="r-1",
    trace_id="1" * 32,
    request_bytes=120,
    response_bytes=80,
    client="127.0.0.1",
)


def test_none_and_all_are_exact() -> None:
    ids = [f"request-{index}" for index in range(100)]
    assert not AccessLog(0.0).on
    assert not any(AccessLog(0.0).wants(one) for one in ids)
    assert AccessLog(1.0).on
    assert all(AccessLog(1.0).wants(one) for one in ids)


@pytest.mark.parametrize("ratio", [0.01, 0.1, 0.5, 0.9])
def test_the_share_is_met_even_by_ids_that_are_alike(ratio: float) -> None:
    log, n_ids = AccessLog(ratio), 20_000
    n_wanted = sum(log.wants(f"request-{index:06}") for index in range(n_ids))
    spread = (ratio * (1 - ratio) * n_ids) ** 0.5
    assert abs(n_wanted - ratio * n_ids) < 5 * spread


def test_what_a_small_share_has_a_larger_one_has_too() -> None:
    ids = [f"request-{index}" for index in range(2000)]
    small = {one for one in ids if AccessLog(0.05).wants(one)}
    large = {one for one in ids if AccessLog(0.2).wants(one)}
    assert small
    assert small < large
    assert small == {one for one in ids if AccessLog(0.05).wants(one)}


def test_any_id_can_be_asked_of() -> None:
    assert AccessLog(0.5).wants("\ud800") in (True, False)


def test_the_line_has_every_field(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="modelway.access"):
        AccessLog(1.0).write(ACCESS)
    (record,) = caplog.records
    line = json.loads(JsonLines().format(record))
    del line["time"]
    assert line == {
        "level": "info",
        "logger": "modelway.access",
        "message": "POST /models/{name}/predict 200",
        "method": "POST",
        "route": "/models/{name}/predict",
        "status": 200,
        "seconds": 0.001235,
        "request_id": "r-1",
        "trace_id": "1" * 32,
        "request_bytes": 120,
        "response_bytes": 80,
        "client": "127.0.0.1",
    }
