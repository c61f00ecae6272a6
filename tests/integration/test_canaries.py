"""Canaries of a real service under load: bad ones end by themselves, good ones stay or go live."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelway.composition.control import Control, now
from modelway.composition.judging import Judging
from modelway.endpoints.endpoint import Canary, Endpoint
from modelway.endpoints.trials import Arm, Trials
from modelway.registry.promotions import Decision
from support.canaries import (
    ABORTING,
    PAUSING,
    STEADY,
    THROWING,
    Load,
    Processes,
    controlled,
    linked,
    moved,
    on_trial,
    tally,
)
from support.homes import HOME, Homes, Up, wait_until
from support.mlflow_servers import mlflow_server
from support.moves import move
from support.patience import promised

ENDS_S = promised(10.0)
SEEN_S = 6.0
RULES = {
    "1": PAUSING.format(seconds=0.002),
    "2": THROWING,
    "3": PAUSING.format(seconds=0.02),
    "4": PAUSING.format(seconds=0.002) + "\n\n# The same in other words.\n",
    "5": STEADY.format(number=1),
}


@dataclass
class Seen:
    """What became of canaries: after how many seconds each was ended."""

    up: Up
    control: Control
    ended: dict[str, float]
    load: Load
    shadow: dict[str, Any]

    def verdict(self, name: str) -> Any:
        """What the administration says of an endpoint's canaries."""
        return self.up.administer("GET", f"/endpoints/{name}/verdict").json


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """A service whose canaries throw on a tenth of rows, take ten times as long, or do neither."""
    folder = tmp_path_factory.mktemp("up")
    with controlled(folder / HOME) as control, Homes() as homes:
        linked(control, folder, RULES)
        moved(control, "1")
        on_trial(control, "throwing", "rule:2")
        on_trial(control, "slow", "rule:3")
        on_trial(control, "equal", "rule:4")
        watched = Endpoint("watched", "rule@champion", shadows=("rule:5",))
        control.rollouts.create(watched, "ann")
        up = homes.up(folder, "--no-mlflow")
        begun, ended = time.monotonic(), dict[str, float]()
        shadow: dict[str, Any] = {}

        def over() -> bool:
            for name in ("throwing", "slow", "equal"):
                endpoint = control.rollouts.show(name).endpoint
                if name not in ended and endpoint is not None and not endpoint.canaries:
                    ended[name] = time.monotonic() - begun
            for judged in control.store.trials.judged("watched"):
                evidence = {one.metric: one for one in judged.verdict.evidence}
                if "disagreement" in evidence and judged.candidate.requests > 200:
                    shadow.update(judged=judged, **evidence)
            bad = {"throwing", "slow"} <= set(ended)
            return time.monotonic() - begun > SEEN_S and bad and bool(shadow)

        # What is judged is in the counts; a machine that is full would measure itself.
        load = Load(up.url, pause_s=0.004)
        with load.on("throwing", "slow", "equal", "watched"):
            wait_until(over, ENDS_S, lambda: up.log.read_text()[-2000:])
        yield Seen(up, control, ended, load, shadow)


def test_what_throws_on_a_tenth_of_rows_ends_by_itself(seen: Seen) -> None:
    assert seen.ended["throwing"] < ENDS_S
    (judged,) = seen.verdict("throwing")["earlier"]
    assert (judged["acted"], judged["reference"]) == ("rolled back", "rule:2")
    outcomes = {one["metric"]: one["outcome"] for one in judged["verdict"]["evidence"]}
    assert outcomes["errors"] == "bound broken"
    assert seen.up.cli_json("endpoint", "verdict", "throwing") == seen.verdict("throwing")
    history = seen.control.rollouts.history("throwing")
    assert [one.actor for one in history] == ["ann", "modelway"]
    assert history[-1].why == judged["verdict"]["why"]


