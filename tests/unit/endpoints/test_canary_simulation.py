"""A small form of the simulation: equal canaries stay, bad ones go, and one look is like many."""

from __future__ import annotations

import importlib.util
import json
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from modelway.endpoints.comparison import ArmCounts
from modelway.endpoints.endpoint import Bounds
from modelway.endpoints.losses import Loss
from modelway.endpoints.verdict import Decision, compare, judge
from modelway.endpoints.weighing import Rules, weigh
from support.live import ROOT


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    """The module that simulates."""
    path = ROOT / "bench/canary_simulation.py"
    spec = importlib.util.spec_from_file_location("canary_simulation", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize("weight", [0.05, 0.5])
@pytest.mark.parametrize("outages", [False, True])
def test_of_sixty_equal_canaries_at_most_one_in_twenty_is_condemned(
    simulation: ModuleType, weight: float, outages: bool
) -> None:
    arm = simulation.Arm()
    traffic = simulation.Traffic(arm, arm, weight, 5_000, outages=outages)
    done = simulation.alike(np.random.default_rng(11), traffic, 60)
    assert done["canaries"] == 60
    assert done["condemned"] <= 3


def test_two_points_of_accuracy_are_found(simulation: ModuleType) -> None:
    for found in (simulation.less_accurate, simulation.less_accurate_in_pairs):
        done = found(np.random.default_rng(12), 40)
        assert done["found"] >= 38
        assert done["labels_median"] < 10_000


@pytest.mark.parametrize("weight", [0.05, 0.5])
def test_what_is_broken_is_found_soon(simulation: ModuleType, weight: float) -> None:
    live = simulation.Arm()
    for bad in (simulation.Arm(errors=0.109), simulation.Arm(slower=10.0)):
        traffic = simulation.Traffic(live, bad, weight, 6_000, every=10, labelled=False)
        done = simulation.found(np.random.default_rng(13), traffic, 20)
        assert done["found"] == 20
        assert done["requests_of_the_canary_worst"] < 600


@pytest.mark.parametrize(
    ("errors", "slower", "accuracy", "decision"),
    [
        (0.005, 1.0, 0.91, Decision.PROMOTE),
        (0.10, 1.0, 0.9, Decision.ROLL_BACK),
        (0.01, 3.5, 0.9, Decision.ROLL_BACK),
        (0.01, 1.0, 0.8, Decision.ROLL_BACK),
    ],
)
def test_what_is_simulated_is_what_is_judged(
    simulation: ModuleType, errors: float, slower: float, accuracy: float, decision: Decision
) -> None:
    """Every look of a run at once, and the sums of each look alone, decide alike."""
    bad = simulation.Arm(errors, slower, accuracy)
    traffic = simulation.Traffic(simulation.Arm(), bad, 0.5, 40_000, every=500)
    one = simulation.drawn(np.random.default_rng(14), traffic)
    rules = Rules(Bounds(), 0.5)
    shown = weigh(simulation.compared(one, traffic), rules)
    decided = np.where(shown.condemned, "roll back", np.where(shown.promoted, "promote", "keep"))
    live, canary = ArmCounts(), ArmCounts()
    for look, wanted in enumerate(decided.tolist()):
        for row in range(look * 500, (look + 1) * 500):
            take(canary if one.to_canary[row] else live, one, row)
        assert judge(live, canary, None, Bounds(), 0.5).decision.value == wanted
        alone = weigh(compare(live, canary), rules)
        together = [np.asarray(flags)[look].item() for flags in np.broadcast_arrays(*shown)]
        assert [np.asarray(flag).item() for flag in alone] == together
    assert decided[-1] == decision.value
    assert decided[0] == "keep" or decision is Decision.ROLL_BACK


def take(arm: ArmCounts, one: Any, row: int) -> None:
    """Count one simulated request."""
    if one.failed[row]:
        arm.failed()
    else:
        arm.answered(float(np.exp(np.float64(one.log_seconds[row]))))
        arm.labelled(Loss.WRONG, float(one.wrong[row]))


def test_the_figures_of_the_page_are_those_of_the_last_run_and_keep_the_promise() -> None:
    done = json.loads((ROOT / "bench/results/canary.json").read_text())
    page = (ROOT / "docs/explanation/canaries.md").read_text()
    assert f"Seed {done['seed']}," in page
    for name, figures in done.items():
        if name.startswith("equal"):
            assert figures["condemned_ratio"] <= figures["interval"][1] <= 0.05
            assert f"| {figures['condemned_ratio']:.1%} |" in page
        elif name.startswith("two points"):
            assert figures["found_ratio"] >= 0.95
            assert f"| {figures['labels_median']:,.0f} |" in page
        elif name != "seed":
            assert figures["found"] == figures["runs"]
            assert f"| {figures['requests_worst']:,} |" in page
