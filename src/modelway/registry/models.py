"""Registered models and their versions, in the registry's own words.

Source: MLflow's model registry: names, versions that count from 1, aliases, tags, the old stages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from modelway.domain.errors import Conflict

READY = "READY"
"""The state of a version whose files are complete."""

ARCHIVED_BY = "modelway.archived_by"
"""The tag of a version that may not answer any more: who has archived it. Its bundle is unlinked as
well, so that it does not answer while the registry is away either."""


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model; ``aliases`` gives the version that each points to."""

    name: str
    aliases: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model.

    ``source`` is where the registry keeps its files. ``stage`` is one of MLflow's old stages, or
    None. ``state`` is ``READY`` once its files are complete.
    """

    name: str
    version: str
    created_at: datetime
    source: str
    run_id: str | None = None
    state: str = READY
    stage: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""

    @property
    def archived_by(self) -> str | None:
        """Who has archived it, None if nobody has."""
        return self.tags.get(ARCHIVED_BY)

    def check_not_archived(self) -> None:
        """Raises Conflict where it is archived."""
        if self.archived_by is not None:
            raise Conflict(
                f"{self.name}:{self.version} may not answer: {self.archived_by} has archived it",
                hint=f"modelway model archive {self.name}:{self.version} --undo",
            )


@dataclass(frozen=True, slots=True)
class Run:
    """The training run that a version came from."""

    run_id: str
    name: str
    started_at: datetime
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
