"""Judging over a real store: what adds up, what begins anew, and who acts how often."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modelway.cli.main import run
from modelway.composition.control import Control, now
from modelway.composition.endpoint_operations import VERDICT, JudgedEndpoint, OfEndpoint
from modelway.composition.judging import Judging
from modelway.domain.errors import PredictFailed, StoreUnavailable
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.inference import InferenceRequest
from modelway.domain.tables import Table
from modelway.endpoints.arms import ArmCounting
from modelway.endpoints.comparison import ArmCounts
from modelway.endpoints.deployments import Deployments
from modelway.endpoints.endpoint import Bounds, Canary, Endpoint, Role
from modelway.endpoints.losses import Loss
from modelway.endpoints.planned import PlannedEndpoint
from modelway.endpoints.router import EndpointRouter
from modelway.endpoints.trials import Arm, Tally, Trial, Trials
from modelway.endpoints.verdict import Decision, Outcome
from modelway.inference.dataplane import DataPlane
from modelway.registry.promotions import Kind, Promotion
from support.canaries import NUMBERS, STEADY, Processes, controlled, linked, moved, on_trial, tally
from support.served import catalogue_of

RULES = {str(number): STEADY.format(number=number) for number in range(1, 4)}
BROKEN = {"answered": 180, "errors": 20}
WORSE = {"answered": 4850, "errors": 150}
"""Three in a hundred fail: more than live's, and within the bounds."""


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    """A home with three versions of a rule, of which the first is the champion."""
    with controlled(tmp_path / "home") as opened:
        linked(opened, tmp_path, RULES)
        moved(opened, "1")
        yield opened