def test_what_takes_ten_times_as_long_ends_by_itself(seen: Seen) -> None:
    assert seen.ended["slow"] < ENDS_S
    (judged,) = seen.verdict("slow")["earlier"]
    assert judged["acted"] == "rolled back"
    outcomes = {one["metric"]: one["outcome"] for one in judged["verdict"]["evidence"]}
    assert outcomes["latency"] == "bound broken"
    assert judged["candidate"]["median_s"] > 3 * judged["live"]["median_s"]


def test_an_equal_canary_goes_on(seen: Seen) -> None:
    assert "equal" not in seen.ended
    (judged,) = seen.verdict("equal")["verdicts"]
    assert judged["verdict"]["decision"] != "roll back"
    assert judged["candidate"]["requests"] > 300
    assert judged["candidate"]["errors"] == 0


def test_counts_are_those_of_the_answers(seen: Seen) -> None:
    (judged,) = seen.verdict("equal")["verdicts"]
    told = {"1": judged["live"]["requests"], "4": judged["candidate"]["requests"]}
    given = {version: seen.load.versions["equal", version] for version in ("1", "4")}
    assert sum(given.values()) == seen.load.statuses["equal", 200]
    for version, answers in given.items():
        assert 0 <= answers - told[version] <= 0.35 * answers  # those of the last second or two


def test_nothing_else_was_refused_on_the_way(seen: Seen) -> None:
    assert {status for _, status in seen.load.statuses} == {200, 500}
    assert {name for name, status in seen.load.statuses if status == 500} == {"throwing"}


def test_a_shadow_is_judged_and_disagreement_is_shown(seen: Seen) -> None:
    judged, disagreement = seen.shadow["judged"], seen.shadow["disagreement"]
    assert judged.role == "shadow"
    assert judged.candidate.requests == judged.live.requests
    assert (disagreement.outcome, disagreement.estimate) == ("shown", 1.0)
    assert seen.load.versions["watched", "1"] == seen.load.statuses["watched", 200]


def test_what_kills_its_process_ends_by_itself_and_no_worker_dies(tmp_path: Path) -> None:
    with controlled(tmp_path / HOME) as control, Homes() as homes:
        linked(control, tmp_path, {"1": STEADY.format(number=1), "3": ABORTING})
        moved(control, "1")
        on_trial(control, "frail", "rule:3")
        control.rollouts.create(Endpoint("watched", "rule@champion", shadows=("rule:3",)), "ann")
        up = homes.up(tmp_path, "--no-mlflow")
        workers = up.children()["answer"]
        load = Load(up.url)

        def over() -> bool:
            endpoint = control.rollouts.show("frail").endpoint
            return endpoint is not None and not endpoint.canaries

        begun = time.monotonic()
        with load.on("frail", "watched", callers=8):
            wait_until(over, ENDS_S, lambda: up.log.read_text()[-2000:])
            seconds = time.monotonic() - begun
            wait_until(lambda: load.versions["frail", "1"] > 500, ENDS_S, lambda: "")
            wait_until(lambda: _errors(control, "watched") > 0, ENDS_S)
        said: Any = up.administer("GET", "/endpoints/frail/verdict").json
        assert up.children()["answer"] == workers
    print(f"ended after {seconds:.1f} s")
    (judged,) = said["earlier"]
    assert (judged["acted"], judged["reference"]) == ("rolled back", "rule:3")
    assert judged["candidate"]["errors"] > 0
    assert {status for name, status in load.statuses if name == "watched"} == {200}
    assert {status for name, status in load.statuses if name == "frail"} == {200, 500}


