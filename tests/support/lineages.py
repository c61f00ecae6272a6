"""Recorded predictions and registered versions that live in the memory of one test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modelway.domain.errors import (
    ModelNotFound,
    PredictionNotFound,
    RegistryUnavailable,
    RunNotFound,
    VersionNotFound,
)
from modelway.domain.references import RunReference
from modelway.lineage.ports import Recorded
from modelway.registry.models import ModelVersion, RegisteredModel, Run


class MemoryPredictions:
    """Predictions by their ids."""

    def __init__(self, *recorded: Recorded) -> None:
        self.held = {one.prediction_id: one for one in recorded}

    def find(self, prediction_id: str, endpoint: str | None = None) -> Recorded:
        """A prediction. Raises PredictionNotFound."""
        held = self.held.get(prediction_id)
        if held is None or endpoint not in (None, held.endpoint):
            raise PredictionNotFound(prediction_id)
        return self.held[prediction_id]


@dataclass
class MemoryRegistry:
    """Versions and runs; ``away`` is a registry that cannot be reached."""

    held: Sequence[ModelVersion] = ()
    runs: Mapping[str, Run] = field(default_factory=dict)
    away: bool = False

    def models(self) -> Sequence[RegisteredModel]:
        """Every registered model."""
        return [RegisteredModel(name) for name in sorted({one.name for one in self.held})]

    def model(self, name: str) -> RegisteredModel:
        """One model."""
        self.versions(name)
        return RegisteredModel(name)

    def versions(self, name: str) -> Sequence[ModelVersion]:
        """Every version of a model."""
        if self.away:
            raise RegistryUnavailable("the registry cannot be reached")
        found = [one for one in self.held if one.name == name]
        if not found:
            raise ModelNotFound(name)
        return found

    def version(self, name: str, version: str) -> ModelVersion:
        """One version."""
        found = self.versions(name)
        known = [one.version for one in found]
        if version not in known:
            raise VersionNotFound(name, version, known)
        return found[known.index(version)]

    def run(self, run_id: str) -> Run:
        """The run that a version came from."""
        if self.away:
            raise RegistryUnavailable("the registry cannot be reached")
        if run_id not in self.runs:
            raise RunNotFound(f"the registry has no run {run_id!r}")
        return self.runs[run_id]

    def registered_from(self, reference: RunReference) -> Sequence[ModelVersion]:
        """The versions of any model that were registered from what a run has logged."""
        self.run(reference.run_id)
        return [one for one in self.held if one.source == str(reference)]

    def fetch(self, version: ModelVersion, folder: Path) -> None:
        """The files of a version: there are none in memory."""
        raise VersionNotFound(version.name, version.version, ())
