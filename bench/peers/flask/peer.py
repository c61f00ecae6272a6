"""Flask and gunicorn by hand: the model's ``predict`` behind one route.

gunicorn's guide says twice the cores and one more; its threaded workers keep connections open,
which its default workers do not.
"""

from __future__ import annotations

from collections.abc import Mapping

from compared_models import ComparedModel
from forms import Form, plain
from peers.description import PEERS, SHARED, Kind, Launch, Peer, Site, own_environment

NAME = "flask"


def launch(site: Site) -> Launch:
    """gunicorn without an access log, which is its default."""
    command = (
        *(str(site.python(NAME)), "-m", "gunicorn", "app:app", "--chdir", str(PEERS / NAME)),
        *("--bind", f"127.0.0.1:{site.port}", "--workers", str(2 * site.workers + 1)),
        *("--worker-class", "gthread", "--threads", "4", "--log-level", "warning"),
    )
    return Launch(command, {"MODELS": site.named_paths(), "PYTHONPATH": str(SHARED)})


def forms(name: str, model: ComparedModel) -> Mapping[str, Form]:
    """JSON as the application reads it."""
    return {"json": plain(f"/{name}/predict", model)}


PEER = Peer(
    name=NAME,
    title="Flask + gunicorn by hand",
    kind=Kind.BY_HAND,
    environments=own_environment(NAME),
    launch=launch,
    forms=forms,
    how="`gunicorn --workers 2*cores+1 --worker-class gthread --threads 4`",
    package="flask",
    first={"1": 274, "32": 1_064},
    many=True,
)
