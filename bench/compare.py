"""The comparison with other servers: every peer with every model, in turns, in one run.

``python bench/compare.py`` installs the peers into environments of their own outside the
repository, fits the models, checks every answer, measures, and writes
``bench/results/compare.json`` and ``docs/explanation/performance.md``. ``--phases`` runs parts of
it; what is installed, fitted or bundled stays. Linux only; needs ``wrk``.
"""

from __future__ import annotations

import argparse
import datetime
import fcntl
import itertools
import os
import pickle
import shutil
import signal
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import performance_page
import samples as measured
import stages
from bundles import bundle_all
from compared_models import ComparedModel, Input, compared_models, many_models
from environments import InstallFailed, install, installed_version
from fitted_models import N_ROWS
from peers import ALL
from peers.description import Peer
from samples import Samples
from sessions import many, turn
from turns import Phase, Plan, round_to

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "compare.json"
PAGE = HERE.parent / "docs" / "explanation" / "performance.md"
CACHE = Path.home() / ".cache" / "modelway-bench"
CONNECTIONS = (1, 8, 32, 128)
BODY_ROWS = (1, 100, 10_000)


def main() -> None:
    """Run the phases that were asked for."""
    given = _arguments()
    given.cache.mkdir(parents=True, exist_ok=True)
    with (given.cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("another comparison runs: two would measure each other") from None
        _compare(given)


def _compare(given: argparse.Namespace) -> None:
    # The server that runs is ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    phases = [Phase(one) for one in given.phases.split(",")]
    peers = [ALL[name] for name in given.peers.split(",")]
    # What was measured in a hurry never gets among the committed figures.
    kept = given.cache / "quick" if given.quick else given.cache
    samples = Samples(kept / "samples.jsonl", _now())
    plan = Plan(
        phases=phases,
        seconds=given.seconds,
        connections=(1, 32) if given.quick else CONNECTIONS,
        body_rows=(1, 1_000) if given.quick else BODY_ROWS,
        check_rows=1_000 if given.quick else N_ROWS,
        workers=len(os.sched_getaffinity(0)),
        cache=given.cache,
    )
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    models = compared_models(given.cache / "models")
    chosen = {name: models[name] for name in given.models.split(",")}
    if Phase.INSTALL in phases:
        peers = [peer for peer in peers if _installed(peer, plan, samples)]
    if Phase.MODELS in phases:
        bundle_all(chosen.values())
    if {Phase.CHECK, Phase.REQUESTS, Phase.ROWS, Phase.START} & set(phases):
        _turns(plan, samples, peers, chosen, given.rounds)
    if Phase.MANY in phases:
        _many(plan, samples, peers)
    if Phase.PREDICT in phases:
        _predict(samples, chosen.values(), given.seconds)
    if Phase.STAGES in phases:
        iris, name = models["iris"], stages.RESULTS.name
        stages.measure(iris.bundle, iris.rows, kept / name if given.quick else stages.RESULTS)
    if Phase.PAGE in phases:
        results, page = (kept / RESULTS.name, kept / PAGE.name) if given.quick else (RESULTS, PAGE)
        _write(samples, plan, given.rounds, results)
        performance_page.write(results, page)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", default=",".join(ALL), help="names, with commas between")
    parser.add_argument("--models", default="iris,linear,loan,spline,network")
    parser.add_argument("--phases", default=",".join(Phase), help="parts to run")
    parser.add_argument("--rounds", type=int, help="turns of every peer (3)")
    parser.add_argument("--seconds", type=float, help="length of one measurement (5)")
    parser.add_argument(
        "--quick", action="store_true", help="one round of short measurements, fewer rows checked"
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder outside the repository")
    given = parser.parse_args()
    given.rounds = given.rounds or (1 if given.quick else 3)
    given.seconds = given.seconds or (1.0 if given.quick else 5.0)
    return given


def _installed(peer: Peer, plan: Plan, samples: Samples) -> bool:
    for environment in peer.environments:
        try:
            if install(environment, plan.cache / "environments"):
                _say(f"installed {environment.name}")
        except InstallFailed as error:
            samples.add("failed", peer=peer.name, stage="install", reason=str(error))
            _say(f"{environment.name} cannot be installed: {error}")
            return False
    return True


def _turns(
    plan: Plan,
    samples: Samples,
    peers: Collection[Peer],
    models: Mapping[str, ComparedModel],
    rounds: int,
) -> None:
    """Peers take turns within a round, so that a busy minute of the machine disturbs all alike."""
    for round, model, peer in itertools.product(range(rounds), models.values(), peers):
        if not peer.serves(model.name):
            continue
        begun = time.perf_counter()
        turn(plan, samples, peer, model, round)
        took = f"{time.perf_counter() - begun:.0f} s"
        said = [_told(one) for one in samples if _is_of(one, samples, peer, model, round)]
        _say(
            f"round {round + 1} {model.name} {peer.name} ({took}): " + "; ".join(filter(None, said))
        )


def _is_of(
    one: Mapping[str, Any], samples: Samples, peer: Peer, model: ComparedModel, round: int
) -> bool:
    wanted = {"run": samples.run, "peer": peer.name, "model": model.name, "round": round}
    return all(one.get(name) == value for name, value in wanted.items())


def _told(one: Mapping[str, Any]) -> str:
    """A sample in a few words, for who waits."""
    match one["what"]:
        case "start":
            return f"start {one['start_s']} s"
        case "requests":
            faults = "".join(f" {one[f]} {f}!" for f in ("refused", "broken", "wrong") if one[f])
            return (
                f"{one['connections']}c {one['requests_per_s']:,.0f}/s p99 {one['p99_ms']}{faults}"
            )
        case "rows":
            return f"{one['form']}×{one['rows']} {one['rows_per_s']:,.0f} rows/s"
        case "check":
            return f"{one['form']} checked {one['checked_rows']}, wrong {one['wrong']}"
        case "failed":
            return f"FAILED {one.get('form', '')} {one['stage']}: {one['reason'][:300]}"
    return ""


def _many(plan: Plan, samples: Samples, peers: Collection[Peer]) -> None:
    able = [peer for peer in peers if peer.many]
    if able:
        models = many_models(plan.cache / "models")
        if any(peer.name == "modelway" for peer in able):
            bundle_all(models.values())
        for peer in able:
            many(plan, samples, peer, models)
            _say(f"a hundred models: {peer.name}")


def _predict(samples: Samples, models: Collection[ComparedModel], seconds: float) -> None:
    """The model's own ``predict`` in a loop, in one process, without any server."""
    for model, n_rows in itertools.product(models, BODY_ROWS):
        predict = _bare(model)
        given: Any = model.rows if model.takes is Input.FRAME else model.rows.to_numpy()
        parts = [given[start : start + n_rows] for start in range(0, len(given), n_rows)]
        begun, calls = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            predict(parts[calls % len(parts)])
            calls += 1
        rate = calls * n_rows / (time.perf_counter() - begun)
        samples.add("predict", model=model.name, rows=n_rows, rows_per_s=round_to(rate))


def _bare(model: ComparedModel) -> Callable[[Any], object]:
    """What the library that made the model predicts with."""
    if model.takes is not Input.TENSOR:
        predict: Callable[[Any], object] = pickle.loads(model.source.read_bytes()).predict
        return predict
    from onnxruntime import InferenceSession

    session = InferenceSession(model.source, providers=["CPUExecutionProvider"])
    return lambda rows: session.run(None, {"pixels": rows})


def _write(samples: Samples, plan: Plan, rounds: int, results: Path) -> None:
    versions = {
        peer.name: installed_version(
            peer.environments[0], plan.cache / "environments", peer.package
        )
        for peer in ALL.values()
    }
    content = {
        "machine": measured.machine(),
        "workers": plan.workers,
        "seconds": plan.seconds,
        "rounds": rounds,
        "versions": versions,
        "figures": measured.figures(samples),
    }
    measured.write(results, content)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
