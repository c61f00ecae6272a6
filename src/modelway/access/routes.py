"""Which scope each route needs: the one table of it, for every door.

A rule stands for a method and a path as the route tables have it, without a prefix; for gRPC for a
method of a service. What has no rule is for ``admin`` alone, so what nobody has thought of is not
open. HEAD is as GET, OPTIONS as what it asks about: open.

    what for                                        any of these scopes, or admin
    health, readiness, the pages, protocol names    nobody is asked
    inference, jobs                                 predict
    uploads, which are their sender's alone         predict
    how jobs stand, their results                   predict, read
    what models look like                           predict, read
    labels                                          label
    records, traces, states, statistics, history    read
    schedules, what became of their runs            read
    loading, promoting, changing endpoints, jobs    deploy
    removing schedules                              deploy
    deciding on a promotion that waits              approve
    keys, the audit trail, erasing, keeping         admin
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from modelway.access.keys import Scope


class Door(StrEnum):
    """Where a request comes in."""

    HTTP = "http"
    GRPC = "grpc"
    ADMINISTRATION = "administration"


class Concerns(StrEnum):
    """What a key's endpoints are compared with.

    ``ENDPOINT`` is the one that the request names, or the default one. ``RECORD`` is that of the
    prediction whose id the request names, known once it was looked up. ``ALL`` is no single one.
    ``CALLER`` is what is the key's own, whichever endpoints it is for.
    """

    ENDPOINT = "endpoint"
    RECORD = "record"
    ALL = "all"
    CALLER = "caller"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a route needs: one of ``scopes``, or nothing where they are None."""

    scopes: frozenset[Scope] | None
    concerns: Concerns = Concerns.ALL

    @property
    def is_inference(self) -> bool:
        """Whether the data plane asks for itself, once it knows the endpoint."""
        return self.scopes == _PREDICT and self.concerns is Concerns.ENDPOINT


Asked = tuple[Door, str, str]
"""A door, a method, a path."""

_PREDICT = frozenset((Scope.PREDICT,))
_DESCRIBE = frozenset((Scope.PREDICT, Scope.READ))
_LABEL = frozenset((Scope.LABEL,))
_READ = frozenset((Scope.READ,))
_DEPLOY = frozenset((Scope.DEPLOY,))
_APPROVE = frozenset((Scope.APPROVE,))
_ADMIN = frozenset((Scope.ADMIN,))

OPEN = Rule(None)
INFERENCE = Rule(_PREDICT, Concerns.ENDPOINT)
_PREDICT_OWN = Rule(_PREDICT, Concerns.CALLER)
_DESCRIBE_ONE, _DESCRIBE_ALL = Rule(_DESCRIBE, Concerns.ENDPOINT), Rule(_DESCRIBE)
_JOB, _CANCEL = Rule(_DESCRIBE, Concerns.RECORD), Rule(_PREDICT, Concerns.RECORD)
_READ_ONE, _READ_ALL = Rule(_READ, Concerns.ENDPOINT), Rule(_READ)
_READ_RECORD = Rule(_READ, Concerns.RECORD)
_LABEL_RECORD = Rule(_LABEL, Concerns.RECORD)
_DEPLOY_ONE, _DEPLOY_ALL = Rule(_DEPLOY, Concerns.ENDPOINT), Rule(_DEPLOY)
_DEPLOY_RECORD = Rule(_DEPLOY, Concerns.RECORD)
_APPROVE_ALL = Rule(_APPROVE)
ADMIN_ONLY = Rule(_ADMIN)

_HTTP: Mapping[Rule, str] = {
    OPEN: """
        GET /docs
        GET /health  GET /health/live  GET /health/ready  GET /ping  GET /version
        GET /execution-parameters
        GET /v2  GET /v2/  GET /v2/health/live  GET /v2/health/ready
        GET /v2/models/{name}/ready  GET /v2/models/{name}/versions/{version}/ready
    """,
    # What is at / without a query is a page, for which the data plane is not asked.
    INFERENCE: """
        GET /
        GET /predict  POST /predict
        GET /models/{name}/predict  POST /models/{name}/predict
        GET /models/{name}/versions/{version}/predict
        POST /models/{name}/versions/{version}/predict
        POST /models/{name}/invoke  POST /models/{name}/jobs
        POST /models/{name}/versions/{version}/jobs  POST /process
        POST /invocations
        POST /v2/models/{name}/infer  POST /v2/models/{name}/versions/{version}/infer
        POST /v1/models/{name}:predict
        POST /v1/models/{name}:classify
        POST /v1/models/{name}:regress
        POST /v1/models/{name}/versions/{version}:predict
        POST /v1/models/{name}/versions/{version}:classify
        POST /v1/models/{name}/versions/{version}:regress
        POST /v1/models/{name}/labels/{label}:predict
        POST /v1/models/{name}/labels/{label}:classify
        POST /v1/models/{name}/labels/{label}:regress
    """,
    _DESCRIBE_ALL: """
        GET /openapi.json  GET /models  GET /v2/models  GET /v1/models  GET /jobs
        POST /v2/repository/index
    """,
    _DESCRIBE_ONE: """
        GET /models/{name}  GET /models/{name}/versions/{version}
        GET /v2/models/{name}  GET /v2/models/{name}/versions/{version}
        GET /v1/models/{name}  GET /v1/models/{name}/metadata
        GET /v1/models/{name}/versions/{version}
        GET /v1/models/{name}/versions/{version}/metadata
        GET /v1/models/{name}/labels/{label}  GET /v1/models/{name}/labels/{label}/metadata
    """,
    _READ_ALL: "GET /v2/models/stats",
    _READ_ONE: "GET /v2/models/{name}/stats  GET /v2/models/{name}/versions/{version}/stats",
    _LABEL_RECORD: "POST /labels",
    _PREDICT_OWN: "POST /uploads  DELETE /uploads/{id}",
    _JOB: "GET /jobs/{id}  GET /jobs/{id}/result  GET /process",
    _CANCEL: "DELETE /jobs/{id}",
    _DEPLOY_ALL: "POST /models",
    _DEPLOY_ONE: "DELETE /models/{name}",
}

