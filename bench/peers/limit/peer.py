"""The limits: the fastest HTTP there is in Python, answering a constant of the size of our answer.

They read the same requests as we do and look at nothing in them. One more answers with a model.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from compared_models import ComparedModel
from fitted_models import Answers, Rows
from forms import Form, Headers
from peers.description import PEERS, Kind, Launch, Peer, Site, own_environment
from peers.modelway.peer import forms as our_forms

NAME = "limit"
FOLDER = str(PEERS / NAME)


def launch_uvicorn(site: Site) -> Launch:
    """A raw ASGI application under uvicorn."""
    command = (
        *(str(site.python(NAME)), "-m", "uvicorn", "asgi_constant:app", "--app-dir", FOLDER),
        *("--host", "127.0.0.1", "--port", str(site.port), "--workers", str(site.workers)),
        *("--loop", "uvloop", "--http", "httptools", "--lifespan", "off"),
        *("--no-access-log", "--log-level", "warning"),
    )
    return Launch(command, {"ANSWER_BYTES": str(site.answer_bytes)})


def launch_httptools(site: Site) -> Launch:
    """The bare parser on the bare event loop."""
    numbers = (str(site.port), str(site.workers), str(site.answer_bytes))
    return Launch((str(site.python(NAME)), f"{FOLDER}/httptools_constant.py", *numbers))


def forms(name: str, model: ComparedModel) -> Mapping[str, Form]:
    """Our JSON requests; the answer is the same for all, so nothing in it can be right or wrong."""
    asked = our_forms(name, model)["json"]

    def read(_: bytes, __: Headers) -> Answers:
        return np.zeros(0)

    def write(rows: Rows) -> bytes:
        return asked.write(rows)

    return {"json": Form(asked.path, asked.content_type, write, read)}


def launch_bare(site: Site) -> Launch:
    """The bare parser, with a model behind it."""
    (model,) = site.models.values()
    arguments = (str(site.port), str(site.workers), str(model.bundle))
    return Launch((str(site.python(NAME)), f"{FOLDER}/httptools_model.py", *arguments))


def bare_forms(name: str, model: ComparedModel) -> Mapping[str, Form]:
    """Our JSON requests of one row, and its answers to them."""
    return {"json": our_forms(name, model)["json"]}


UVICORN = Peer(
    name="limit-uvicorn",
    title="limit: uvicorn answering a constant",
    kind=Kind.LIMIT,
    environments=own_environment(NAME),
    launch=launch_uvicorn,
    forms=forms,
    how="raw ASGI, httptools, uvloop, as many workers",
    package="uvicorn",
    first={"1": 7_200, "32": 28_600},
)

HTTPTOOLS = Peer(
    name="limit-httptools",
    title="limit: httptools + uvloop answering a constant",
    kind=Kind.LIMIT,
    environments=own_environment(NAME),
    launch=launch_httptools,
    forms=forms,
    how="an asyncio protocol of 60 lines, as many workers",
    package="httptools",
    first={"1": 9_500, "32": 72_000},
)

BARE = Peer(
    name="bare-httptools",
    title="by hand: httptools + uvloop, msgspec, ONNX Runtime, and nothing else",
    kind=Kind.BARE,
    environments=own_environment(NAME),
    launch=launch_bare,
    forms=bare_forms,
    how="a few lines over our compiled graph: no checks, ids, versions, metrics; one row a request",
    package="httptools",
    first={"1": 6_100, "32": 35_000},
    only=("iris",),
)
