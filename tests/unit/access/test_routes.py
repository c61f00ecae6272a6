"""The table of who may do what, cell by cell, and that no route is missing in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from modelway.access.admitting import Keys
from modelway.access.keys import Scope
from modelway.access.making import new_key
from modelway.access.routes import ADMIN_ONLY, OPEN, RULES, Asked, Concerns, Door, rule_of
from modelway.console import pages
from modelway.domain.errors import Forbidden, Unauthenticated
from modelway.grpc.calls import Calls, unobserved
from modelway.grpc.door import _methods
from modelway.grpc.inference_service import InferenceService
from modelway.grpc.repository import Repository
from modelway.grpc.states import States
from modelway.telemetry.spans import PassedOn
from support.live import ROOT

NOBODY: Any = None
NOW = datetime(2024, 5, 17, tzinfo=UTC)
MADE = {scope: new_key(scope, [scope], [], 0, NOW) for scope in Scope}
KEYS = Keys([key for key, _ in MADE.values()])
CONFINED = {
    scope: new_key(scope, [scope], ["loan"], 0, NOW) for scope in set(Scope) - {Scope.ADMIN}
}
CONFINED_KEYS = Keys([key for key, _ in CONFINED.values()])

# Written out by hand, and not taken from the table: what each kind of act is for.
ALLOWED = {
    "infer": {"predict", "admin"},
    "describe": {"predict", "read", "admin"},
    "label": {"label", "admin"},
    "read": {"read", "admin"},
    "deploy": {"deploy", "admin"},
    "approve": {"approve", "admin"},
    "admin": {"admin"},
    "open": {"nobody", *Scope},
}
KINDS = {
    (Door.HTTP, "POST", "/predict"): "infer",
    (Door.HTTP, "GET", "/"): "infer",
    (Door.HTTP, "GET", "/models/{name}/predict"): "infer",
    (Door.HTTP, "POST", "/models/{name}/versions/{version}/predict"): "infer",
    (Door.HTTP, "POST", "/invocations"): "infer",
    (Door.HTTP, "POST", "/models/{name}/invoke"): "infer",
    (Door.HTTP, "POST", "/v2/models/{name}/infer"): "infer",
    (Door.HTTP, "POST", "/v1/models/{name}:predict"): "infer",
    (Door.HTTP, "POST", "/v1/models/{name}/labels/{label}:regress"): "infer",
    (Door.HTTP, "POST", "/uploads"): "infer",
    (Door.HTTP, "DELETE", "/uploads/{id}"): "infer",
    (Door.GRPC, "CALL", "inference.GRPCInferenceService/ModelInfer"): "infer",
    (Door.GRPC, "CALL", "inference.GRPCInferenceService/ModelStreamInfer"): "infer",
    (Door.HTTP, "GET", "/models"): "describe",
    (Door.HTTP, "HEAD", "/models"): "describe",
    (Door.HTTP, "GET", "/openapi.json"): "describe",
    (Door.HTTP, "GET", "/v2/models/{name}"): "describe",
    (Door.HTTP, "GET", "/v1/models/{name}/metadata"): "describe",
    (Door.GRPC, "CALL", "inference.GRPCInferenceService/ModelMetadata"): "describe",
    (Door.HTTP, "GET", "/v2/models/stats"): "read",
    (Door.GRPC, "CALL", "inference.GRPCInferenceService/ModelStatistics"): "read",
    (Door.HTTP, "POST", "/labels"): "label",
    (Door.ADMINISTRATION, "POST", "/labels"): "label",
    (Door.HTTP, "POST", "/models"): "deploy",
    (Door.HTTP, "DELETE", "/models/{name}"): "deploy",
    (Door.HTTP, "GET", "/health/live"): "open",
    (Door.HTTP, "GET", "/health/ready"): "open",
    (Door.HTTP, "GET", "/ping"): "open",
    (Door.HTTP, "OPTIONS", "/predict"): "open",
    (Door.HTTP, "GET", "/static/pages.js"): "open",
    (Door.HTTP, "POST", "/static/pages.js"): "admin",
    (Door.HTTP, "GET", "/v2/models/{name}/ready"): "open",
    (Door.GRPC, "CALL", "grpc.health.v1.Health/Check"): "open",
    (Door.ADMINISTRATION, "GET", "/metrics"): "open",
    (Door.ADMINISTRATION, "GET", "/models"): "read",
    (Door.ADMINISTRATION, "POST", "/v2/repository/index"): "read",
    (Door.ADMINISTRATION, "GET", "/status"): "read",
    (Door.ADMINISTRATION, "GET", "/registry/{name}/history"): "read",
    (Door.ADMINISTRATION, "GET", "/endpoints/{name}/verdict"): "read",
    (Door.ADMINISTRATION, "POST", "/records/query"): "read",
    (Door.ADMINISTRATION, "GET", "/records/{id}"): "read",
    (Door.ADMINISTRATION, "GET", "/trace/{id}"): "read",
    (Door.ADMINISTRATION, "PUT", "/models/{name}"): "deploy",
    (Door.ADMINISTRATION, "DELETE", "/models/{name}"): "deploy",
    (Door.ADMINISTRATION, "POST", "/v2/repository/models/{name}/load"): "deploy",
    (Door.ADMINISTRATION, "POST", "/registry/{name}/promote"): "deploy",
    (Door.ADMINISTRATION, "POST", "/registry/{name}/rollback"): "deploy",
    (Door.ADMINISTRATION, "PUT", "/endpoints/{name}"): "deploy",
    (Door.ADMINISTRATION, "DELETE", "/endpoints/{name}/canary"): "deploy",
    (Door.ADMINISTRATION, "POST", "/registry/{name}/proposals/{id}/approve"): "approve",
    (Door.ADMINISTRATION, "PUT", "/endpoints"): "deploy",
    (Door.ADMINISTRATION, "GET", "/records/coverage"): "read",
    (Door.ADMINISTRATION, "POST", "/records/erase"): "admin",
    (Door.ADMINISTRATION, "POST", "/records/compact"): "admin",
    (Door.ADMINISTRATION, "POST", "/records/retain"): "admin",
    (Door.ADMINISTRATION, "GET", "/schedules"): "read",
    (Door.ADMINISTRATION, "GET", "/schedules/{name}"): "read",
    (Door.ADMINISTRATION, "DELETE", "/schedules/{name}"): "deploy",
    (Door.ADMINISTRATION, "POST", "/schedules"): "admin",
    (Door.ADMINISTRATION, "GET", "/keys"): "admin",
    (Door.ADMINISTRATION, "POST", "/keys"): "admin",
    (Door.ADMINISTRATION, "DELETE", "/keys/{id}"): "admin",
    (Door.ADMINISTRATION, "GET", "/audit"): "admin",
    (Door.ADMINISTRATION, "POST", "/no/such/route"): "admin",
    (Door.ADMINISTRATION, "PATCH", "/metrics"): "admin",
    (Door.HTTP, "GET", "/no/such/route"): "admin",
}


def admitted(asked: Asked, scope: str) -> bool:
    """Whether a key of one scope, or nobody, may use a route."""
    headers = {} if scope == "nobody" else {"x-api-key": MADE[Scope(scope)][1]}
    try:
        KEYS.admit(rule_of(*asked), "loan", headers)
    except (Forbidden, Unauthenticated) as refused:
        assert (type(refused) is Unauthenticated) == (scope == "nobody")
        return False
    return True


@pytest.mark.parametrize("scope", ["nobody", *Scope])
@pytest.mark.parametrize(("asked", "kind"), KINDS.items(), ids=str)
def test_a_route_is_for_the_keys_it_is_for(asked: Asked, kind: str, scope: str) -> None:
    assert admitted(asked, scope) == (scope in ALLOWED[kind])


@pytest.mark.parametrize("asked", RULES, ids=str)
def test_every_rule_lets_in_one_of_the_kinds_and_nobody_else(asked: Asked) -> None:
    allowed = {scope for scope in ("nobody", *Scope) if admitted(asked, scope)}
    assert allowed in ALLOWED.values()


@pytest.mark.parametrize("asked", RULES, ids=str)
def test_a_key_of_one_endpoint_may_at_this_one_and_nothing_that_concerns_all(asked: Asked) -> None:
    rule = rule_of(*asked)
    for scope in (rule.scopes or frozenset()) - {Scope.ADMIN}:
        headers = {"x-api-key": CONFINED[scope][1]}
        if rule.concerns is Concerns.CALLER:
            assert CONFINED_KEYS.admit(rule, None, headers)
            continue
        if rule.concerns is Concerns.ENDPOINT:
            assert CONFINED_KEYS.admit(rule, "loan", headers)
        for other in ("iris", None):
            with pytest.raises(Forbidden):
                CONFINED_KEYS.admit(rule, other, headers)


def test_only_what_names_an_endpoint_concerns_one() -> None:
    default = {"/", "/predict", "/invocations", "/process"}
    for (door, _, path), rule in RULES.items():
        if rule.concerns is Concerns.ENDPOINT and door is not Door.GRPC:
            assert "{name}" in path or path in default, path
        if rule.concerns is Concerns.RECORD:
            assert "{id}" in path or path in {"/labels", "/process"}, path
        assert (rule.concerns is Concerns.CALLER) == path.startswith("/uploads"), path


def documented() -> Iterator[Asked]:
    """Every route of the reference, which names every route that there is."""
    page = (ROOT / "docs" / "reference" / "rest.md").read_text()
    door = Door.HTTP
    for line in page.splitlines():
        if line.startswith("## "):
            door = Door.ADMINISTRATION if line == "## Administration" else Door.HTTP
        row = re.fullmatch(r"\| (`/.*?) \| ((?:[A-Z]+(?:, )?)+) \|.*", line)
        if row:
            for path in re.findall(r"`([^`]+)`", row[1]):
                for method in row[2].split(", "):
                    yield door, method, path


def test_every_route_of_the_http_api_has_a_rule() -> None:
    routes = set(documented())
    assert {door for door, _, _ in routes} == {Door.HTTP, Door.ADMINISTRATION}
    assert not routes - set(RULES)


def test_every_page_is_open_or_asks_for_itself() -> None:
    for path in pages():
        assert rule_of(Door.HTTP, "GET", path) in (OPEN, RULES[Door.HTTP, "GET", "/"])


def test_every_method_of_grpc_has_a_rule() -> None:
    calls = Calls(1.0, PassedOn(), unobserved)
    service = InferenceService(NOBODY, NOBODY, 1)
    handlers: Any = _methods(service, Repository(NOBODY, NOBODY), States(NOBODY), calls)
    named = {path[1:] for handler in handlers for path in handler._method_handlers}
    assert named == {path for door, _, path in RULES if door is Door.GRPC}


def test_what_nobody_has_thought_of_is_for_admin() -> None:
    assert rule_of(Door.ADMINISTRATION, "POST", "/new") is ADMIN_ONLY
    assert rule_of(Door.GRPC, "CALL", "other.Service/Method") is ADMIN_ONLY
