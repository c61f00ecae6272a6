"""Throughput with records on beside that with records off: two services, in turns.

``python bench/recording.py`` builds a model, makes it version 1 of two homes that differ in nothing
but ``records.enabled``, starts ``modelway up`` in both, and presses them with wrk: single rows, 32
connections, in turns of a tenth of a second, so that what else the machine does falls on both. Of
two services that differ in nothing one answers up to 6 % more than the other for as long as they
live, by how their memory happens to lie: so both are started anew for every round. Every answer
must be recorded or counted as shed. The figures go to ``bench/results/recording.json``. Linux only;
needs ``wrk``.
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
from collections.abc import Iterator, Mapping
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
SETTLED_S = 15.0
LEAST_RATIO = 0.95
TURN_S = 0.1
WARM_UP_S = 2


@dataclass(frozen=True)
class Round:
    """Requests a second with records and without, and what became of those with."""

    on: float
    off: float
    answered: int
    recorded: float
    shed: float

    @property
    def ratio(self) -> float:
        """The part of the throughput without records."""
        return self.on / self.off


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
    found = []
    with tempfile.TemporaryDirectory() as folder:
        homes = {name: Path(folder) / name for name in ("on", "off")}
        for home in homes.values():
            prepare(home, fitted)
        for k in range(given.rounds):
            found.append(one := _round(homes, fitted, given.seconds, k))
            print(
                f"round {k}: {one.on:,.0f}/s with records, {one.off:,.0f}/s without: "
                f"{one.ratio:.3f}",
                flush=True,
            )
    ratios = [one.ratio for one in found]
    quartiles = statistics.quantiles(ratios, n=4)
    answered, recorded, shed = (
        sum(each)
        for each in zip(*[(one.answered, one.recorded, one.shed) for one in found], strict=True)
    )
    figures = {
        "ratio": statistics.median(ratios),
        "quartiles": quartiles,
        # Of the median, for as many rounds as these.
        "standard_error": 1.2533 * statistics.stdev(ratios) / len(ratios) ** 0.5,
        "ratios": ratios,
        "requests_per_s": {
            "on": statistics.median([one.on for one in found]),
            "off": statistics.median([one.off for one in found]),
        },
        "answered": answered,
        "recorded": recorded,
        "shed": shed,
    }
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))
    return int(figures["ratio"] < LEAST_RATIO or shed > 0 or recorded < answered)


def _round(
    homes: Mapping[str, Path], fitted: fitted_models.Fitted, seconds: float, k: int
) -> Round:
    """Both services, begun anew and pressed in turns."""
    form = json_form("/predict", lambda rows: objects(rows)[0], lambda answer: [answer])
    asked: Any = SimpleNamespace(rows=fitted.rows)
    names = sorted(homes, reverse=bool(k % 2))  # neither is always the first
    with ExitStack() as stack:
        services = {
            name: stack.enter_context(_running(homes[name], recorded=name == "on"))
            for name in names
        }
        pressing = [
            (one.port, stack.enter_context(load.written(load.bodies(form, asked, 1, one.port))))
            for one in services.values()
        ]
        rates = {}
        for lasts in (WARM_UP_S, seconds):
            loads = load.pressed_in_turns(pressing, CONNECTIONS, lasts, TURN_S)
            for (name, one), pressed in zip(services.items(), loads, strict=True):
                one.requests += pressed.requests
                if pressed.refused or pressed.broken:
                    raise load.LoadFailed(f"{pressed.refused} refused, {pressed.broken} broken")
                rates[name] = 2 * pressed.requests_per_s  # each has half of the time
        on = services["on"]
        return Round(rates["on"], rates["off"], on.requests, *_settled(on))


def _settled(on: Service) -> tuple[float, float]:
    """What was recorded and what was shed, once the counts have reached the metrics."""
    deadline = time.monotonic() + SETTLED_S
    while True:
        recorded = on.metric("modelway_records_total")
        shed = on.metric("modelway_records_shed_total")
        if recorded + shed >= on.requests or time.monotonic() > deadline:
            return recorded, shed
        time.sleep(0.2)


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="how many (40)")
    parser.add_argument("--seconds", type=float, default=8, help="of a round (8)")
    return parser.parse_args()


@contextmanager
def _running(home: Path, *, recorded: bool) -> Iterator[Service]:
    """``modelway up`` in a home that is prepared."""
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


def prepare(
    home: Path, fitted: fitted_models.Fitted, changed: Mapping[str, object] | None = None
) -> None:
    """A home whose endpoint ``iris`` follows a champion, version 1, that is bundled."""
    home.mkdir(parents=True)
    (home / "model.pickle").write_bytes(fitted.content)
    fitted.training.to_csv(home / "training.csv", index=False)
    settings = load_settings({"bundles.home": home, **(changed or {})})
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