def test_a_canary_beside_a_model_that_took_over_ends_by_itself(tmp_path: Path) -> None:
    with controlled(tmp_path / HOME) as control, Homes() as homes:
        linked(control, tmp_path / "loan", {"1": STEADY.format(number=1)}, "loan")
        rules = {"1": STEADY.format(number=2), "2": THROWING}
        linked(control, tmp_path / "credit", rules, "credit")
        control.rollouts.create(Endpoint("score", "loan:1"), "ann")
        up = homes.up(tmp_path, "--no-mlflow")

        def asked() -> Any:
            return up.ask("/models/score/predict", payload={"a": 1.0}).json

        first = asked()
        control.rollouts.live("score", "credit:1", "ann")
        wait_until(lambda: asked()["prediction"] == 3.0, ENDS_S, lambda: up.log.read_text()[-2000:])
        then = asked()
        assert (first["version"], then["version"]) == ("1", "1")
        control.rollouts.canary("score", "credit:2", 0.5, "ann")
        load = Load(up.url, pause_s=0.004)

        def over() -> bool:
            endpoint = control.rollouts.show("score").endpoint
            return endpoint is not None and not endpoint.canaries

        with load.on("score"):
            wait_until(over, ENDS_S, lambda: up.log.read_text()[-2000:])
        wait_until(lambda: bool(control.store.trials.judged("score")[0].acted))
        (judged,) = control.store.trials.judged("score")
        assert (judged.acted, judged.version, judged.live_version) == ("rolled back", "2", "1")
        assert {version for _, version in load.versions} - {""} == {"1", "2"}
        links = control.store.links
        for answer, model in ((first, "loan"), (then, "credit")):
            (traced,) = up.cli_json("record", "show", answer["prediction_id"])
            assert (traced["model"], traced["version"]) == (model, "1")
            assert traced["digest"] == links.digest(model, "1")


def _errors(control: Control, endpoint: str) -> int:
    """How often the shadow of an endpoint has failed, as was counted."""
    return sum(one.candidate.errors for one in control.store.trials.judged(endpoint))


@pytest.mark.services
def test_a_good_canary_is_promoted(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = f"rule-{secrets.token_hex(4)}"
    source = tmp_path / "model"
    source.mkdir()
    (source / "MLmodel").write_text("flavors: {}\n")
    with (
        mlflow_server(tmp_path_factory) as server,
        controlled(
            tmp_path / HOME, registry__url=server.url, registry__protected="guarded"
        ) as control,
    ):
        run_id = control.registry.register(model, source, None, {}).run_id
        control.registry.register(model, source, run_id, {})
        linked(control, tmp_path, {"1": RULES["1"], "2": RULES["4"]}, model)
        for alias in ("champion", "guarded"):
            control.store.ledger.append(move(1, "1", model, alias))
        control.promoting.reconcile(now())
        for name, alias in (("open", "champion"), ("approved", "guarded")):
            canaries = (Canary(f"{model}:2", 0.5),)
            endpoint = Endpoint(name, f"{model}@{alias}", canaries, automatic=True)
            control.rollouts.create(endpoint, "ann")
        asyncio.run(_judged_twice(control))
        assert control.registry.model(model).aliases == {"champion": "2", "guarded": "1"}
        (last,) = [one for one in control.store.ledger.current(model) if one.alias == "champion"]
        assert last.actor == "modelway"
        assert last.why == "canary of open: no worse in errors, latency"
        ended = control.rollouts.show("open")
        assert ended.endpoint is not None
        assert (ended.endpoint.canaries, ended.why) == ((), "version 2 is live now")
        (proposal,) = control.store.proposals.all(model)
        assert (proposal.alias, proposal.version) == ("guarded", "2")
        assert proposal.decision is Decision.OPEN
        (waits,) = control.store.trials.judged("approved")
        assert waits.acted == "proposed"
        assert control.store.trials.judged("open")[0].acted == "promoted"


async def _judged_twice(control: Control) -> None:
    """Judge a second in which canaries did well, and then two hosts at once what came of it."""
    store, processes = control.store, Processes()
    hosts = [Judging(control), Judging(control)]
    await hosts[0].once(processes)
    for trial in Trials(store.endpoints, store.ledger, store.links).now():
        processes.waiting += [
            tally(trial, Arm.LIVE, "1", 4000),
            tally(trial, Arm.CANARY, "2", 4000),
        ]
    for _ in range(2):
        await asyncio.gather(*(host.once(processes) for host in hosts))
        await asyncio.gather(*(task for host in hosts for task in host.promoting))
