"""Counting arms: which requests count, for whom, and under which routing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from modelway.bundles.store import open_bundle
from modelway.domain.errors import DeadlineExceeded, InputRefused, ModelwayError, PredictFailed
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.domain.tables import Table
from modelway.endpoints.arms import ArmCounting, counts_of
from modelway.endpoints.comparison import ArmCounts
from modelway.endpoints.router import Routing, Split
from modelway.endpoints.splitting import key_of
from modelway.endpoints.trials import Arm, routing_name
from modelway.inference.catalogue import Entry
from support.canaries import NUMBERS, STEADY
from support.served import catalogue_of, function_bundle

TABLE = Table(NUMBERS, 1, matrix=np.ones((1, 1)))


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Entry]:
    """Versions 7, 8 and 9 of a rule."""
    folder: Path = tmp_path_factory.mktemp("rules")
    catalogue = catalogue_of()
    for number in (7, 8, 9):
        source = STEADY.format(number=number)
        bundle = open_bundle(function_bundle(folder / f"v{number}", source, "rule", NUMBERS))
        catalogue.add("rule", bundle, str(number))
    return {entry.version: entry for entry in catalogue}


def split(entries: Mapping[str, Entry], weight: float = 0.5, by: str = "") -> Routing:
    """Version 7 live, version 8 a canary."""
    key = key_of(by, NUMBERS)
    return Routing(entries["7"], Split((entries["8"],), (weight,), key, "rule"))


def asked(version: str, seconds: float = 0.01) -> tuple[InferenceRequest, InferenceResponse, float]:
    """A request that the split has given to a version, and its answer."""
    id = new_prediction_id()
    request = InferenceRequest("rule", TABLE, id, meant_for=version)
    return request, InferenceResponse("rule", version, id, {}, 1), seconds


def told(counting: ArmCounting) -> dict[tuple[str, str], tuple[int, int]]:
    """Requests and errors by arm and version."""
    return {
        (one.arm, one.version): (one.counts.requests, one.counts.errors) for one in counting.taken()
    }


def test_sums_are_those_of_counting_one_by_one() -> None:
    seconds = [0.0, 1e-9, 0.001, 0.0123, 0.0123, 5.0, 1e9]
    one_by_one = ArmCounts()
    for one in seconds:
        one_by_one.answered(one)
    found = counts_of(seconds)
    assert (found.requests, found.bins) == (one_by_one.requests, one_by_one.bins)
    assert found.latency.n == one_by_one.latency.n
    assert found.latency.mean == pytest.approx(one_by_one.latency.mean)
    assert found.latency.m2 == pytest.approx(one_by_one.latency.m2)


def test_without_canary_and_shadow_nothing_is_counted(entries: Mapping[str, Entry]) -> None:
    counting = ArmCounting()
    counting.follow("rule", Routing(entries["7"]))
    counting.answered([asked("7")])
    counting.failed(asked("7")[0], PredictFailed("no"), 0.1, "7")
    assert told(counting) == {}


def test_each_arm_is_counted_once(entries: Mapping[str, Entry]) -> None:
    counting = ArmCounting()
    counting.follow("rule", split(entries))
    counting.answered([asked("7", 0.25) for _ in range(5000)])
    counting.answered([asked("8", 0.5)])
    counting.failed(asked("8")[0], PredictFailed("no"), 0.1, "8")
    counting.failed(asked("8")[0], DeadlineExceeded("late"), 0.1, "8")
    tallies = {(one.arm, one.version): one for one in counting.taken()}
    assert set(tallies) == {(Arm.LIVE, "7"), (Arm.CANARY, "8")}
    live, canary = tallies[Arm.LIVE, "7"].counts, tallies[Arm.CANARY, "8"].counts
    assert (live.requests, live.errors, live.latency.n) == (5000, 0, 5000)
    assert live.quantile_s(0.5) == pytest.approx(0.25, rel=0.03)
    assert (canary.requests, canary.errors, canary.latency.n) == (3, 2, 1)
    assert counting.taken() == []


@pytest.mark.parametrize("error", [InputRefused("no"), ModelwayError("no")])
def test_what_the_caller_did_wrong_is_no_error(
    entries: Mapping[str, Entry], error: ModelwayError
) -> None:
    counting = ArmCounting()
    counting.follow("rule", split(entries))
    counting.failed(asked("8")[0], error, 0.1, "8")
    counting.failed(asked("8")[0], PredictFailed("nobody was asked"), 0.1, None)
    assert told(counting) == {}


def test_who_was_not_sent_by_the_split_does_not_count(entries: Mapping[str, Entry]) -> None:
    counting = ArmCounting()
    counting.follow("rule", split(entries))
    for_canary, by_live = asked("8")[0], asked("7")[1]
    counting.answered([(for_canary, by_live, 0.1)])  # the canary was not open
    for version in ("7", "8"):  # by its name, or before there was a split
        unasked = InferenceRequest("rule", TABLE)
        counting.answered([(unasked, InferenceResponse("rule", version, "x", {}, 1), 0.1)])
        counting.failed(unasked, PredictFailed("no"), 0.1, version)
    request, response, seconds = asked("6")  # a canary of before
    counting.answered([(request, response, seconds)])
    counting.failed(request, PredictFailed("no"), 0.1, "6")
    counting.failed(asked("7")[0], PredictFailed("no"), 0.1, "8")
    counting.answered([(for_canary, InferenceResponse("rule", "6", "x", {}, 1), 0.1)])
    assert told(counting) == {}


def test_a_shadow_is_counted_beside_the_same_requests(entries: Mapping[str, Entry]) -> None:
    counting = ArmCounting()
    counting.follow("rule", Routing(entries["7"], shadows=(entries["9"],)))
    live = [asked("7", 0.25) for _ in range(5)]
    counting.answered(live)
    for request, _, seconds in live[:3]:
        request.beside = ("7", seconds)
    live[3][0].beside = ("6", 0.25)  # it was live before
    for request, response, _ in live[:2]:
        shadow = InferenceResponse("rule", "9", response.prediction_id, {}, 1)
        counting.answered([(request, shadow, 0.5)])
    counting.failed(live[2][0], PredictFailed("no"), 0.5, "9")
    for request, response, _ in live[3:]:
        unknown = InferenceResponse("rule", "9", response.prediction_id, {}, 1)
        counting.answered([(request, unknown, 0.5)])
    tallies = {(one.arm, one.version): one.counts for one in counting.taken()}
    assert set(tallies) == {(Arm.BESIDE, "9"), (Arm.SHADOW, "9")}
    beside, shadow_counts = tallies[Arm.BESIDE, "9"], tallies[Arm.SHADOW, "9"]
    assert (beside.requests, beside.errors) == (3, 0)
    assert beside.quantile_s(0.5) == pytest.approx(0.25, rel=0.03)
    assert (shadow_counts.requests, shadow_counts.errors) == (3, 1)
    assert shadow_counts.quantile_s(0.5) == pytest.approx(0.5, rel=0.03)


def test_counts_are_told_by_the_routing_under_which_they_came(
    entries: Mapping[str, Entry],
) -> None:
    counting = ArmCounting()
    counting.follow("rule", split(entries, 0.5))
    counting.answered([asked("8")])
    counting.follow("rule", split(entries, 0.25))
    digests = [entries[version].bundle.digest for version in ("7", "8")]
    (before,) = counting.taken()
    assert before.routing == routing_name([("7", digests[0], 0.5), ("8", digests[1], 0.5)])
    counting.follow("rule", split(entries, 0.5))
    counting.answered([asked("8")])
    counting.follow("rule", Routing(entries["7"]))
    counting.follow("rule", split(entries, 0.5))
    assert counting.taken() == []  # that trial is over, and this one has seen nothing
