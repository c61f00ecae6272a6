"""Errors as gRPC statuses: the only table of which error has which code.

What a client may know of a model's failure is that it failed; the reason is in the log, under the
call's id. Of values that do not fit every problem is said, as far as a status has room: clients
take 8 KiB of metadata in all, in which a character that is not plain ASCII takes up to twelve.

Source: gRPC, "Status codes and their use in gRPC" and "gRPC over HTTP2", Status-Message.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from grpc import StatusCode

from modelway.domain import errors

INTERNAL = "internal-error"
"""The code of a fault of our own: anything raised that is no ModelwayError."""

STATUSES: Mapping[type[errors.ModelwayError], StatusCode] = {
    errors.ModelwayError: StatusCode.INTERNAL,
    errors.InvalidInput: StatusCode.INVALID_ARGUMENT,
    errors.SignatureMismatch: StatusCode.INVALID_ARGUMENT,
    errors.InputRefused: StatusCode.INVALID_ARGUMENT,
    errors.TooManyErrors: StatusCode.INVALID_ARGUMENT,
    errors.MalformedPayload: StatusCode.INVALID_ARGUMENT,
    errors.PayloadTooLarge: StatusCode.RESOURCE_EXHAUSTED,
    errors.HeadTooLarge: StatusCode.RESOURCE_EXHAUSTED,
    errors.RequestIncomplete: StatusCode.DEADLINE_EXCEEDED,
    errors.UnsupportedMedia: StatusCode.INVALID_ARGUMENT,
    errors.NotAcceptable: StatusCode.INVALID_ARGUMENT,
    errors.IdempotencyKeyReused: StatusCode.INVALID_ARGUMENT,
    errors.CallbackRefused: StatusCode.INVALID_ARGUMENT,
    errors.InvalidName: StatusCode.INVALID_ARGUMENT,
    errors.InvalidSource: StatusCode.INVALID_ARGUMENT,
    errors.InvalidSignature: StatusCode.INVALID_ARGUMENT,
    errors.NotFound: StatusCode.NOT_FOUND,
    errors.EndpointNotFound: StatusCode.NOT_FOUND,
    errors.ModelNotFound: StatusCode.NOT_FOUND,
    errors.VersionNotFound: StatusCode.NOT_FOUND,
    errors.AliasNotFound: StatusCode.NOT_FOUND,
    errors.RunNotFound: StatusCode.NOT_FOUND,
    errors.KeyNotFound: StatusCode.NOT_FOUND,
    errors.ProposalNotFound: StatusCode.NOT_FOUND,
    errors.PredictionNotFound: StatusCode.NOT_FOUND,
    errors.JobNotFound: StatusCode.NOT_FOUND,
    errors.UploadNotFound: StatusCode.NOT_FOUND,
    errors.ScheduleNotFound: StatusCode.NOT_FOUND,
    errors.ResultNotFound: StatusCode.NOT_FOUND,
    errors.RouteNotFound: StatusCode.UNIMPLEMENTED,
    errors.SourceNotFound: StatusCode.NOT_FOUND,
    errors.MethodNotAllowed: StatusCode.UNIMPLEMENTED,
    errors.Conflict: StatusCode.FAILED_PRECONDITION,
    errors.TargetExists: StatusCode.ALREADY_EXISTS,
    errors.ResumeMismatch: StatusCode.ALREADY_EXISTS,
    errors.PromotionConflict: StatusCode.ABORTED,
    errors.EndpointChanged: StatusCode.ABORTED,
    errors.ProposalDecided: StatusCode.FAILED_PRECONDITION,
    errors.IdempotencyMismatch: StatusCode.ALREADY_EXISTS,
    errors.IllegalTransition: StatusCode.FAILED_PRECONDITION,
    errors.NotReplayable: StatusCode.FAILED_PRECONDITION,
    errors.NotPermitted: StatusCode.PERMISSION_DENIED,
    errors.Unauthenticated: StatusCode.UNAUTHENTICATED,
    errors.Forbidden: StatusCode.PERMISSION_DENIED,
    errors.Untrusted: StatusCode.PERMISSION_DENIED,
    errors.DigestMismatch: StatusCode.PERMISSION_DENIED,
    errors.UnsafeFormat: StatusCode.PERMISSION_DENIED,
    errors.UntrustedRegistry: StatusCode.PERMISSION_DENIED,
    errors.ModelFailed: StatusCode.INTERNAL,
    errors.BuildFailed: StatusCode.INTERNAL,
    errors.NotCompilable: StatusCode.INTERNAL,
    errors.LoadFailed: StatusCode.INTERNAL,
    errors.PredictFailed: StatusCode.INTERNAL,
    errors.ModelCrashed: StatusCode.INTERNAL,  # not UNAVAILABLE: clients repeat that unasked
    errors.OutputInvalid: StatusCode.INTERNAL,
    errors.Overloaded: StatusCode.UNAVAILABLE,
    errors.QueueFull: StatusCode.UNAVAILABLE,
    errors.RateLimited: StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlineExceeded: StatusCode.DEADLINE_EXCEEDED,
    errors.OutOfMemory: StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: StatusCode.UNAVAILABLE,
    errors.NotReady: StatusCode.UNAVAILABLE,
    errors.WorkerDied: StatusCode.UNAVAILABLE,
    errors.RegistryUnavailable: StatusCode.UNAVAILABLE,
    errors.StoreUnavailable: StatusCode.UNAVAILABLE,
    errors.InvalidSettings: StatusCode.INTERNAL,
    errors.UnknownSetting: StatusCode.INTERNAL,
    errors.BadValue: StatusCode.INTERNAL,
    errors.MissingExtra: StatusCode.INTERNAL,
    errors.PortInUse: StatusCode.INTERNAL,
    errors.HomeTooNew: StatusCode.INTERNAL,
}

_MOST_BYTES = 4096
_ESCAPED_BYTES = 3

_log = logging.getLogger("modelway.grpc")


@dataclass(frozen=True, slots=True)
class Told:
    """What a client is told of an error: the status, our own ``code``, and a sentence."""

    status: StatusCode
    code: str
    message: str


def status_of(kind: type[errors.ModelwayError]) -> StatusCode:
    """The status of an error's class: its own row, or the nearest above it."""
    return next(STATUSES[one] for one in kind.__mro__ if one in STATUSES)


