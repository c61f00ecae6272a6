"""FastAPI and uvicorn by hand: typed rows in, the model's ``predict``, one worker for each core.

The path function is a plain ``def``, which FastAPI's guide says for code that blocks.
"""

from __future__ import annotations

from collections.abc import Mapping

from compared_models import ComparedModel
from forms import Form, plain
from peers.description import PEERS, SHARED, Kind, Launch, Peer, Site, own_environment

NAME = "fastapi"


def launch(site: Site) -> Launch:
    """uvicorn with its fastest parts, which are in ``uvicorn[standard]``, and no access log."""
    command = (
        *(str(site.python(NAME)), "-m", "uvicorn", "app:app", "--app-dir", str(PEERS / NAME)),
        *("--host", "127.0.0.1", "--port", str(site.port), "--workers", str(site.workers)),
        *("--no-access-log", "--log-level", "warning"),
    )
    return Launch(command, {"MODELS": site.named_paths(), "PYTHONPATH": str(SHARED)})


def forms(name: str, model: ComparedModel) -> Mapping[str, Form]:
    """JSON as the application reads it."""
    return {"json": plain(f"/{name}/predict", model)}


PEER = Peer(
    name=NAME,
    title="FastAPI + uvicorn by hand",
    kind=Kind.BY_HAND,
    environments=own_environment(NAME),
    launch=launch,
    forms=forms,
    how="`uvicorn --workers cores`",
    package="fastapi",
    first={"1": 555, "32": 636, "start": 5.5},
    many=True,
)
