"""Operations: what can be asked of a home, each once, for the command line and the administration.

An operation has its parameters as one struct, its place in the administration API, and the function
that does it on an opened home. The command line calls that function where the home is here, and the
API of another host with ``--server``; the API calls it for whoever has the scope that
``access/routes.py`` asks for its route. So both do the same, and show the same value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from modelway.access.auditing import Audited
from modelway.access.keys import Key
from modelway.access.permitting import permit_endpoint
from modelway.access.routes import Concerns, Door, rule_of
from modelway.composition.control import Control, now
from modelway.domain.errors import InvalidInput

Parameters = TypeVar("Parameters", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Operation(Generic[Parameters]):
    """One operation; ``act`` is what the audit trail calls it, empty for what changes nothing.

    ``path`` has the parameters in braces that stand in it; of the others those of a GET stand in
    the query, else in a JSON body. ``carry_out`` gives a value that JSON holds; it blocks.
    ``learnt`` is what the trail is to have of that value. ``confine`` raises Forbidden where a key
    is not for what is asked about, as far as that is known only once it was looked up.
    """

    method: str
    path: str
    parameters: type[Parameters]
    carry_out: Callable[[Control, Parameters, str], Any]
    act: str = ""
    learnt: Callable[[Any], Mapping[str, object]] | None = None
    confine: Callable[[Control, Parameters, Key], None] | None = None


def carried_out(
    control: Control,
    operation: Operation[Parameters],
    parameters: Parameters,
    actor: str,
    key: Key | None,
) -> Any:
    """What an operation gives; what changes something is entered in the audit trail, done or not.

    ``key`` is what the actor may, beyond what its route asked for; None has the home itself.

    Raises:
        Forbidden: the key is not for what is asked about.
        ModelwayError: it cannot be done, and why.
    """
    if not operation.act:
        _confine(control, operation, parameters, key)
        return operation.carry_out(control, parameters, actor)
    detail = msgspec.to_builtins(parameters)
    subject = str(detail.get("name", detail.get("id", "")))
    with Audited(control.store.audit, now).act(actor, operation.act, subject, detail) as acting:
        _confine(control, operation, parameters, key)
        value = operation.carry_out(control, parameters, actor)
        if operation.learnt is not None:
            acting.detail.update(operation.learnt(value))
        return value


def _confine(
    control: Control, operation: Operation[Parameters], parameters: Parameters, key: Key | None
) -> None:
    """Do nothing if the key is for what is asked about. Raises Forbidden."""
    if key is None:
        return
    if operation.confine is not None:
        operation.confine(control, parameters, key)
    elif rule_of(Door.ADMINISTRATION, operation.method, operation.path).concerns is Concerns.RECORD:
        permit_endpoint(key, None)  # nobody looks up which one it is


def read_parameters(operation: Operation[Parameters], given: dict[str, Any]) -> Parameters:
    """The parameters of an operation from JSON's types, or from text.

    Raises:
        InvalidInput: one is missing, unknown or of the wrong type.
    """
    try:
        return msgspec.convert(given, operation.parameters, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join(operation.parameters.__struct_fields__)
        raise InvalidInput(
            f"{operation.method} {operation.path}: {error}", hint=f"it takes {known or 'nothing'}"
        ) from None