def told(error: Exception, method: str, call_id: str, trace_id: str = "") -> Told:
    """What to say of an error; what is the service's own fault goes to the log."""
    code = INTERNAL
    if isinstance(error, errors.ModelwayError):
        code, status = error.code, status_of(type(error))
        if status is not StatusCode.INTERNAL:
            return Told(status, code, _bounded(_said(error)))
    extra = {"request_id": call_id, "trace_id": trace_id or None}
    _log.error("%s failed: %s", method, code, exc_info=error, extra=extra)
    who = "the model" if isinstance(error, errors.ModelFailed) else "the service"
    reason = f"{who} failed; the log has the reason under the request id {call_id}"
    return Told(StatusCode.INTERNAL, code, reason)


def _said(error: errors.ModelwayError) -> str:
    text = error.message
    if isinstance(error, errors.SignatureMismatch):
        text = "; ".join(one.message for one in error.problems)
        if error.total > len(error.problems):
            text += f"; and {error.total - len(error.problems)} more"
    text = text if error.hint is None else f"{text} ({error.hint})"
    return text.encode("utf-8", "replace").decode()  # half a character cannot be sent


def _bounded(text: str) -> str:
    """The text as far as it takes ``_MOST_BYTES`` bytes on its way."""
    taken = 0
    for k, character in enumerate(text):
        plain = " " <= character <= "~" and character != "%"
        taken += 1 if plain else _ESCAPED_BYTES * len(character.encode())
        if taken > _MOST_BYTES:
            return text[:k] + "..."
    return text
