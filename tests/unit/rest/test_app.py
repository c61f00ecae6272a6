"""The reference of the HTTP API names every route that there is, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from modelway.composition.operation_table import OPERATIONS
from modelway.composition.status import STATUS
from modelway.endpoints.router import EndpointRouter
from modelway.inference.dataplane import DataPlane
from modelway.rest.admin import Administration
from modelway.rest.app import create_app
from modelway.rest.oip_repository import repository_routes
from modelway.rest.routes import RouteTable
from modelway.settings import RestSettings
from support.live import ROOT
from support.served import catalogue_of

NOBODY: Any = None
ANYBODY: Any = object()
"""What is asked only when a request comes."""

Routes = set[tuple[str, frozenset[str]]]


def routes_of(table: RouteTable) -> Routes:
    routes = [*table.routes.values(), *(route for _, route in table._patterns)]
    usual = {"HEAD", "OPTIONS"}
    return {(route.path, frozenset(route.answers) - usual) for route in routes}


def tables() -> Iterator[RouteTable]:
    rest = RestSettings()
    catalogue = catalogue_of()
    plane = DataPlane(EndpointRouter(catalogue, []), catalogue)
    for settings in (rest, replace(rest, sagemaker="/models")):
        app = create_app(
            plane,
            settings,
            pages={},
            templates={},
            output_names={},
            deployments=ANYBODY,
            labels=ANYBODY,
            jobs=ANYBODY,
        )
        yield app._table
    repository = repository_routes(NOBODY)
    yield Administration(NOBODY, "key", bytes, loopback=True, further=repository)._table
    plane.close()


def routes_of_operations() -> Routes:
    by_path: dict[str, set[str]] = {}
    for operation in (*OPERATIONS, STATUS):
        by_path.setdefault(operation.path, set()).add(operation.method)
    return {(path, frozenset(methods)) for path, methods in by_path.items()}


def test_the_reference_names_every_route() -> None:
    page = (ROOT / "docs" / "reference" / "rest.md").read_text()
    named: Routes = set()
    for line in page.splitlines():
        row = re.fullmatch(r"\| (`/.*?) \| ((?:[A-Z]+(?:, )?)+) \|.*", line)
        if row:
            methods = frozenset(row[2].split(", "))
            named |= {(path, methods) for path in re.findall(r"`([^`]+)`", row[1])}
    assert named == routes_of_operations().union(*map(routes_of, tables()))
