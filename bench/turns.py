"""What is measured, and one server's turn in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from compared_models import ComparedModel
from forms import Form
from peers.description import Kind, Peer, Site
from samples import Samples


class Phase(StrEnum):
    """A part of the comparison that can be run alone."""

    INSTALL = "install"
    MODELS = "models"
    CHECK = "check"
    REQUESTS = "requests"
    ROWS = "rows"
    START = "start"
    MANY = "many"
    PREDICT = "predict"
    STAGES = "stages"
    PAGE = "page"


@dataclass(frozen=True)
class Plan:
    """What is measured, and how long."""

    phases: Collection[Phase]
    seconds: float
    connections: Collection[int]
    body_rows: Collection[int]
    check_rows: int
    workers: int
    cache: Path


@dataclass(frozen=True)
class Turn:
    """One server with one model, in one round."""

    plan: Plan
    samples: Samples
    peer: Peer
    model: ComparedModel
    round: int
    site: Site

    def add(self, what: str, **fields: object) -> None:
        """Keep a sample of this turn."""
        named = {"peer": self.peer.name, "model": self.model.name, "round": self.round}
        self.samples.add(what, **named, **fields)

    @property
    def forms(self) -> Mapping[str, Form]:
        """The forms that the server reads of the model."""
        return self.peer.forms(self.model.name, self.model)

    @property
    def is_checked(self) -> bool:
        """Whether there is something right or wrong about an answer."""
        return self.peer.kind is not Kind.LIMIT


def round_to(value: float) -> float:
    """Four significant digits: more says nothing of a measurement."""
    return float(f"{value:.4g}")
