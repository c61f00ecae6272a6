"""Operations on endpoints: what answers under a name, in which role, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from modelway.composition.control import Control
from modelway.composition.model_operations import Nothing
from modelway.composition.operations import Operation
from modelway.domain.errors import Conflict, ModelwayError
from modelway.endpoints.endpoint import Bounds, Endpoint, Revision, Role, remote_name
from modelway.endpoints.rollouts import of_model
from modelway.endpoints.trials import Judged, Trials

Value = TypeVar("Value")


class OfEndpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An endpoint."""

    name: str


class Create(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new endpoint; ``split_by`` is ``header:NAME`` or ``field:COLUMN``."""

    name: str
    live: str
    split_by: str = ""
    automatic: bool = False
    why: str = ""


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different of an endpoint; None stays as it is."""

    name: str
    live: str | None = None
    split_by: str | None = None
    automatic: bool | None = None
    error_ratio: float | None = None
    latency_ratio: float | None = None
    requests: int | None = None
    why: str = ""


class SetCanary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version that answers a share of the requests; ``weight`` is within (0, 1)."""

    name: str
    reference: str
    weight: float
    why: str = ""


class OfReference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A canary or a shadow of an endpoint."""

    name: str
    reference: str
    why: str = ""


class Remove(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An endpoint that is to answer no more."""

    name: str
    why: str = ""


class Resolved(msgspec.Struct, frozen=True):
    """A reference and the version it means now; ``trouble`` where that cannot answer."""

    reference: str
    role: str
    version: str | None
    digest: str | None
    weight: float | None = None
    trouble: str | None = None


class ShownEndpoint(msgspec.Struct, frozen=True):
    """An endpoint as it is, with every reference resolved."""

    name: str
    revision: int
    versions: Sequence[Resolved]
    split_by: str
    automatic: bool
    changed_by: str
    changed_at: Any
    why: str


def named(control: Control, text: str, before: Endpoint | None = None) -> str:
    """A reference as an endpoint keeps it, written in any way; a remote is named in one only.

    ``before`` is how the endpoint is now.

    Raises:
        InvalidName, RegistryUnavailable, NotFound: as ``Meanings.followed`` does.
        Conflict: it is a version that the endpoint does not name yet and of which it is known that
            it cannot answer: it is archived, was deleted, or could not be bundled.
    """
    if remote_name(text) is not None:
        return text
    reference = control.meanings.followed(text)
    found = of_model(reference)
    if found.version is None or (before is not None and reference in before.references):
        return reference
    reason = control.store.links.reason(found.name, found.version)
    if reason is not None:
        raise Conflict(
            f"{reference} cannot answer: {reason}",
            hint=f"modelway model show {reference} tells more; modelway model bundle {reference} "
            "tries again",
        )
    return reference


def _list(control: Control, _: Nothing, __: str) -> Sequence[ShownEndpoint]:
    return [_shown(control, one) for one in control.rollouts.all()]


def _show(control: Control, of: OfEndpoint, _: str) -> ShownEndpoint:
    return _shown(control, control.rollouts.show(of.name))


def _history(control: Control, of: OfEndpoint, _: str) -> Sequence[Revision]:
    return control.rollouts.history(of.name)


def _create(control: Control, of: Create, actor: str) -> ShownEndpoint:
    live = named(control, of.live)
    endpoint = Endpoint(of.name, live, split_by=of.split_by, automatic=of.automatic)
    return _shown(control, control.rollouts.create(endpoint, actor, of.why))


def _change(control: Control, of: Change, actor: str) -> ShownEndpoint:
    before = control.rollouts.show(of.name).endpoint
    live = None if of.live is None else named(control, of.live, before)

    def change(one: Endpoint) -> Endpoint:
        bounds = Bounds(
            _or(of.error_ratio, one.bounds.error_ratio),
            _or(of.latency_ratio, one.bounds.latency_ratio),
            _or(of.requests, one.bounds.requests),
        )
        return replace(
            one,
            live=_or(live, one.live),
            split_by=_or(of.split_by, one.split_by),
            automatic=_or(of.automatic, one.automatic),
            bounds=bounds,
        )

    return _shown(control, control.rollouts.change(of.name, change, actor, of.why))


def _or(given: Value | None, before: Value) -> Value:
    return before if given is None else given


def _canary(control: Control, of: SetCanary, actor: str) -> ShownEndpoint:
    reference = named(control, of.reference, control.rollouts.show(of.name).endpoint)
    made = control.rollouts.canary(of.name, reference, of.weight, actor, of.why)
    return _shown(control, made)


def _shadow(control: Control, of: OfReference, actor: str) -> ShownEndpoint:
    reference = named(control, of.reference, control.rollouts.show(of.name).endpoint)
    return _shown(control, control.rollouts.shadow(of.name, reference, actor, of.why))


def _end(control: Control, of: OfReference, actor: str) -> ShownEndpoint:
    endpoint, reference = control.rollouts.show(of.name).endpoint, of.reference
    # What cannot answer is ended like anything else, also while nobody can look it up.
    if endpoint is None or reference not in endpoint.references:
        reference = reference if remote_name(reference) else control.meanings.followed(reference)
    return _shown(control, control.rollouts.end(of.name, reference, actor, of.why))


def _remove(control: Control, of: Remove, actor: str) -> Revision:
    return control.rollouts.remove(of.name, actor, of.why)


def _shown(control: Control, revision: Revision) -> ShownEndpoint:
    endpoint = revision.endpoint or Endpoint(revision.name, "")
    resolver = control.resolver()

    def resolved(reference: str, role: str, weight: float | None = None) -> Resolved:
        version = digest = trouble = None
        try:
            if role == Role.SHADOW and remote_name(reference) is not None:
                return Resolved(reference, role, resolver.remote(reference).reference, None)
            model, version = resolver.number(reference)
            digest = control.store.links.digest(model, version)
            resolver.version(reference)
        except ModelwayError as error:
            trouble = error.message
        return Resolved(reference, role, version, digest, weight, trouble)

    return ShownEndpoint(
        name=revision.name,
        revision=revision.number,
        versions=[
            resolved(endpoint.live, "live"),
            *(resolved(one.reference, "canary", one.weight) for one in endpoint.canaries),
            *(resolved(one, "shadow") for one in endpoint.shadows),
        ],
        split_by=endpoint.split_by,
        automatic=endpoint.automatic,
        changed_by=revision.actor,
        changed_at=revision.at,
        why=revision.why,
    )


class JudgedEndpoint(msgspec.Struct, frozen=True):
    """The canaries and shadows of an endpoint as they are judged.

    ``verdicts`` are those on what is on trial now, ``waiting`` are references on which there is
    none yet. ``earlier`` are the last verdicts on references that are on trial no more.
    """

    name: str
    automatic: bool
    bounds: Bounds
    verdicts: Sequence[Judged]
    waiting: Sequence[str]
    earlier: Sequence[Judged]


def _verdict(control: Control, of: OfEndpoint, _: str) -> JudgedEndpoint:
    endpoint = control.rollouts.show(of.name).endpoint or Endpoint(of.name, "")
    store = control.store
    trials = Trials(store.endpoints, store.ledger, store.links).now()
    keys = {one.key for one in trials if one.endpoint.name == of.name}
    references = [*(one.reference for one in endpoint.canaries), *endpoint.shadows]
    found = store.trials.judged(of.name)
    now = [one for one in found if one.reference in references and one.trial in keys]
    judged = {one.reference for one in now}
    return JudgedEndpoint(
        name=of.name,
        automatic=endpoint.automatic,
        bounds=endpoint.bounds,
        verdicts=now,
        waiting=[one for one in references if one not in judged],
        earlier=[one for one in found if one not in now],
    )


LIST = Operation("GET", "/endpoints", Nothing, _list)
SHOW = Operation("GET", "/endpoints/{name}", OfEndpoint, _show)
VERDICT = Operation("GET", "/endpoints/{name}/verdict", OfEndpoint, _verdict)
HISTORY = Operation("GET", "/endpoints/{name}/history", OfEndpoint, _history)
CREATE = Operation("POST", "/endpoints", Create, _create, "endpoint.create")
CHANGE = Operation("PUT", "/endpoints/{name}", Change, _change, "endpoint.change")
CANARY = Operation("POST", "/endpoints/{name}/canary", SetCanary, _canary, "endpoint.canary")
END_CANARY = Operation(
    "DELETE", "/endpoints/{name}/canary", OfReference, _end, "endpoint.end-canary"
)
SHADOW = Operation("POST", "/endpoints/{name}/shadow", OfReference, _shadow, "endpoint.shadow")
END_SHADOW = Operation(
    "DELETE", "/endpoints/{name}/shadow", OfReference, _end, "endpoint.end-shadow"
)
REMOVE = Operation("DELETE", "/endpoints/{name}", Remove, _remove, "endpoint.remove")

ENDPOINT_OPERATIONS = (
    *(LIST, SHOW, VERDICT, HISTORY, CREATE, CHANGE, CANARY, END_CANARY, SHADOW, END_SHADOW, REMOVE),
)
