"""Errors as protocols have them that know one message and no list of problems."""

from __future__ import annotations

import msgspec

from modelway.domain.errors import InvalidInput, ModelwayError, SignatureMismatch
from modelway.rest.http import Request, Response
from modelway.rest.problems import refusal_headers, told

_UNPROCESSABLE = 422


def error_text(error: Exception, request: Request) -> Response:
    """``{"error": message}``, as the Open Inference Protocol and TensorFlow Serving have it."""
    status, message = one_message(error, request)
    if isinstance(error, InvalidInput) and error.hint is not None:
        message = f"{message} ({error.hint})"
    content = msgspec.json.encode({"error": message})
    return Response(content, status=status, headers=refusal_headers(error))


def one_message(error: Exception, request: Request) -> tuple[int, str]:
    """Status and message, which names every problem that the error lists.

    What does not fit a signature is 400 there, as every other fault of a request.
    """
    status, _, message = told(error, request)
    if isinstance(error, InvalidInput):
        message = _all_problems(error)
        status = 400 if status == _UNPROCESSABLE else status
    return status, message


def _all_problems(error: ModelwayError) -> str:
    if not isinstance(error, SignatureMismatch):
        return error.message
    more = error.total - len(error.problems)
    listed = "; ".join(problem.message for problem in error.problems)
    return f"{listed}; and {more} more" if more > 0 else listed
