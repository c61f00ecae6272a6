"""A service of every kind of model, asked in this process and through a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from modelway.domain.signature import Column, Datatype, Signature
from modelway.rest.app import create_app
from modelway.settings import RestSettings
from support.asgi import asking_http, served
from support.live import Ask
from support.served import (
    FLOWER,
    LARGEST_BODY,
    PAIR,
    compiled_bundle,
    flower_graph,
    function_bundle,
    loaded,
    pair_graph,
    plane_of,
    ratio_graph,
    tensor_bundle,
)

ECHO = Signature(
    columns=(
        Column("name", "name", Datatype.STRING, nullable=True, optional=True),
        Column("when", "when", Datatype.DATETIME, nullable=True, optional=True),
        Column("paid", "paid", Datatype.BOOL),
        Column("rooms", "rooms", Datatype.INT64),
    )
)
RULES = """
import numpy as np

def echo(name, when, paid, rooms):
    return {"name": name, "when": when, "paid": paid, "rooms": rooms}

def fails(a, b):
    if a == 13:
        raise ValueError("secret")
    if a == 14:
        raise SystemExit("secret")
    if a == 15:
        return object()
    if a == 16:
        return np.float32(0.5)
    return "fine"
"""


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Endpoints iris (the default), ratio, pair, tensor, echo, fails; a page; a template."""
    folder = tmp_path_factory.mktemp("bundles")
    iris = compiled_bundle(folder / "iris", flower_graph(), FLOWER, classes=(0, 1, 2))
    models = [
        loaded(iris, "iris"),
        loaded(compiled_bundle(folder / "ratio", ratio_graph(), PAIR), "ratio"),
        loaded(compiled_bundle(folder / "pair", pair_graph(), PAIR), "pair"),
        loaded(tensor_bundle(folder / "tensor"), "tensor"),
        loaded(function_bundle(folder / "echo", RULES, "echo", ECHO), "echo"),
        loaded(function_bundle(folder / "fails", RULES, "fails", PAIR), "fails"),
    ]
    return create_app(
        plane_of(models),
        RestSettings(max_body_bytes=LARGEST_BODY, max_rows=1000),
        pages={"/": ("text/html; charset=utf-8", b"<h1>page</h1>")},
        templates={"/predict/{sepal_length}/{petal_width}": "iris", "/ratio/{a}": "ratio"},
        output_names={"ratio": "Ratio"},
        loopback=True,
    )


@pytest.fixture(scope="session")
def port(app: Any) -> Iterator[int]:
    """A port on which a real server answers with the application."""
    with served(app) as port:
        yield port


@pytest.fixture
def ask(port: int) -> Ask:
    """Ask the application through the server."""
    return asking_http(port)