class Host:
    """A host that judges: its processes say what they are given."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.processes = Processes()
        self.judging = Judging(control)
        self.look()

    def look(self) -> None:
        """A second in which nothing is counted."""
        asyncio.run(self.judging.once(self.processes))

    def count(self, live: dict[str, int], canary: dict[str, int], name: str = "rule") -> None:
        """A second in which the versions of a trial have answered so often."""
        trial = trial_of(self.control, name)
        (candidate,) = trial.candidates
        self.processes.waiting = [
            tally(trial, Arm.LIVE, trial.live_version, **live),
            tally(trial, Arm(candidate.role), candidate.version, **canary),
        ]
        self.look()


def trial_of(control: Control, name: str = "rule") -> Trial:
    store = control.store
    (found,) = [
        one
        for one in Trials(store.endpoints, store.ledger, store.links).now()
        if one.endpoint.name == name
    ]
    return found


def canaries(control: Control, name: str = "rule") -> tuple[Canary, ...]:
    endpoint = control.rollouts.show(name).endpoint
    assert endpoint is not None
    return endpoint.canaries


def verdict(control: Control, name: str = "rule") -> JudgedEndpoint:
    found = VERDICT.carry_out(control, OfEndpoint(name), "ann")
    assert isinstance(found, JudgedEndpoint)
    return found


def test_a_canary_that_breaks_a_bound_is_ended_by_itself(control: Control) -> None:
    on_trial(control, "rule", "rule:2")
    host = Host(control)
    host.count({"answered": 200}, BROKEN)
    assert canaries(control) == ()
    last = control.rollouts.history("rule")[-1]
    assert last.actor == "modelway"
    assert last.why.startswith("the canary failed 20 of 200 requests, live 0 of 200: more than")
    (judged,) = verdict(control).earlier
    assert (judged.acted, judged.verdict.decision) == ("rolled back", Decision.ROLL_BACK)
    assert judged.verdict.why == last.why
    (act,) = control.store.audit.acts(10)
    assert (act.actor, act.act, act.subject, act.outcome) == (
        *("modelway", "endpoint.end-canary", "rule", "done"),
    )


def test_an_equal_canary_stays(control: Control) -> None:
    on_trial(control, "rule", "rule:2")
    host = Host(control)
    for _ in range(3):
        host.count({"answered": 300, "errors": 30}, {"answered": 300, "errors": 30})
    assert len(canaries(control)) == 1
    (judged,) = verdict(control).verdicts
    assert judged.verdict.decision is Decision.KEEP
    assert (judged.candidate.requests, judged.candidate.errors) == (990, 90)
    assert (judged.live.requests, judged.role) == (990, Role.CANARY)


@pytest.mark.parametrize("automatic", [False, True])
def test_one_that_is_worse_within_the_bounds_is_ended_where_that_is_wanted(
    control: Control, automatic: bool
) -> None:
    on_trial(control, "rule", "rule:2", automatic=automatic)
    Host(control).count({"answered": 5000}, WORSE)
    found = verdict(control)
    if automatic:
        assert canaries(control) == ()
        assert found.earlier[0].acted == "rolled back"
    else:
        assert len(canaries(control)) == 1
        assert found.verdicts[0].verdict.decision is Decision.ROLL_BACK
        assert found.verdicts[0].acted == ""


def test_the_first_verdict_that_condemns_holds(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_trial(control, "rule", "rule:2", automatic=True)
    host = Host(control)

    def away(*_: object) -> None:
        raise StoreUnavailable("the store is away")

    with monkeypatch.context() as away_now:
        away_now.setattr(control.rollouts, "change", away)
        with pytest.raises(StoreUnavailable):
            host.count({"answered": 5000}, WORSE)
    condemned = control.store.trials.judged("rule")[0].verdict
    assert condemned.decision is Decision.ROLL_BACK
    host.count({"answered": 100, "errors": 4000}, {"answered": 4100})
    assert canaries(control) == ()
    assert control.rollouts.show("rule").why == condemned.why
    assert verdict(control).earlier[0].verdict == condemned


def test_hosts_add_up_and_one_of_them_acts(control: Control, tmp_path: Path) -> None:
    on_trial(control, "rule", "rule:2")
    with controlled(tmp_path / "other", store__url=control.home.store_url) as beside:
        here, there = Host(control), Host(beside)
        here.count({"answered": 30}, {"answered": 27, "errors": 3})
        assert len(canaries(control)) == 1
        there.count({"answered": 30}, {"answered": 26, "errors": 4})
        here.look()
        here.count({"answered": 60}, {"answered": 50, "errors": 10})
        there.look()
        here.look()
        assert canaries(control) == ()
        acted = [one for one in control.rollouts.history("rule") if one.actor == "modelway"]
        assert len(acted) == 1
        assert "17 of 120 requests" in acted[0].why


def test_what_is_rewritten_is_counted_once_and_survives_its_host(control: Control) -> None:
    on_trial(control, "rule", "rule:2")
    for _ in range(2):
        host = Host(control)
        host.count({"answered": 20}, {"answered": 10})
        host.count({"answered": 20}, {"answered": 10})
        host.look()
    (judged,) = verdict(control).verdicts
    assert (judged.live.requests, judged.candidate.requests) == (80, 40)


def test_a_canary_that_comes_again_begins_anew(control: Control) -> None:
    on_trial(control, "rule", "rule:2")
    host = Host(control)
    before = trial_of(control)
    host.count({"answered": 200}, BROKEN)
    control.rollouts.canary("rule", "rule:2", 0.5, "ann", "it is mended")
    again = trial_of(control)
    assert (again.routing, again.key != before.key) == (before.routing, True)
    host.look()
    assert verdict(control).waiting == []
    assert verdict(control).verdicts[0].candidate.requests == 0
    host.count({"answered": 20}, {"answered": 20})
    assert len(canaries(control)) == 1


def test_what_was_counted_under_another_routing_is_not_of_this_trial(control: Control) -> None:
    on_trial(control, "rule", "rule:2")
    host = Host(control)
    before = trial_of(control)
    control.rollouts.canary("rule", "rule:2", 0.25, "ann", "more slowly")
    host.look()
    host.processes.waiting = [
        tally(before, Arm.LIVE, "1", 200),
        tally(before, Arm.CANARY, "2", 100, 100),
    ]
    host.look()
    assert verdict(control).verdicts[0].candidate.requests == 0
    assert len(canaries(control)) == 1


def test_what_is_counted_is_of_the_trial_whatever_had_its_numbers_before(
    control: Control, tmp_path: Path
) -> None:
    credit = {"1": STEADY.format(number=4), "2": STEADY.format(number=5)}
    linked(control, tmp_path / "credit", credit, "credit")

    async def counted() -> Sequence[Tally]:
        catalogue, counting = catalogue_of(), ArmCounting()
        router = EndpointRouter(catalogue)
        deployments = Deployments(catalogue, router, lambda _: None)

        async def follow() -> None:
            planned = control.look()["rule"]
            assert isinstance(planned, PlannedEndpoint)
            assert await deployments.change(planned) == planned.live.version

        control.rollouts.create(Endpoint("rule", "rule:1"), "ann")
        await follow()
        control.rollouts.live("rule", "credit:1", "ann")
        await follow()
        control.rollouts.canary("rule", "credit:2", 0.5, "ann")
        await follow()
        counting.follow("rule", router.routing("rule"))
        plane = DataPlane(router, catalogue)
        model = await plane.opened("rule")
        table = Table(NUMBERS, 1, matrix=np.ones((1, 1)))
        for _ in range(400):
            request = InferenceRequest("rule", table, new_prediction_id())
            response = await plane.infer(request, model)
            if response.version == "2":
                counting.failed(request, PredictFailed("no"), 0.01, response.version)
            else:
                counting.answered([(request, response, 0.01)])
        catalogue.abandon()
        return counting.taken()

    tallies = asyncio.run(counted())
    assert {(one.arm, one.version) for one in tallies} == {(Arm.LIVE, "1"), (Arm.CANARY, "2")}
    host = Host(control)
    host.processes.waiting = [*tallies]
    host.look()
    assert canaries(control) == ()


def test_a_trial_is_what_is_routed_and_nothing_else(control: Control) -> None:
    on_trial(control, "rule", "rule:2")
    keys = [trial_of(control).key]

    def changed(**fields: object) -> bool:
        keys.append(trial_of(control).key)
        return keys[-1] != keys[-2]

    def change(endpoint: Endpoint) -> Endpoint:
        return Endpoint(
            endpoint.name,
            endpoint.live,
            endpoint.canaries,
            automatic=True,
            bounds=Bounds(error_ratio=0.5),
        )

    control.rollouts.change("rule", change, "ann")
    assert not changed()
    control.rollouts.shadow("rule", "rule:3", "ann")
    assert not changed()
    control.rollouts.canary("rule", "rule:2", 0.1, "ann")
    assert changed()
    control.rollouts.canary("rule", "rule:2", 0.5, "ann")
    assert changed()
    for version in ("3", "1"):
        moved(control, version)
        assert changed()
    control.rollouts.remove("rule", "ann")
    on_trial(control, "rule", "rule:2")
    assert changed()
    assert len(set(keys)) == len(keys) - 2


def test_a_move_that_was_refused_begins_no_trial_anew(control: Control) -> None:
    on_trial(control, "rule", "rule:2")
    host = Host(control)
    before = trial_of(control)
    host.count({"answered": 20}, {"answered": 20})
    why = "moved to version 3 in the registry itself"
    for number in (2, 3):
        control.store.ledger.append(
            Promotion("rule", "champion", number, "1", "1", Kind.REFUSED, "mlflow", why, now())
        )
        assert trial_of(control) == before
    host.count({"answered": 20}, {"answered": 20})
    (judged,) = verdict(control).verdicts
    assert (judged.candidate.requests, judged.began) == (40, before.began)
    moved(control, "3")
    moved(control, "1")
    again = trial_of(control)
    assert (again.routing, again.key != before.key) == (before.routing, True)


def test_a_version_without_a_bundle_is_on_no_trial(control: Control) -> None:
    on_trial(control, "rule", "rule:9")
    host = Host(control)
    host.look()
    found = verdict(control)
    assert (found.verdicts, found.waiting) == ([], ["rule:9"])


def test_a_shadow_that_is_worse_is_shown_and_stays(control: Control) -> None:
    control.rollouts.create(Endpoint("rule", "rule@champion", shadows=("rule:2",)), "ann")
    host = Host(control)
    trial = trial_of(control)
    host.processes.waiting = [
        tally(trial, Arm.BESIDE, "2", 400),
        tally(trial, Arm.SHADOW, "2", 300, 100),
    ]
    host.look()
    (judged,) = verdict(control).verdicts
    assert (judged.role, judged.verdict.decision) == (Role.SHADOW, Decision.ROLL_BACK)
    outcomes = {one.metric: one.outcome for one in judged.verdict.evidence}
    assert outcomes["latency"] is Outcome.SHOWN
    assert control.rollouts.show("rule").number == 1


def test_losses_of_labels_are_judged_with_the_rest(control: Control) -> None:
    on_trial(control, "rule", "rule:2", automatic=True)
    host = Host(control)
    trial = trial_of(control)

    def labelled(arm: Arm, version: str, wrong: int) -> Tally:
        counts = ArmCounts()
        for k in range(4000):
            counts.labelled(Loss.WRONG, float(k < wrong))
        return replace(tally(trial, arm, version), counts=counts)

    tallies = [labelled(Arm.LIVE, "1", 400), labelled(Arm.CANARY, "2", 800)]
    control.store.trials.put(trial.key, "labels", tallies, now())
    host.count({"answered": 100}, {"answered": 100})
    (judged,) = verdict(control).earlier
    assert judged.acted == "rolled back"
    assert judged.verdict.why.startswith("on 4,000 labels the canary loses 0.1000 more than live")
    assert (judged.candidate.requests, judged.candidate.labels) == (100, 4000)


def test_a_canary_whose_version_is_live_is_ended_where_that_is_wanted(control: Control) -> None:
    on_trial(control, "rule", "rule:2", automatic=True)
    on_trial(control, "other", "rule:2")
    host = Host(control)
    moved(control, "2")
    host.look()
    assert canaries(control) == ()
    assert control.rollouts.show("rule").why == "version 2 is live now"
    assert len(canaries(control, "other")) == 1


def test_a_registry_that_is_away_delays_a_promotion(
    control: Control, caplog: pytest.LogCaptureFixture, free_port: int, tmp_path: Path
) -> None:
    registry = f"http://127.0.0.1:{free_port}"
    with controlled(tmp_path / "home", registry__url=registry) as away:
        on_trial(away, "rule", "rule:2", automatic=True)
        host = Host(away)

        async def judge() -> None:
            trial = trial_of(away)
            host.processes.waiting = [
                tally(trial, Arm.LIVE, "1", 4000),
                tally(trial, Arm.CANARY, "2", 4000),
            ]
            await host.judging.once(host.processes)
            await asyncio.gather(*host.judging.promoting)

        asyncio.run(judge())
        (judged,) = verdict(away).verdicts
        assert judged.verdict.decision is Decision.PROMOTE
        assert judged.acted == ""
        assert len(canaries(away)) == 1
        assert "canary cannot be promoted now" in caplog.text


def test_a_verdict_is_shown_with_its_evidence(
    control: Control, capsys: pytest.CaptureFixture[str]
) -> None:
    on_trial(control, "rule", "rule:2")
    home = ["--home", str(control.home.path)]
    assert run(["endpoint", "verdict", "rule", *home]) == 0
    assert capsys.readouterr().out == "rule\n  rule:2: nothing is known yet\n"
    host = Host(control)
    host.count({"answered": 5000}, WORSE)
    assert run(["endpoint", "verdict", "rule", *home]) == 4
    shown = capsys.readouterr().out
    assert "canary rule:2 (version 2, live 1): roll back\n    the canary failed 150 of" in shown
    assert "- latency: no worse; the canary takes" in shown
    assert run(["endpoint", "verdict", "rule", "--json", *home]) == 4
    (judged,) = json.loads(capsys.readouterr().out)["verdicts"]
    evidence = {one["metric"]: one for one in judged["verdict"]["evidence"]}
    assert set(evidence) == {"sample ratio", "errors", "latency"}
    assert evidence["errors"]["outcome"] == "worse"
    assert evidence["errors"]["lower"] > 1.1
    assert judged["verdict"]["alpha"] == 0.05
    assert judged["candidate"] == {
        **{"requests": 5000, "errors": 150, "labels": 0},
        **{"median_s": judged["live"]["median_s"], "p99_s": judged["live"]["p99_s"]},
    }
    control.rollouts.end("rule", "rule:2", "ann")
    assert run(["endpoint", "verdict", "rule", *home]) == 0
    assert "ended" in capsys.readouterr().out
    assert run(["endpoint", "verdict", "nobody", *home]) == 3
