"""The operations of a home as routes of its administration, each act entered in the audit trail.

What reads records has places of its own: however long that takes, all else is done meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from modelway.access.keys import Scope
from modelway.access.routes import Door, rule_of
from modelway.composition.control import Control
from modelway.composition.operations import Operation, carried_out, read_parameters
from modelway.composition.working_apart import Desk
from modelway.domain.errors import InvalidInput, MalformedPayload, Unauthenticated
from modelway.rest.http import Answer, Request, Response
from modelway.rest.routes import Route

_AT_ONCE = 4
_WAITING = 32


def operation_routes(
    control: Control, operations: Sequence[Operation[Any]]
) -> list[tuple[str, Route]]:
    """A route for every path, with an answer for each method; all for one event loop."""
    reading = Desk("readings of records", _AT_ONCE, _WAITING, gives_way=True)
    others = Desk("operations", _AT_ONCE, _WAITING)
    by_path: dict[str, dict[str, Answer]] = {}
    for operation in operations:
        desk = reading if _reads_records(operation) else others
        answer = _answer(control, operation, desk)
        by_path.setdefault(operation.path, {})[operation.method] = answer
    return [(path, Route(**answers)) for path, answers in by_path.items()]


def _answer(control: Control, operation: Operation[Any], desk: Desk) -> Answer:
    async def answer(request: Request) -> Response:
        if request.principal is None:
            raise Unauthenticated("nobody was asked who calls: administration needs a key")
        actor, key = request.principal
        parameters = read_parameters(operation, _given(operation, request))

        def carry_out() -> bytes:
            return _encoded(carried_out(control, operation, parameters, actor, key))

        return Response(await desk.ask(carry_out))

    return answer


def _reads_records(operation: Operation[Any]) -> bool:
    rule = rule_of(Door.ADMINISTRATION, operation.method, operation.path)
    return rule.scopes == frozenset((Scope.READ,)) and operation.path.startswith(
        ("/records", "/trace")
    )


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
