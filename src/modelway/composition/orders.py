"""What a supervisor orders its workers, and what they report: lines of standard input and output.

One JSON object a line. The first line a worker is given is its plan; its first report says that it
answers. After that a line is a number, a space and an order, and every order has one report, of the
same number: what takes long is reported late, and what was ordered after it is not behind it.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from modelway.access.keys import Key
from modelway.domain import errors
from modelway.endpoints.planned import PlannedEndpoint
from modelway.inference.ports import ModelState


class Prepare(msgspec.Struct, frozen=True, tag="prepare"):
    """Open every version of an endpoint beside what answers under its name."""

    endpoint: PlannedEndpoint


class Commit(msgspec.Struct, frozen=True, tag="commit"):
    """Have the prepared endpoint answer; a worker that was just starting opens it first."""

    endpoint: PlannedEndpoint


class Discard(msgspec.Struct, frozen=True, tag="discard"):
    """Forget what was prepared."""

    endpoint: PlannedEndpoint


class Remove(msgspec.Struct, frozen=True, tag="remove"):
    """Have nothing answer under ``name``."""

    name: str


class Admit(msgspec.Struct, frozen=True, tag="admit"):
    """Have these keys be the ones that are known."""

    keys: tuple[Key, ...]


class Tell(msgspec.Struct, frozen=True, tag="tell"):
    """Say what was seen since this was last asked."""


class Count(msgspec.Struct, frozen=True, tag="count"):
    """Say what was counted of canaries and shadows since this was last asked."""


class Describe(msgspec.Struct, frozen=True, tag="describe"):
    """Say what is open."""


Order = Prepare | Commit | Discard | Remove | Admit | Tell | Count | Describe


def endpoint_of(order: Order) -> str | None:
    """The endpoint whose orders are carried out in turn, None for what is behind no other."""
    match order:
        case Prepare(endpoint) | Commit(endpoint) | Discard(endpoint):
            return endpoint.name
        case Remove(name):
            return name
        case _:
            return None


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of an order: the live version that was prepared, what is open, or why it failed.

    ``used`` is when keys were used last, by their ids; ``tallies`` are what was
    counted, as JSON: whoever only passes them on need not know what sums are.
    """

    version: str | None = None
    states: tuple[ModelState, ...] = ()
    used: dict[str, datetime] = {}
    tallies: str = ""
    code: str | None = None
    message: str = ""
    hint: str | None = None


def failed(error: errors.ModelwayError) -> Report:
    """The report of an order that could not be carried out."""
    return Report(code=error.code, message=error.message, hint=error.hint)


def raised(report: Report) -> errors.ModelwayError:
    """The error that a report tells of; what only its class carries is not told."""
    kinds = _kinds(errors.ModelwayError)
    kind = next((one for one in kinds if one.code == report.code), errors.ModelwayError)
    error = kind.__new__(kind)
    errors.ModelwayError.__init__(error, report.message, hint=report.hint)
    return error


def _kinds(kind: type[errors.ModelwayError]) -> list[type[errors.ModelwayError]]:
    return [kind, *(one for child in kind.__subclasses__() for one in _kinds(child))]
