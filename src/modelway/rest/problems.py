"""Errors as problem documents: the only table of which error has which HTTP status.

What a client may know of a model's failure is that it failed; the reason is in the log, under the
request's id.

Source: RFC 9457, "Problem Details for HTTP APIs".
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from modelway.domain import errors
from modelway.rest.http import Header, Request, Response

PROBLEM = b"application/problem+json"
INTERNAL = "internal-error"
"""The code of a fault of our own: anything raised that is no ModelwayError."""

STATUSES: Mapping[type[errors.ModelwayError], int] = {
    errors.ModelwayError: 500,
    errors.InvalidInput: 400,
    errors.SignatureMismatch: 422,
    errors.InputRefused: 422,
    errors.MalformedPayload: 400,
    errors.PayloadTooLarge: 413,
    errors.HeadTooLarge: 431,
    errors.RequestIncomplete: 408,
    errors.UnsupportedMedia: 415,
    errors.NotAcceptable: 406,
    errors.InvalidName: 400,
    errors.InvalidSource: 400,
    errors.InvalidSignature: 400,
    errors.NotFound: 404,
    errors.EndpointNotFound: 404,
    errors.RouteNotFound: 404,
    errors.SourceNotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.TargetExists: 409,
    errors.Untrusted: 403,
    errors.DigestMismatch: 403,
    errors.UnsafeFormat: 403,
    errors.ModelFailed: 500,
    errors.BuildFailed: 500,
    errors.NotCompilable: 500,
    errors.LoadFailed: 500,
    errors.PredictFailed: 500,
    errors.OutputInvalid: 500,
    errors.Unavailable: 503,
    errors.NotReady: 503,
    errors.InvalidSettings: 500,
    errors.UnknownSetting: 500,
    errors.BadValue: 500,
    errors.MissingExtra: 500,
    errors.PortInUse: 500,
}

_RETRY_AFTER_S = b"1"
_log = logging.getLogger("modelway.rest")


def status_of(kind: type[errors.ModelwayError]) -> int:
    """The HTTP status of an error's class: its own row, or the nearest above it."""
    return next(STATUSES[one] for one in kind.__mro__ if one in STATUSES)


def problem_of(error: Exception, request: Request) -> Response:
    """The problem document of an error; what is the service's own fault goes to the log."""
    if not isinstance(error, errors.ModelwayError):
        return _failed(error, INTERNAL, request)
    status = status_of(type(error))
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _failed(error, error.code, request)
    headers: list[Header] = []
    if isinstance(error, errors.MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    if error.retryable:
        headers.append((b"retry-after", _RETRY_AFTER_S))
    content = _content(status, error.message, error.code, request)
    if isinstance(error, errors.SignatureMismatch):
        content["errors"] = [_entry(one) for one in error.problems]
        content["total"] = error.total
    if error.hint is not None:
        content["hint"] = error.hint
    return Response(msgspec.json.encode(content), PROBLEM, status=status, headers=headers)


def _failed(error: Exception, code: str, request: Request) -> Response:
    _log.error(
        "%s %s failed: %s",
        request.method,
        request.path[:200],
        code,
        exc_info=error,
        extra={"request_id": request.id},
    )
    detail = f"the service failed; its log has the reason under the request id {request.id}"
    if isinstance(error, errors.ModelFailed):
        detail = f"the model failed; the log has the reason under the request id {request.id}"
    return Response(msgspec.json.encode(_content(500, detail, code, request)), PROBLEM, status=500)


def _content(status: int, detail: str, code: str, request: Request) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request.id,
    }


def _entry(problem: errors.Problem) -> dict[str, Any]:
    return {
        "pointer": problem.pointer,
        "column": problem.column,
        "code": problem.code,
        "received": problem.received,
        "expected": problem.expected,
        "message": problem.message,
    }
