"""MLServer: parallel workers for every core, adaptive batching on, its scikit-learn runtime.

Its guide to parallel inference and that to performance tuning say to set ``parallel_workers`` to
the number of cores. Batching is off until both of its settings are given, and its guide says to
find them by experiment: 32 requests and 1 ms were the best of those tried.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from compared_models import ComparedModel, Input
from forms import Form, oip_json
from http_stack import free_port
from peers.description import PEERS, Kind, Launch, Peer, Site, own_environment

NAME = "mlserver"
BATCHING = {"max_batch_size": 32, "max_batch_time": 0.001}


def launch(site: Site) -> Launch:
    """A folder with the server's settings, and one below it for each model."""
    place = site.folder / "models"
    place.mkdir(parents=True, exist_ok=True)
    settings = {
        "host": "127.0.0.1",
        "http_port": site.port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": site.workers,
        # Its access log is on only where debug is, which its documentation has for development.
        "debug": False,
    }
    (place / "settings.json").write_text(json.dumps(settings))
    for name, model in site.models.items():
        folder = place / name
        folder.mkdir(exist_ok=True)
        (folder / "model-settings.json").write_text(json.dumps(_model(name, model)))
    command = (site.script(NAME, "mlserver"), "start", str(place))
    return Launch(command, {"PYTHONPATH": str(PEERS / NAME)})


def _model(name: str, model: ComparedModel) -> Mapping[str, object]:
    tensor = model.takes is Input.TENSOR
    return {
        "name": name,
        "implementation": "network.Network" if tensor else "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(Path(model.source).resolve())},
        **BATCHING,
    }


def forms(name: str, model: ComparedModel) -> Mapping[str, Form]:
    """The Open Inference Protocol in JSON; it has no binary tensors over REST."""
    return {"json": oip_json(f"/v2/models/{name}/infer", model)}


PEER = Peer(
    name=NAME,
    title="MLServer",
    kind=Kind.PRODUCT,
    environments=own_environment(NAME),
    launch=launch,
    forms=forms,
    how="`mlserver start`, `parallel_workers` = cores, batching on (32 requests, 1 ms)",
    package="mlserver",
    first={"1": 171, "32": 1_139, "start": 13},
    many=True,
)
