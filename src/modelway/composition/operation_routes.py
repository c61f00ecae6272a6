"""The operations of a home as routes of its administration, each act entered in the audit trail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from modelway.composition.control import Control
from modelway.composition.operations import Operation, carried_out, read_parameters
from modelway.domain.errors import InvalidInput, MalformedPayload
from modelway.rest.http import Answer, Request, Response
from modelway.rest.routes import Route


def operation_routes(
    control: Control, operations: Sequence[Operation[Any]]
) -> list[tuple[str, Route]]:
    """A route for every path, with an answer for each method."""
    by_path: dict[str, dict[str, Answer]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = _answer(control, operation)
    return [(path, Route(**answers)) for path, answers in by_path.items()]


def _answer(control: Control, operation: Operation[Any]) -> Answer:
    async def answer(request: Request) -> Response:
        parameters = read_parameters(operation, _given(operation, request))
        actor = "" if request.principal is None else request.principal.actor

        def carry_out() -> bytes:
            return _encoded(carried_out(control, operation, parameters, actor))

        return Response(await asyncio.to_thread(carry_out))

    return answer


def _given(operation: Operation[Any], request: Request) -> dict[str, Any]:
    """What stands in the path, and in the query or the body."""
    given: dict[str, Any] = {}
    if operation.method == "GET":
        given.update(request.cells())
    elif request.body:
        try:
            found = msgspec.json.decode(request.body)
        except msgspec.MsgspecError as error:
            raise MalformedPayload(f"the body cannot be read: {error}") from None
        if not isinstance(found, dict):
            raise InvalidInput("expected a JSON object")
        given.update(found)
    return {**given, **request.captures}


def _encoded(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=str)
