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
from modelway.rest.http import Header, Request, Response, header_lines
from modelway.telemetry.trace import trace_context

PROBLEM = b"application/problem+json"
INTERNAL = "internal-error"
"""The code of a fault of our own: anything raised that is no ModelwayError."""

STATUSES: Mapping[type[errors.ModelwayError], int] = {
    errors.ModelwayError: 500,
    errors.InvalidInput: 400,
    errors.SignatureMismatch: 422,
    errors.InputRefused: 422,
    errors.TooManyErrors: 422,
    errors.MalformedPayload: 400,
    errors.PayloadTooLarge: 413,
    errors.HeadTooLarge: 431,
    errors.RequestIncomplete: 408,
    errors.UnsupportedMedia: 415,
    errors.NotAcceptable: 406,
    errors.IdempotencyKeyReused: 422,
    errors.CallbackRefused: 422,
    errors.InvalidName: 400,
    errors.InvalidSource: 400,
    errors.InvalidSignature: 400,
    errors.NotFound: 404,
    errors.EndpointNotFound: 404,
    errors.ModelNotFound: 404,
    errors.VersionNotFound: 404,
    errors.AliasNotFound: 404,
    errors.RunNotFound: 404,
    errors.KeyNotFound: 404,
    errors.ProposalNotFound: 404,
    errors.PredictionNotFound: 404,
    errors.JobNotFound: 404,
    errors.UploadNotFound: 404,
    errors.ScheduleNotFound: 404,
    errors.ResultNotFound: 404,
    errors.RouteNotFound: 404,
    errors.SourceNotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.TargetExists: 409,
    errors.ResumeMismatch: 409,
    errors.PromotionConflict: 409,
    errors.EndpointChanged: 409,
    errors.ProposalDecided: 409,
    errors.IdempotencyMismatch: 409,
    errors.IllegalTransition: 409,
    errors.NotReplayable: 409,
    errors.NotPermitted: 403,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.Untrusted: 403,
    errors.DigestMismatch: 403,
    errors.UnsafeFormat: 403,
    errors.UntrustedRegistry: 403,
    errors.ModelFailed: 500,
    errors.BuildFailed: 500,
    errors.NotCompilable: 500,
    errors.LoadFailed: 500,
    errors.PredictFailed: 500,
    errors.ModelCrashed: 500,
    errors.OutputInvalid: 500,
    errors.Overloaded: 503,
    errors.QueueFull: 503,
    errors.RateLimited: 429,
    errors.DeadlineExceeded: 504,
    errors.OutOfMemory: 507,
    errors.Unavailable: 503,
    errors.NotReady: 503,
    errors.WorkerDied: 503,
    errors.RegistryUnavailable: 503,
    errors.StoreUnavailable: 503,
    errors.InvalidSettings: 500,
    errors.UnknownSetting: 500,
    errors.BadValue: 500,
    errors.MissingExtra: 500,
    errors.PortInUse: 500,
    errors.HomeTooNew: 500,
}

_BY_CODE = {kind.code: kind for kind in STATUSES}
_FAULT = HTTPStatus.INTERNAL_SERVER_ERROR.value
_RETRY_AFTER_S = b"1"
_log = logging.getLogger("modelway.rest")


def status_of(kind: type[errors.ModelwayError]) -> int:
    """The HTTP status of an error's class: its own row, or the nearest above it."""
    return next(STATUSES[one] for one in kind.__mro__ if one in STATUSES)


def problem_of(error: Exception, request: Request) -> Response:
    """The problem document of an error; what is the service's own fault goes to the log."""
    status, code, message = told(error, request)
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": message,
        "code": code,
        "request_id": request.id,
    }
    if isinstance(error, errors.SignatureMismatch):
        content["errors"] = [_entry(one) for one in error.problems]
        content["total"] = error.total
    if isinstance(error, errors.ModelwayError) and status != _FAULT and error.hint is not None:
        content["hint"] = error.hint
    return Response(
        msgspec.json.encode(content), PROBLEM, status=status, headers=refusal_headers(error)
    )


def told(error: Exception, request: Request) -> tuple[int, str, str]:
    """Status, code and message of an error, fit for a stranger's eyes in any protocol.

    Of a fault of the service or the model it says no more than the request's id; the log has the
    rest.
    """
    if not isinstance(error, errors.ModelwayError):
        return _FAULT, INTERNAL, _logged(error, INTERNAL, request)
    status = status_of(type(error))
    if status == _FAULT:
        return _FAULT, error.code, _logged(error, error.code, request)
    return status, error.code, error.message


def told_of_job(job_id: str, code: str, message: str) -> str:
    """What a stranger may know of why a job failed, as ``told`` would have said it at once.

    A code that is not known here may be of anything, so nothing is said of it either.
    """
    kind = _BY_CODE.get(code, errors.ModelwayError)
    if status_of(kind) != _FAULT:
        return message
    who = "model" if issubclass(kind, errors.ModelFailed) else "service"
    return f"the {who} failed; modelway job show {job_id} has the reason"


def refusal_headers(error: Exception) -> bytes:
    """The header lines that go with an error in every protocol."""
    headers: list[Header] = []
    if isinstance(error, errors.MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    if isinstance(error, errors.Unauthenticated):
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, errors.ModelwayError) and error.retryable:
        headers.append((b"retry-after", _RETRY_AFTER_S))
    return header_lines(*headers)


def _logged(error: Exception, code: str, request: Request) -> str:
    """Log a fault; gives what the caller may know of it."""
    trace_id = request.trace_id
    if trace_id is None and b"traceparent" in request.headers:
        # Nobody follows traces here, but whoever sent one looks for it.
        context = trace_context(request.headers[b"traceparent"].decode("latin-1"))
        trace_id = None if context is None else context.trace_id
    _log.error(
        "%s %s failed: %s",
        request.method,
        request.path[:200],
        code,
        exc_info=error,
        extra={"request_id": request.id, "trace_id": trace_id},
    )
    who = "model" if isinstance(error, errors.ModelFailed) else "service"
    whose = "the" if who == "model" else "its"
    return f"the {who} failed; {whose} log has the reason under the request id {request.id}"


def _entry(problem: errors.Problem) -> dict[str, Any]:
    return {
        "pointer": problem.pointer,
        "column": problem.column,
        "code": problem.code,
        "received": problem.received,
        "expected": problem.expected,
        "message": problem.message,
    }
