"""Ray Serve: one replica for each core, ``serve.batch``, HAProxy in front.

``max_ongoing_requests`` is above the batch size, as its guide to batching says it must be. The two
variables are those of its guide "Enable High Throughput"; with them it answers several times as
many requests as with its own proxy. HAProxy listens on every interface, which cannot be changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from compared_models import ComparedModel
from forms import Form, plain
from peers.description import PEERS, SHARED, Kind, Launch, Peer, Site, own_environment

NAME = "ray"


def launch(site: Site) -> Launch:
    """``serve run`` starts Ray on this machine and the application in it."""
    # A path in a configuration file is how its documentation sets the port of the proxy.
    config = {
        "proxy_location": "HeadOnly",
        "http_options": {"port": site.port},
        "logging_config": {"enable_access_log": False},
        "applications": [{"name": "predictor", "route_prefix": "/", "import_path": "app:built"}],
    }
    site.folder.mkdir(parents=True, exist_ok=True)
    path = site.folder / "serve.json"
    path.write_text(json.dumps(config))
    environment = {
        "MODELS": site.named_paths(),
        "PYTHONPATH": f"{PEERS / NAME}:{SHARED}",
        "REPLICAS": str(site.workers),
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    return Launch((site.script(NAME, "serve"), "run", str(path)), environment, stop_s=40)


def forms(_: str, model: ComparedModel) -> Mapping[str, Form]:
    """JSON as the application reads it."""
    return {"json": plain("/", model)}


PEER = Peer(
    name=NAME,
    title="Ray Serve",
    kind=Kind.PRODUCT,
    environments=own_environment(NAME),
    launch=launch,
    forms=forms,
    how="`serve run`, `num_replicas` = cores, `serve.batch` of 32 within 1 ms, HAProxy",
    package="ray",
    first={"1": 77, "32": 129, "start": 27},
)
