"""Throughput with records on beside that with records off: two services, in turns.

``python bench/recording.py`` builds a model, makes it version 1 of two homes that differ in nothing
but ``records.enabled``, starts ``modelway up`` in both, and presses them in turns with wrk: single
rows, 32 connections. Afterwards every answer must be recorded or counted as shed. The figures go to
``bench/results/recording.json``. Linux only; needs ``wrk``.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fitted_models
import load
from forms import json_form
from forms import records as objects

from modelway.bundles.store import open_bundle
from modelway.composition.bundling import BuildRequest, cached
from modelway.composition.control import Control, now
from modelway.endpoints.endpoint import Endpoint
from modelway.registry.promotions import Kind, Promotion
from modelway.settings import child_environment, load_settings

RESULTS = Path(__file__).parent / "results" / "recording.json"
CONNECTIONS = 32
READY_S = 60.0
SETTLED_S = 3.0
LEAST_RATIO = 0.95


@dataclass
class Service:
    """A running ``modelway up``."""

    port: int
    admin_port: int
    home: Path
    requests: int = 0

    def metric(self, name: str) -> float:
        """The sum of a metric's series."""
        connection = http.client.HTTPConnection(load.HOST, self.admin_port, timeout=10)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return sum(float(one.rpartition(" ")[2]) for one in lines if one.startswith(name))


def main() -> int:
    """Measure, and say whether what must be is so."""
    given = _given()
    fitted = fitted_models.iris()
    form = json_form("/predict", lambda rows: objects(rows)[0], lambda answer: [answer])
    asked: Any = SimpleNamespace(rows=fitted.rows)
    found: dict[str, list[float]] = {"on": [], "off": []}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        services = {
            name: stack.enter_context(_running(folder / name, fitted, recorded=name == "on"))
            for name in found
        }
        requests = {
            name: stack.enter_context(load.written(load.bodies(form, asked, 1, one.port)))
            for name, one in services.items()
        }
        for turn in range(given.rounds + 1):
            for name, one in services.items():
                pressed = load.pressed(one.port, requests[name], CONNECTIONS, given.seconds)
                one.requests += pressed.requests
                if pressed.refused or pressed.broken:
                    raise load.LoadFailed(f"{pressed.refused} refused, {pressed.broken} broken")
                if turn:  # the first is to warm up
                    found[name].append(pressed.requests_per_s)
                    print(f"round {turn} records {name}: {pressed.requests_per_s:,.0f}/s")
        time.sleep(SETTLED_S)
        on = services["on"]
        recorded, shed = (
            on.metric("modelway_records_total"),
            on.metric("modelway_records_shed_total"),
        )
        ratios = [a / b for a, b in zip(found["on"], found["off"], strict=True)]
        figures = {
            "ratio": statistics.median(ratios),
            "ratios": ratios,
            "requests_per_s": {name: statistics.median(all) for name, all in found.items()},
            "answered": on.requests,
            "recorded": recorded,
            "shed": shed,
        }
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))
    return int(figures["ratio"] < LEAST_RATIO or shed > 0 or recorded < on.requests)


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="turns of each (9)")
    parser.add_argument("--seconds", type=float, default=3, help="length of one turn (3)")
    return parser.parse_args()


@contextmanager
def _running(home: Path, fitted: fitted_models.Fitted, *, recorded: bool) -> Iterator[Service]:
    """``modelway up`` in a home whose endpoint ``iris`` answers by the model."""
    _prepare(home, fitted)
    arguments = ["up", "--home", str(home), "--no-mlflow", "--port", "0", "--admin-port", "0"]
    environment = child_environment(MODELWAY__RECORDS__ENABLED=str(recorded).lower())
    command = [sys.executable, "-m", "modelway", *arguments]
    with (home / "said.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        yield _ready(home, process)
    finally:
        process.terminate()
        process.wait(60)


def _prepare(home: Path, fitted: fitted_models.Fitted) -> None:
    home.mkdir(parents=True)
    (home / "model.pickle").write_bytes(fitted.content)
    fitted.training.to_csv(home / "training.csv", index=False)
    settings = load_settings({"bundles.home": home})
    request = BuildRequest(str(home / "model.pickle"), name="iris", data=home / "training.csv")
    digest = open_bundle(cached(request, settings, print)).digest
    with Control(settings) as control:
        control.store.links.link("iris", "1", digest, None)
        control.store.ledger.append(
            Promotion("iris", "champion", 1, None, "1", Kind.PROMOTED, "bench", "measured", now())
        )
        control.rollouts.create(Endpoint("iris", "iris@champion"), "bench")


def _ready(home: Path, process: subprocess.Popen[bytes]) -> Service:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        lines = (home / "said.log").read_text().splitlines()
        ports = [int(one.split("  ")[0].rpartition(":")[2]) for one in lines if "http://" in one]
        if len(ports) >= 2:
            return Service(ports[0], ports[1], home)
        time.sleep(0.05)
    raise load.LoadFailed((home / "said.log").read_text()[-3000:])


if __name__ == "__main__":
    sys.exit(main())
