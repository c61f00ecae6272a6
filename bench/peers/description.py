"""What the comparison knows of one server: how it is installed, started, asked and read.

Every peer has a folder beside this file with its pinned requirements, the application or
configuration that its own documentation would have a user write, and ``peer.py`` with its
description. ``peers/shared`` holds what several of these applications read a model with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from compared_models import ComparedModel
from forms import Form

PEERS = Path(__file__).parent
SHARED = PEERS / "shared"


class Kind(StrEnum):
    """What a server stands for in the comparison."""

    OURS = "ours"
    PRODUCT = "product"
    BY_HAND = "by hand"
    BARE = "bare"
    LIMIT = "limit"


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    With ``project`` this project is installed into it too. ``by_pip`` is for what uv would get in
    another build: pip takes a build for CPU of PyTorch where the machine's own index has one.
    """

    name: str
    requirements: tuple[Path, ...]
    project: bool = False
    by_pip: bool = False


@dataclass(frozen=True)
class Site:
    """Where a server is to be started.

    ``folder`` is its own, empty at first and kept between runs; ``models`` by the name under which
    each answers; ``answer_bytes`` is the size of our answer to the same request, for a limit.
    """

    environments: Path
    folder: Path
    models: Mapping[str, ComparedModel]
    port: int
    workers: int
    answer_bytes: int

    def python(self, environment: str) -> Path:
        """The interpreter of a virtual environment."""
        return self.environments / environment / "bin" / "python"

    def script(self, environment: str, name: str) -> str:
        """A command that is installed in a virtual environment."""
        return str(self.environments / environment / "bin" / name)

    def named_paths(self) -> str:
        """``NAME=PATH`` of every model, with commas between, as the shared loader reads it."""
        return ",".join(f"{name}={model.source}" for name, model in self.models.items())


@dataclass(frozen=True)
class Launch:
    """The command that starts a server, and what is in its environment beside PATH and HOME."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_s: float = 15.0


@dataclass(frozen=True)
class Peer:
    """One server of the comparison.

    ``forms`` gives the forms that the server reads of a model under a name, "json" first. ``first``
    are the figures of the first measurement: requests/s by connections, and ``start`` in seconds.
    ``explanation`` says why, where a figure of today is far under that. ``many`` says whether it
    can serve a hundred models in one server. ``only`` names its models where it cannot serve all.
    """

    name: str
    title: str
    kind: Kind
    environments: tuple[Environment, ...]
    launch: Callable[[Site], Launch]
    forms: Callable[[str, ComparedModel], Mapping[str, Form]]
    how: str
    package: str = ""
    first: Mapping[str, float] = field(default_factory=dict)
    explanation: str = ""
    many: bool = False
    only: Sequence[str] = ()

    def serves(self, model: str) -> bool:
        """Whether it is compared with this model."""
        return not self.only or model in self.only


def own_environment(name: str, *, by_pip: bool = False) -> tuple[Environment, ...]:
    """The environment of a peer that has one, from the requirements in its folder."""
    return (Environment(name, (PEERS / name / "requirements.txt",), by_pip=by_pip),)
