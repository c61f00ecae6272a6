"""How often a canary is condemned wrongly, and how soon rightly, in simulated traffic.

``python bench/canary_simulation.py [--seed N]`` draws requests of a live version and a canary,
looks at their sums again and again through the functions that a verdict is made of, and counts. A
fresh seed is drawn and printed unless one is given. The figures are written to
``bench/results/canary.json``; it takes two minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import math
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from modelway.endpoints.comparison import bin_of, quantile_of
from modelway.endpoints.endpoint import Bounds
from modelway.endpoints.sequential import Estimate, difference_of, mean_of
from modelway.endpoints.weighing import Compared, Rules, Weighed, weigh

RESULTS = Path(__file__).parent / "results" / "canary.json"
CANARIES = 1_000
REQUESTS = 20_000
EVERY = 100
WORST_OF = 200
MEDIAN_S = 0.02
SPREAD = 0.5
TOGETHER = 25

Array = npt.NDArray[Any]


class Running(NamedTuple):
    """Moments at every look."""

    n: Array
    mean: Array
    m2: Array


@dataclass(frozen=True)
class Arm:
    """How a version behaves; ``slower`` is times the usual latency."""

    errors: float = 0.01
    slower: float = 1.0
    accuracy: float = 0.9


@dataclass(frozen=True)
class Traffic:
    """Requests of both arms, looked at after every ``every`` of them.

    In ``outages`` (two in a hundred looks) three in ten requests fail in both arms and the rest
    take five times as long.
    """

    live: Arm
    canary: Arm
    weight: float
    requests: int
    every: int = EVERY
    labelled: bool = True
    outages: bool = False


class Drawn(NamedTuple):
    """The requests of one run, each array (n_requests,)."""

    to_canary: Array
    failed: Array
    log_seconds: Array
    wrong: Array


def drawn(rng: np.random.Generator, traffic: Traffic) -> Drawn:
    """The requests of one run."""
    n, live, canary = traffic.requests, traffic.live, traffic.canary
    to_canary = rng.random(n, dtype=np.float32) < traffic.weight
    log_seconds = rng.standard_normal(n, dtype=np.float32)
    log_seconds *= SPREAD
    log_seconds += np.where(
        to_canary, math.log(MEDIAN_S * canary.slower), math.log(MEDIAN_S * live.slower)
    ).astype(np.float32)
    failing = np.where(to_canary, canary.errors, live.errors)
    if traffic.outages:
        out = np.repeat(rng.random(n // traffic.every) < 0.02, traffic.every)
        failing = np.where(out, 0.3, failing)
        log_seconds += (math.log(5.0) * out).astype(np.float32)
    failed = rng.random(n, dtype=np.float32) < failing
    wrong = rng.random(n, dtype=np.float32) >= np.where(
        to_canary, np.float32(canary.accuracy), np.float32(live.accuracy)
    )
    return Drawn(to_canary, failed, log_seconds, wrong)


def running(values: Array, where: Array, every: int) -> Running:
    """Moments of the values picked, at every look; they are summed up around their middle."""
    middle = float(values[:EVERY].mean())
    picked = np.where(where, values - middle, 0.0).reshape(-1, every)
    n = np.cumsum(where.reshape(-1, every).sum(axis=1))
    total = np.cumsum(picked.sum(axis=1, dtype=np.float64))
    squares = np.cumsum(np.square(picked).sum(axis=1, dtype=np.float64))
    mean = total / np.maximum(n, 1)
    return Running(n, middle + mean, np.maximum(squares - total * mean, 0.0))


def medians(one: Drawn, where: Array, looks: int, every: int) -> Array:
    """The median latency of the requests picked, at every look."""
    places = bin_of(one.log_seconds)
    first = int(places.min())
    width = int(places.max()) - first + 1
    index = (np.arange(len(where)) // every * width + places - first)[where]
    counts = np.bincount(index, minlength=looks * width).reshape(looks, width)
    return quantile_of(np.cumsum(counts, axis=0, dtype=np.int32), 0.5, first)


def compared(one: Drawn, traffic: Traffic) -> Compared:
    """Both arms at every look of one run; each array has shape (n_looks,)."""
    every, looks = traffic.every, traffic.requests // traffic.every

    def count(flags: Array) -> Array:
        return np.cumsum(flags.reshape(looks, every).sum(axis=1))

    to_live, served = ~one.to_canary, ~one.failed
    live, canary = to_live & served, one.to_canary & served
    wrong = one.wrong.astype(np.float32)
    losses = running(wrong, live, every), running(wrong, canary, every)
    return Compared(
        count(to_live),
        count(to_live & one.failed),
        count(one.to_canary),
        count(one.to_canary & one.failed),
        difference_of(
            running(one.log_seconds, live, every), running(one.log_seconds, canary, every)
        ),
        medians(one, canary, looks, every) / medians(one, live, looks, every),
        difference_of(*losses),
        np.minimum(losses[0].n, losses[1].n),
        traffic.labelled,
    )


def stacked(runs: list[Compared]) -> Compared:
    """Runs side by side; each array has shape (n_runs, n_looks)."""
    columns: list[Any] = []
    for parts in list(zip(*runs, strict=True))[:-1]:
        if isinstance(parts[0], Estimate):
            columns.append(Estimate(*(np.stack(one) for one in zip(*parts, strict=True))))
        else:
            columns.append(np.stack(parts))
    return Compared(*columns, labelled=runs[0].labelled)


def batches(
    rng: np.random.Generator, traffic: Traffic, runs: int
) -> Iterator[tuple[Compared, Weighed]]:
    """What was shown at every look of every run, some runs at a time."""
    rules = Rules(Bounds(), traffic.weight)
    for start in range(0, runs, TOGETHER):
        many = min(TOGETHER, runs - start)
        seen = stacked([compared(drawn(rng, traffic), traffic) for _ in range(many)])
        yield seen, weigh(seen, rules)


def alike(rng: np.random.Generator, traffic: Traffic, runs: int) -> dict[str, Any]:
    """How many canaries equal to live were ever condemned, with the exact 95 % interval."""
    condemned = promoted = mismatched = requests = 0
    for seen, shown in batches(rng, traffic, runs):
        condemned += int(shown.condemned.any(axis=-1).sum())
        promoted += int(shown.promoted.any(axis=-1).sum())
        mismatched += int(shown.mismatch.any(axis=-1).sum())
        requests += int(np.asarray(seen.canary_requests)[:, -1].sum())
    interval = binomtest(condemned, runs).proportion_ci(method="exact")
    return {
        "canaries": runs,
        "weight": traffic.weight,
        "requests_of_the_canary": round(requests / runs),
        "looks": traffic.requests // traffic.every,
        "condemned": condemned,
        "condemned_ratio": condemned / runs,
        "interval": [round(interval.low, 5), round(interval.high, 5)],
        "promoted": promoted,
        "sample_ratio_mismatch": mismatched,
    }


def first_looks(flags: Array) -> Array:
    """The first look at which a flag is set, -1 if none, of each run (n_runs, n_looks)."""
    return np.where(flags.any(axis=-1), flags.argmax(axis=-1), -1)


def found(rng: np.random.Generator, traffic: Traffic, runs: int) -> dict[str, Any]:
    """After how many requests, of both and of the canary alone, a bad canary was condemned."""
    after: list[int] = []
    of_canary: list[int] = []
    for seen, shown in batches(rng, traffic, runs):
        for run, look in enumerate(first_looks(shown.condemned).tolist()):
            if look >= 0:
                after.append((look + 1) * traffic.every)
                of_canary.append(int(np.asarray(seen.canary_requests)[run, look]))
    return {
        "runs": runs,
        "weight": traffic.weight,
        "found": len(after),
        "requests_median": float(np.median(after)),
        "requests_worst": max(after),
        "requests_of_the_canary_median": float(np.median(of_canary)),
        "requests_of_the_canary_worst": max(of_canary),
    }


def less_accurate(rng: np.random.Generator, runs: int) -> dict[str, Any]:
    """Two points of accuracy lost, in arms of their own; up to 20,000 labels in each."""
    traffic = Traffic(Arm(errors=0.0), Arm(errors=0.0, accuracy=0.88), 0.5, 2 * REQUESTS)
    labels: list[float] = []
    promoted = 0
    for seen, shown in batches(rng, traffic, runs):
        both = np.stack((np.asarray(seen.live_requests), np.asarray(seen.canary_requests)))
        within = both.max(axis=0) <= REQUESTS
        promoted += int((shown.promoted & within).any(axis=-1).sum())
        for run, look in enumerate(first_looks(shown.condemned & within).tolist()):
            if look >= 0:
                labels.append(float(both[:, run, look].mean()))
    return detection(labels, runs) | {"promoted": promoted}


def less_accurate_in_pairs(rng: np.random.Generator, runs: int) -> dict[str, Any]:
    """The same, of a shadow: 7 % of rows are wrong in both, 3 % in live alone, 5 % in it alone."""
    rules = Rules(Bounds(), 0.5)
    labels: list[float] = []
    for _ in range(runs):
        draw = rng.random(REQUESTS)
        differences = np.where(draw < 0.05, 1.0, np.where(draw < 0.08, -1.0, 0.0))
        everything = np.ones(REQUESTS, dtype=bool)
        loss = mean_of(running(differences, everything, EVERY))
        asked = (np.arange(REQUESTS // EVERY) + 1) * EVERY
        nothing = np.zeros(len(asked))
        unknown = Estimate(nothing, nothing + 1.0, nothing)
        seen = Compared(asked, nothing, asked, nothing, unknown, nothing + 1.0, loss, asked, True)
        look = int(first_looks(weigh(seen, rules).condemned))
        if look >= 0:
            labels.append(float(asked[look]))
    return detection(labels, runs)


def detection(labels: list[float], runs: int) -> dict[str, Any]:
    """How many were found, and after how many labels an arm."""
    return {
        "runs": runs,
        "found": len(labels),
        "found_ratio": len(labels) / runs,
        "labels_median": float(np.median(labels)),
        "labels_p95": float(np.quantile(labels, 0.95)),
    }


def figures(seed: int, canaries: int) -> dict[str, Any]:
    """Every part of the simulation, each with random numbers of its own."""
    usual, throwing, slow = Arm(), Arm(errors=0.109), Arm(slower=10.0)
    parts: dict[str, Callable[[np.random.Generator], dict[str, Any]]] = {
        "equal, half of the requests": lambda rng: alike(
            rng, Traffic(usual, usual, 0.5, 2 * REQUESTS), canaries
        ),
        "equal, half of the requests, outages": lambda rng: alike(
            rng, Traffic(usual, usual, 0.5, 2 * REQUESTS, outages=True), canaries
        ),
        "equal, one in twenty requests": lambda rng: alike(
            rng, Traffic(usual, usual, 0.05, 20 * REQUESTS), canaries
        ),
        "two points of accuracy lost": lambda rng: less_accurate(rng, canaries),
        "two points of accuracy lost, in pairs": lambda rng: less_accurate_in_pairs(rng, canaries),
    }
    for name, arm in (("throws on 10 % of rows", throwing), ("10 times slower", slow)):
        for weight, requests in ((0.5, 2_000), (0.05, 10_000)):
            traffic = Traffic(usual, arm, weight, requests, every=1, labelled=False)
            parts[f"{name}, weight {weight}"] = partial(found, traffic=traffic, runs=WORST_OF)
    done: dict[str, Any] = {"seed": seed}
    for name, child in zip(parts, np.random.SeedSequence(seed).spawn(len(parts)), strict=True):
        began = time.monotonic()
        done[name] = parts[name](np.random.default_rng(child))
        print(f"{name} ({time.monotonic() - began:.0f} s)\n  {json.dumps(done[name])}", flush=True)
    return done


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="repeat a run by its seed")
    parser.add_argument("--canaries", type=int, default=CANARIES)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    done = figures(seed, arguments.canaries)
    arguments.results.write_text(json.dumps(done, indent=1) + "\n")


if __name__ == "__main__":
    main()
