"""Endpoints with canaries, made without a registry: rules linked as versions, and load on them."""

from __future__ import annotations

import http.client
import json
import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import numpy as np

from modelway.bundles.digest import bundle_digest
from modelway.composition.control import Control
from modelway.domain.signature import Column, Datatype, Signature
from modelway.endpoints.arms import counts_of
from modelway.endpoints.comparison import ArmCounts
from modelway.endpoints.endpoint import Canary, Endpoint
from modelway.endpoints.trials import Arm, Tally, Trial
from modelway.registry.promotions import Kind, Promotion
from modelway.settings import load_settings
from support.served import function_bundle

NUMBERS = Signature(columns=(Column("a", "a", Datatype.FP64),))

STEADY = "def rule(a):\n    return a + {number}\n"
THROWING = """def rule(a):
    if a % 10 == 3:
        raise RuntimeError("three")
    return a
"""
ABORTING = """import os


def rule(a):
    if a % 10 == 3:
        os.abort()
    return a
"""
PAUSING = """import time


def rule(a):
    time.sleep({seconds})
    return a
"""


def controlled(home: Path, **settings: object) -> Control:
    """A home, opened beside whatever runs in it; ``store__url`` stands for ``store.url``."""
    named = {name.replace("__", "."): value for name, value in settings.items()}
    flags = {"bundles.home": home, **named}
    return Control(load_settings(flags, folder=home.parent, environment={}))


def linked(control: Control, folder: Path, rules: Mapping[str, str], model: str = "rule") -> None:
    """Have rules be the versions of a model, each with its bundle."""
    for version, source in rules.items():
        bundle = function_bundle(folder / f"v{version}", source, "rule", NUMBERS)
        linked_bundle(control, bundle, model, version)


def linked_bundle(control: Control, bundle: Path, model: str, version: str) -> str:
    """Have a bundle be the version of a model; gives its digest."""
    digest = bundle_digest(bundle)
    hexadecimal = digest.removeprefix("sha256:")
    shutil.copytree(bundle, control.home.path / "bundles" / hexadecimal)
    control.store.links.link(model, version, digest, None)
    return digest


def answering(home: Path, bundle: Path, name: str) -> None:
    """Have an endpoint of a home, in which nothing runs, answer by a bundle."""
    with controlled(home) as control:
        linked_bundle(control, bundle, name, "1")
        control.rollouts.create(Endpoint(name, f"{name}:1"), "ann")


def moved(control: Control, version: str, model: str = "rule", alias: str = "champion") -> None:
    """Have an alias point to a version, as the ledger says."""
    history = control.store.ledger.history(model, alias)
    before = history[-1].to_version if history else None
    control.store.ledger.append(
        Promotion(
            *(model, alias, len(history) + 1, before, version),
            *(Kind.PROMOTED, "ann", "it is better", datetime.now(UTC)),
        )
    )


def on_trial(
    control: Control, name: str, canary: str, weight: float = 0.5, *, automatic: bool = False
) -> None:
    """An endpoint that follows the champion and has a canary."""
    endpoint = Endpoint(
        name, "rule@champion", canaries=(Canary(canary, weight),), automatic=automatic
    )
    control.rollouts.create(endpoint, "ann")


class Load:
    """Callers who ask endpoints again and again, one row a request, ``pause_s`` between two."""

    def __init__(self, url: str, pause_s: float = 0.0) -> None:
        self._pause_s = pause_s
        self._address = urlsplit(url).netloc
        self._stopped = threading.Event()
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.versions: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def on(self, *names: str, callers: int = 2) -> Iterator[Load]:
        """So many callers of each endpoint, until the end of the block."""
        threads = [
            threading.Thread(target=self._ask, args=(name, number), daemon=True)
            for name in names
            for number in range(callers)
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join(10)

    def _ask(self, name: str, number: int) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=10)
        asked = number
        while not self._stopped.wait(self._pause_s):
            asked += 1
            body = json.dumps({"a": float(asked % 100)})
            headers = {"content-type": "application/json"}
            connection.request("POST", f"/models/{name}/predict", body, headers)
            response = connection.getresponse()
            response.read()
            with self._lock:
                self.statuses[name, response.status] += 1
                self.versions[name, response.headers.get("modelway-version", "")] += 1
        connection.close()


def tally(
    trial: Trial,
    arm: Arm,
    version: str,
    answered: int = 0,
    errors: int = 0,
    seconds: float = 0.01,
) -> Tally:
    """What a process has counted of an arm: answers that took about as long each, and errors."""
    spread = np.exp(np.linspace(-1, 1, answered)) if answered else np.zeros(0)
    counts = counts_of((seconds * spread).tolist()) if answered else ArmCounts()
    for _ in range(errors):
        counts.failed()
    return Tally(trial.endpoint.name, trial.routing, arm, version, counts)


class Processes:
    """The processes of a service, which say what they were given to say, once."""

    def __init__(self) -> None:
        self.waiting: list[Tally] = []

    async def counted(self) -> list[str]:
        """What was counted since this was last asked."""
        said, self.waiting = self.waiting, []
        return [msgspec.json.encode([one]).decode() for one in said]
