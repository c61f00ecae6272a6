"""Queues that are refused: set aside ever longer, which is said once."""

from __future__ import annotations

import time

import pytest
from pika.exceptions import ChannelClosedByBroker, ConnectionClosedByBroker

from modelway.backends.rabbitmq.declaring import Refusals


def test_what_is_refused_again_and_again_is_tried_ever_more_seldom(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    at = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: at)
    refusals = Refusals()
    waits: list[float] = []
    for _ in range(12):
        refusals.add("q", ChannelClosedByBroker(406, "no"))
        begun = at
        while refusals.has("q"):
            at += 0.5
        waits.append(at - begun)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert caplog.text.count("the queue q is set aside") == 1
    at += 301
    refusals.add("q", ConnectionClosedByBroker(541, "no"))
    at += 299
    assert refusals.has("q")
    assert not refusals.has("p")
    assert caplog.text.count("the queue q is set aside") == 2
