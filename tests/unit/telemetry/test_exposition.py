"""The text of all slots: how their numbers are put together, and how it is written."""

from __future__ import annotations

import math

import pytest

from modelway.telemetry.exposition import exposition
from modelway.telemetry.layout import Series
from modelway.telemetry.metrics import (
    BATCH_REQUESTS,
    HOME_FREE_BYTES,
    MODELS_LOADED,
    QUEUE_DEPTH,
    REQUESTS,
)
from modelway.telemetry.slots import SlotReading


def lines(*readings: SlotReading) -> list[str]:
    text = exposition(readings).decode()
    assert text.endswith("\n") or not text
    return text.splitlines()


def samples(*readings: SlotReading) -> list[str]:
    return [line for line in lines(*readings) if not line.startswith("#")]


def test_nothing_is_said_of_nothing() -> None:
    assert exposition([]) == b""
    empty = SlotReading("0", [Series(HOME_FREE_BYTES, (), [math.nan])])
    assert exposition([empty]) == b""


def test_counters_of_all_slots_are_summed_by_their_labels() -> None:
    one = SlotReading(
        "0",
        [Series(REQUESTS, ("native", "200"), [3.0]), Series(REQUESTS, ("native", "404"), [1.0])],
    )
    two = SlotReading("1", [Series(REQUESTS, ("native", "200"), [4.5])])
    assert lines(one, two) == [
        f"# HELP modelway_requests_total {REQUESTS.help}",
        "# TYPE modelway_requests_total counter",
        'modelway_requests_total{protocol="native",code="200"} 7.5',
        'modelway_requests_total{protocol="native",code="404"} 1',
    ]


def test_gauges_are_summed_or_the_largest_or_each() -> None:
    one = SlotReading(
        "0",
        [
            Series(QUEUE_DEPTH, ("iris", "7"), [2.0]),
            Series(HOME_FREE_BYTES, (), [5.0]),
            Series(MODELS_LOADED, (), [1.0]),
        ],
    )
    two = SlotReading(
        "1",
        [
            Series(QUEUE_DEPTH, ("iris", "7"), [3.0]),
            Series(HOME_FREE_BYTES, (), [4.0]),
            Series(MODELS_LOADED, (), [2.0]),
        ],
    )
    gone = SlotReading(
        "2", [Series(one.series[i].metric, one.series[i].values, [math.nan]) for i in range(3)]
    )
    assert samples(one, two, gone) == [
        'modelway_queue_depth{endpoint="iris",version="7"} 5',
        'modelway_models_loaded{slot="0"} 1',
        'modelway_models_loaded{slot="1"} 2',
        "modelway_home_free_bytes 5",
    ]


def test_buckets_add_up_to_the_count() -> None:
    cells = [1.0, 0.0, 2.0] + [0.0] * (len(BATCH_REQUESTS.buckets) - 2) + [2048.25]
    reading = SlotReading("0", [Series(BATCH_REQUESTS, ("iris", "7"), cells)])
    found = samples(reading, SlotReading("1", reading.series))
    labels = 'endpoint="iris",version="7"'
    assert found[:4] == [
        f'modelway_batch_requests_bucket{{{labels},le="1"}} 2',
        f'modelway_batch_requests_bucket{{{labels},le="2"}} 2',
        f'modelway_batch_requests_bucket{{{labels},le="4"}} 6',
        f'modelway_batch_requests_bucket{{{labels},le="8"}} 6',
    ]
    assert found[-3:] == [
        f'modelway_batch_requests_bucket{{{labels},le="+Inf"}} 6',
        f"modelway_batch_requests_sum{{{labels}}} 4096.5",
        f"modelway_batch_requests_count{{{labels}}} 6",
    ]


def test_readings_are_left_as_they_were() -> None:
    reading = SlotReading("0", [Series(REQUESTS, ("native", "200"), [1.0])])
    assert exposition([reading, reading]) == exposition([reading, reading])
    assert reading.series[0].cells == [1.0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (12.0, "12"),
        (2.0**53, "9007199254740992.0"),
        (1e300, "1e+300"),
        (0.1, "0.1"),
        (1753862400.25, "1753862400.25"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
    ],
)
def test_numbers_lose_nothing(value: float, text: str) -> None:
    (sample,) = samples(SlotReading("0", [Series(HOME_FREE_BYTES, (), [value])]))
    assert sample == f"modelway_home_free_bytes {text}"


def test_label_values_are_escaped_and_always_utf_8() -> None:
    reading = SlotReading("0", [Series(REQUESTS, ('a"b\\c\nd', "é\ud800"), [1.0])])
    (sample,) = samples(reading)
    assert sample == 'modelway_requests_total{protocol="a\\"b\\\\c\\nd",code="é?"} 1'
