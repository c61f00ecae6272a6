"""New versions in MLflow's registry: of files that are uploaded, or of what a run has logged."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelway.backends.mlflow_answers import RunSaid, version_of
from modelway.backends.mlflow_calls import MlflowCalls, now_ms
from modelway.backends.mlflow_files import files_of, upload
from modelway.backends.mlflow_http import MlflowHttp
from modelway.backends.mlflow_places import proxied_path, run_said
from modelway.domain.errors import ModelwayError, RegistryUnavailable
from modelway.domain.references import check_model_name
from modelway.registry.models import ModelVersion

EXPERIMENT = "modelway"
"""The experiment of the runs that registrations make which are given none."""


def register_files(
    server: MlflowHttp,
    calls: MlflowCalls,
    name: str,
    folder: Path,
    run_id: str | None,
    tags: Mapping[str, str],
) -> ModelVersion:
    """A new version with the files of a folder, which are kept with the run, or with one that is
    made for them.

    Raises:
        RegistryUnavailable: the registry cannot be reached, or takes no files.
        InvalidName: no model may be called so.
        InvalidSource: the folder has no files, or a link that leads out of it.
        SourceNotFound: the folder is not there.
        RunNotFound: there is no such run.
        InvalidInput: a tag is one that MLflow does not take.
    """
    check_model_name(name)
    files_of(folder)
    run = run_said(calls, run_id) if run_id is not None else _run_for(calls, name)
    root = run.info.artifact_uri or ""
    path = proxied_path(root)
    if path is None:
        raise RegistryUnavailable(
            f"the registry at {calls.url} takes no files: those of the run "
            f"{run.info.run_id} are kept at {root}",
            hint="start MLflow's server with --serve-artifacts and an experiment of its own",
        )
    part = f"model-{secrets.token_hex(8)}"
    try:
        upload(server, folder, f"{path}/{part}")
    except ModelwayError:
        if run_id is None:
            with contextlib.suppress(ModelwayError):
                _end(calls, run, "FAILED")
        raise
    if run_id is None:
        _end(calls, run, "FINISHED")
    return create_version(calls, name, f"{root}/{part}", run.info.run_id, tags)


def create_version(
    calls: MlflowCalls,
    name: str,
    source: str,
    run_id: str,
    tags: Mapping[str, str],
    model_id: str | None = None,
) -> ModelVersion:
    """A new version of what lies at ``source``, which is of a run; ``model_id`` if that is one of
    its logged models. The model is made if there is none.

    Raises:
        RegistryUnavailable: the registry cannot be reached.
        InvalidInput: MLflow does not take the source, or a tag.
    """
    calls.make("registered-models/create", {"name": name})
    said: dict[str, Any] = {
        "name": name,
        "source": source,
        "run_id": run_id,
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    }
    if model_id is not None:
        said["model_id"] = model_id
    answer = calls.tell("POST", "model-versions/create", said)
    return version_of(calls.there(answer.model_version))


def _run_for(calls: MlflowCalls, name: str) -> RunSaid:
    """A run that holds the files of a registration."""
    calls.make("experiments/create", {"name": EXPERIMENT})
    asked = {"experiment_name": EXPERIMENT}
    experiment = calls.there(calls.ask("experiments/get-by-name", asked).experiment)
    said = {"experiment_id": experiment.experiment_id, "run_name": name, "start_time": now_ms()}
    return calls.there(calls.tell("POST", "runs/create", said).run)


def _end(calls: MlflowCalls, run: RunSaid, status: str) -> None:
    said = {"run_id": run.info.run_id, "status": status, "end_time": now_ms()}
    calls.tell("POST", "runs/update", said)
