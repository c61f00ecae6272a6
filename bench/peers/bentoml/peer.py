"""BentoML: a service with one worker for each core and a batchable method.

``workers="cpu_count"`` is what its guide to workers says for a model on CPU, ``batchable=True`` is
its adaptive batching; its latency is the default, the batch size as many
rows as the largest body brings.
"""

from __future__ import annotations

from collections.abc import Mapping

from compared_models import ComparedModel, Input
from forms import Form, plain
from peers.description import PEERS, SHARED, Kind, Launch, Peer, Site, own_environment

NAME = "bentoml"


def launch(site: Site) -> Launch:
    """One service, of the type of input that its model takes."""
    (model,) = site.models.values()
    service = "Frames" if model.takes is Input.FRAME else "Arrays"
    command = (
        *(site.script(NAME, "bentoml"), "serve", f"service:{service}"),
        *("--host", "127.0.0.1", "--port", str(site.port), "--working-dir", str(PEERS / NAME)),
    )
    environment = {
        "MODELS": site.named_paths(),
        "PYTHONPATH": str(SHARED),
        "BENTOML_HOME": str(site.folder / "home"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    return Launch(command, environment)


def forms(_: str, model: ComparedModel) -> Mapping[str, Form]:
    """The argument by its name in, the bare list out."""
    return {"json": plain("/predict", model, lambda answer: answer)}


PEER = Peer(
    name=NAME,
    title="BentoML",
    kind=Kind.PRODUCT,
    environments=own_environment(NAME),
    launch=launch,
    forms=forms,
    how='`bentoml serve`, `workers="cpu_count"`, `batchable=True`',
    package="bentoml",
    first={"1": 267, "32": 566, "start": 9.6},
    explanation="its batching waits by what it has learned: with one caller one round in two took "
    "five times as long as the other",
)
