"""The operation that has endpoints be as a document declares them, all in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from modelway.composition.control import Control
from modelway.composition.endpoint_operations import named
from modelway.composition.operations import Operation
from modelway.domain.errors import EndpointChanged
from modelway.endpoints.declared import Change, as_declared, changes, declared, meant
from modelway.endpoints.endpoint import Endpoint, Revision


class Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What endpoints are to be: the table that ``endpoints.toml`` has under ``endpoints``.

    With ``prune`` those that are not in it are removed. ``dry_run`` changes nothing. ``expected``
    are the revisions that were looked at, by name: where one is another by now, nothing is changed.
    """

    endpoints: dict[str, Any]
    prune: bool = False
    dry_run: bool = False
    expected: dict[str, int] | None = None
    why: str = ""


class Applied(msgspec.Struct, frozen=True):
    """What is to change, or was; ``revisions`` are those of before, by name."""

    changes: Sequence[Change]
    revisions: Mapping[str, int]
    dry_run: bool


def _apply(control: Control, of: Declared, actor: str) -> Applied:
    found = declared({"endpoints": of.endpoints})
    current = {one.name: one for one in control.rollouts.all()}
    now = {name: one.endpoint for name, one in current.items() if one.endpoint is not None}
    wanted = {
        name: meant(one, partial(named, control, before=now.get(name)))
        for name, one in found.items()
    }
    differing = changes(now, wanted, prune=of.prune)
    revisions = {one.name: current[one.name].number for one in differing if one.name in current}
    if of.expected is not None:
        _check_expected(differing, current, of.expected)
    if not of.dry_run:
        for change in differing:
            _carry_out(
                control, change, now.get(change.name), wanted.get(change.name), actor, of.why
            )
    return Applied(differing, revisions, of.dry_run)


def _check_expected(
    found: Sequence[Change], current: Mapping[str, Revision], expected: Mapping[str, int]
) -> None:
    """Raises EndpointChanged where somebody else was quicker than whoever looked first."""
    for name in {*(change.name for change in found), *expected}:
        number = current[name].number if name in current else 0
        if number != expected.get(name, 0):
            raise EndpointChanged(name)


def _carry_out(
    control: Control,
    change: Change,
    before: Endpoint | None,
    wanted: Endpoint | None,
    actor: str,
    why: str,
) -> None:
    rollouts = control.rollouts
    if wanted is None:
        rollouts.remove(change.name, actor, why)
    elif before is None:
        rollouts.create(wanted, actor, why)
    else:

        def changed(found: Endpoint) -> Endpoint:
            if found != before:
                raise EndpointChanged(change.name)
            return as_declared(found, wanted)

        rollouts.change(change.name, changed, actor, why)


APPLY = Operation("PUT", "/endpoints", Declared, _apply, "endpoint.apply")

APPLY_OPERATIONS = (APPLY,)
