"""This project: ``modelway serve`` with its defaults, one worker for each core.

Compiled bundles are served from an environment with nothing but the core (and Arrow, for Arrow
bodies); the model that does not compile needs scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping

from compared_models import ComparedModel, Input
from fitted_models import ROOT
from forms import Form, arrow_form, at, csv_form, json_form, oip_binary, oip_json, records, split
from peers.description import PEERS, Environment, Kind, Launch, Peer, Site

NAME = "modelway"
ARROW = PEERS / NAME / "requirements.txt"
CORE = Environment("modelway", (ROOT / "locks" / "core.txt", ARROW), project=True)
NATIVE = Environment("modelway-sklearn", (ROOT / "locks" / "sklearn.txt", ARROW), project=True)


def launch(site: Site) -> Launch:
    """One bundle or a hundred; the administration and metrics port is on, as it always is."""
    compiled = all(model.compiles for model in site.models.values())
    sources = [f"{name}={model.bundle}" for name, model in site.models.items()]
    options = (
        *("--port", str(site.port), "--workers", str(site.workers)),
        *("--admin-port", "0", "--home", str(site.folder / "home")),
    )
    python = str(site.python(CORE.name if compiled else NATIVE.name))
    return Launch((python, "-m", "modelway", "serve", *sources, *options))


def forms(name: str, model: ComparedModel) -> Mapping[str, Form]:
    """JSON is an object for one row and an array of objects for more."""
    path = f"/models/{name}/predict"
    infer = f"/v2/models/{name}/infer"
    tables: dict[str, Form] = {
        "json": json_form(
            path,
            lambda rows: records(rows)[0] if len(rows) == 1 else records(rows),
            lambda answer: [
                one["prediction"] for one in (answer if isinstance(answer, list) else [answer])
            ],
        ),
        "json split": json_form(path, split, lambda answer: [one["prediction"] for one in answer]),
    }
    tensors: dict[str, Form] = {
        "OIP JSON": oip_json(infer, model),
        "OIP binary": oip_binary(infer, model),
    }
    if model.takes is Input.TENSOR:
        # 784 names in every request would be no sensible way to ask: the tensor comes first.
        return {"json": at(tensors["OIP JSON"], infer), "OIP binary": tensors["OIP binary"]}
    return {**tables, **tensors, "CSV": csv_form(path), "Arrow": arrow_form(path)}


PEER = Peer(
    name=NAME,
    title="Modelway",
    kind=Kind.OURS,
    environments=(CORE, NATIVE),
    launch=launch,
    forms=forms,
    how="`modelway serve BUNDLE`, defaults; labels and probabilities in every answer, metrics on",
    package="modelway",
    many=True,
)
