"""LitServe: one inference worker for each core, batching on.

Its guides give ``workers_per_device`` for more copies of the model, and for throughput a batch size
with a short timeout; ``fast_queue`` is what it has for many requests.
"""

from __future__ import annotations

from collections.abc import Mapping

from compared_models import ComparedModel
from forms import Form, plain
from peers.description import PEERS, SHARED, Kind, Launch, Peer, Site, own_environment

NAME = "litserve"


def launch(site: Site) -> Launch:
    """The script that its documentation would have a user write."""
    command = (str(site.python(NAME)), str(PEERS / NAME / "server.py"), str(site.port))
    environment = {
        "MODELS": site.named_paths(),
        "PYTHONPATH": str(SHARED),
        "WORKERS": str(site.workers),
    }
    return Launch(command, environment)


def forms(_: str, model: ComparedModel) -> Mapping[str, Form]:
    """JSON as the application reads it."""
    return {"json": plain("/predict", model)}


PEER = Peer(
    name=NAME,
    title="LitServe",
    kind=Kind.PRODUCT,
    environments=own_environment(NAME, by_pip=True),
    launch=launch,
    forms=forms,
    how="`LitServer(workers_per_device=cores)`, batches of 32 within 1 ms",
    package="litserve",
    first={"1": 224, "32": 800, "start": 7.4},
)
