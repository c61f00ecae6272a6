"""``mlflow models serve``: the model saved with its flavour and signature, workers for every core.

``--env-manager local`` because the environment is made already, as its guide to local deployment
says; it has no batching.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace

from compared_models import ComparedModel, Input
from forms import Form, csv_body, json_form, lists, predictions, split
from peers.description import PEERS, Kind, Launch, Peer, Site, own_environment

NAME = "mlflow"


def launch(site: Site) -> Launch:
    """Save the model as MLflow keeps models, once, then serve it."""
    ((name, model),) = site.models.items()
    saved = site.folder / "models" / name
    if not (saved / "MLmodel").exists() or saved.stat().st_mtime < model.source.stat().st_mtime:
        script = (str(site.python(NAME)), str(PEERS / NAME / "save.py"))
        subprocess.run([*script, str(model.folder), str(saved)], check=True, capture_output=True)
    command = (
        *(site.script(NAME, "mlflow"), "models", "serve", "--model-uri", str(saved)),
        *("--host", "127.0.0.1", "--port", str(site.port), "--workers", str(site.workers)),
        *("--env-manager", "local"),
    )
    # It starts uvicorn by name.
    scripts = str(site.python(NAME).parent)
    environment = {
        "PATH": f"{scripts}:/usr/bin:/bin",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "UVICORN_ACCESS_LOG": "false",
    }
    return Launch(command, environment)


def forms(_: str, model: ComparedModel) -> Mapping[str, Form]:
    """Frames in the split form; arrays and tensors as ``inputs``."""
    path = "/invocations"
    if model.takes is Input.FRAME:
        frame = json_form(path, lambda rows: {"dataframe_split": split(rows)}, predictions)
        return {"json": frame, "CSV": replace(frame, content_type="text/csv", write=csv_body)}
    if model.takes is Input.ARRAY:
        return {"json": json_form(path, lambda rows: {"inputs": lists(rows)}, predictions)}
    return {
        "json": json_form(
            path,
            lambda rows: {"inputs": lists(rows)},
            lambda answer: predictions(answer)["probabilities"],  # type: ignore[call-overload]
        )
    }


PEER = Peer(
    name=NAME,
    title="`mlflow models serve`",
    kind=Kind.PRODUCT,
    environments=own_environment(NAME),
    launch=launch,
    forms=forms,
    how="`mlflow models serve --workers cores --env-manager local`",
    package="mlflow",
    first={"1": 22, "32": 406, "start": 29},
)