_GRPC: Mapping[Rule, str] = {
    OPEN: """
        CALL inference.GRPCInferenceService/ServerLive
        CALL inference.GRPCInferenceService/ServerReady
        CALL inference.GRPCInferenceService/ServerMetadata
        CALL inference.GRPCInferenceService/ModelReady
        CALL grpc.health.v1.Health/Check
        CALL grpc.health.v1.Health/Watch
        CALL grpc.reflection.v1.ServerReflection/ServerReflectionInfo
        CALL grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo
    """,
    INFERENCE: """
        CALL inference.GRPCInferenceService/ModelInfer
        CALL inference.GRPCInferenceService/ModelStreamInfer
    """,
    _DESCRIBE_ONE: "CALL inference.GRPCInferenceService/ModelMetadata",
    _DESCRIBE_ALL: "CALL inference.GRPCInferenceService/RepositoryIndex",
    _READ_ALL: "CALL inference.GRPCInferenceService/ModelStatistics",
}

_ADMINISTRATION: Mapping[Rule, str] = {
    OPEN: "GET /health/live  GET /metrics",
    _READ_ALL: """
        GET /models  POST /v2/repository/index  GET /status
        GET /registry  GET /registry/{name}  GET /registry/{name}/history
        GET /registry/{name}/versions  GET /registry/{name}/versions/{version}
        GET /registry/{name}/proposals
        GET /endpoints
        POST /records/query  GET /records/coverage  GET /jobs  GET /jobs/depths
        GET /schedules  GET /schedules/{name}
    """,
    _READ_ONE: """
        GET /endpoints/{name}  GET /endpoints/{name}/history  GET /endpoints/{name}/verdict
    """,
    _READ_RECORD: """
        GET /records/{id}  GET /trace/{id}  POST /trace/{id}/replay  GET /jobs/{id}
    """,
    _LABEL_RECORD: "POST /labels",
    _DEPLOY_RECORD: "POST /jobs/{id}/retry  DELETE /jobs/{id}",
    _DEPLOY_ALL: """
        POST /registry/{name}/versions  DELETE /registry/{name}/versions/{version}
        POST /registry/{name}/versions/{version}/archive
        POST /registry/{name}/versions/{version}/bundle
        POST /registry/{name}/promote  POST /registry/{name}/rollback
        POST /endpoints  PUT /endpoints  DELETE /schedules/{name}  POST /jobs/dead/retry
    """,
    _DEPLOY_ONE: """
        PUT /models/{name}  DELETE /models/{name}
        POST /v2/repository/models/{name}/load  POST /v2/repository/models/{name}/unload
        PUT /endpoints/{name}  DELETE /endpoints/{name}
        POST /endpoints/{name}/canary  DELETE /endpoints/{name}/canary
        POST /endpoints/{name}/shadow  DELETE /endpoints/{name}/shadow
        POST /endpoints/{name}/promote  POST /endpoints/{name}/rollback
    """,
    _APPROVE_ALL: """
        POST /registry/{name}/proposals/{id}/approve  POST /registry/{name}/proposals/{id}/decline
    """,
    ADMIN_ONLY: """
        POST /records/erase  POST /records/compact  POST /records/retain
        GET /keys  POST /keys  DELETE /keys/{id}
        GET /audit
    """,
}


def _table() -> Iterator[tuple[Asked, Rule]]:
    doors = {Door.HTTP: _HTTP, Door.GRPC: _GRPC, Door.ADMINISTRATION: _ADMINISTRATION}
    for door, rules in doors.items():
        for rule, text in rules.items():
            words = text.split()
            for method, path in zip(words[::2], words[1::2], strict=True):
                yield (door, method, path), rule


RULES: Mapping[Asked, Rule] = MappingProxyType(dict(_table()))
"""Every rule; of gRPC the method is ``CALL`` and the path ``service/Method``."""


def rule_of(door: Door, method: str, path: str) -> Rule:
    """What a route needs; ``path`` is its template.

    Pages and what they load from ``/static/`` are files that are the same for everybody.
    """
    if method == "OPTIONS":
        return OPEN
    method = "GET" if method == "HEAD" else method
    if door is Door.HTTP and method == "GET" and path.startswith("/static/"):
        return OPEN
    return RULES.get((door, method, path), ADMIN_ONLY)
