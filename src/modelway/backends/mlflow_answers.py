"""MLflow's answers as they come, and what they are in the words of the registry.

Its JSON is that of Protocol Buffers: what is empty may be missing, a number that JSON lacks is
text, and of a 64-bit whole number either is allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from modelway.registry.models import ModelVersion, RegisteredModel, Run

_NO_STAGE = "None"
_MILLISECONDS = 1000

_Whole = int | str


class _Pair(msgspec.Struct):
    key: str
    value: str | float | None = None


class _Alias(msgspec.Struct):
    alias: str
    version: _Whole


class ModelSaid(msgspec.Struct):
    """A registered model."""

    name: str
    description: str | None = None
    aliases: list[_Alias] = []
    tags: list[_Pair] = []


class VersionSaid(msgspec.Struct):
    """A version of a model."""

    name: str
    version: _Whole
    creation_timestamp: _Whole = 0
    source: str | None = None
    run_id: str | None = None
    status: str = "READY"
    current_stage: str | None = None
    description: str | None = None
    tags: list[_Pair] = []


class _RunHead(msgspec.Struct):
    run_id: str
    run_name: str | None = None
    start_time: _Whole | None = 0
    artifact_uri: str | None = None


class _RunContent(msgspec.Struct):
    params: list[_Pair] = []
    metrics: list[_Pair] = []
    tags: list[_Pair] = []


class _RunModel(msgspec.Struct):
    model_id: str


class _RunOutputs(msgspec.Struct):
    model_outputs: list[_RunModel] = []


class RunSaid(msgspec.Struct):
    """A run; ``outputs`` are the logged models of MLflow 3 that came of it."""

    info: _RunHead
    data: _RunContent = msgspec.field(default_factory=_RunContent)
    outputs: _RunOutputs = msgspec.field(default_factory=_RunOutputs)


class _LoggedHead(msgspec.Struct):
    model_id: str
    name: str | None = None
    artifact_uri: str | None = None


class LoggedModelSaid(msgspec.Struct):
    """A logged model of MLflow 3."""

    info: _LoggedHead


class _Experiment(msgspec.Struct):
    experiment_id: str


class Answer(msgspec.Struct):
    """All that an answer may hold; each holds one of it, or a page."""

    registered_model: ModelSaid | None = None
    registered_models: list[ModelSaid] = []
    model_version: VersionSaid | None = None
    model_versions: list[VersionSaid] = []
    run: RunSaid | None = None
    model: LoggedModelSaid | None = None
    experiment: _Experiment | None = None
    experiment_id: str | None = None
    artifact_uri: str | None = None
    next_page_token: str | None = None


def model_of(said: ModelSaid) -> RegisteredModel:
    """A registered model."""
    return RegisteredModel(
        name=said.name,
        aliases={one.alias: str(one.version) for one in said.aliases},
        tags=_texts(said.tags),
        description=said.description or "",
    )


def version_of(said: VersionSaid) -> ModelVersion:
    """A version; its stage is None where MLflow says ``None``."""
    return ModelVersion(
        name=said.name,
        version=str(said.version),
        created_at=_time(said.creation_timestamp),
        source=said.source or "",
        run_id=said.run_id or None,
        state=said.status,
        stage=None if said.current_stage in (None, "", _NO_STAGE) else said.current_stage,
        tags=_texts(said.tags),
        description=said.description or "",
    )


def run_of(said: RunSaid) -> Run:
    """A run, with the latest value of each metric."""
    return Run(
        run_id=said.info.run_id,
        name=said.info.run_name or "",
        started_at=_time(said.info.start_time or 0),
        parameters=_texts(said.data.params),
        metrics={one.key: float(one.value or 0) for one in said.data.metrics},
        tags=_texts(said.data.tags),
    )


def _texts(pairs: Sequence[_Pair]) -> dict[str, str]:
    return {one.key: "" if one.value is None else str(one.value) for one in pairs}


def _time(milliseconds: _Whole) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / _MILLISECONDS, UTC)
