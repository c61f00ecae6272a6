"""Processes of this program that are started in a home, with what it was started with itself."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from modelway.composition.home import Home
from modelway.settings import Settings, child_environment
from modelway.supervisor.attached import attached
from modelway.supervisor.children import ChildCommand

_TEND_GRACE_S = 30.0
"""The last records are sealed and sent by then: there may be many, and the place far away."""


def tend_child(home: Home, settings: Settings) -> ChildCommand:
    """What tends to the home; it ends with whoever started it."""
    arguments = _modelway("tend", home)
    return ChildCommand(
        "tend",
        arguments,
        home.log("tend"),
        told(settings),
        grace_s=_TEND_GRACE_S,
        ends_by_input=True,
    )


def worker_child(home: Home, settings: Settings, slots: Path) -> ChildCommand:
    """What answers jobs; it ends with whoever started it.

    Of the folder of slots it has the one behind those of the workers that answer.
    """
    own = ("--slot", str(slots), str(settings.serve.workers))
    arguments = attached([*_modelway("worker", home), *own])
    return ChildCommand("worker", arguments, home.log("worker"), told(settings))


def _modelway(command: str, home: Home) -> list[str]:
    return [sys.executable, "-P", "-m", "modelway", command, "--home", str(home.path)]


def told(settings: Settings) -> Mapping[str, str]:
    """The environment of a child: where everything is, as it was said here."""
    return child_environment(
        MODELWAY__STORE__URL=settings.store.url,
        MODELWAY__REGISTRY__URL=settings.registry.url,
        MODELWAY__BUNDLES__URL=settings.bundles.url,
        MODELWAY__RECORDS__URL=settings.records.url,
        MODELWAY__JOBS__BROKER=settings.jobs.broker,
    )
