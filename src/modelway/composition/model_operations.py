"""Operations on registered models: which there are, and which version an alias points to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from modelway.composition.control import Control
from modelway.composition.operations import Operation
from modelway.domain.errors import Conflict, InvalidInput, ModelwayError
from modelway.domain.references import ModelReference
from modelway.registry.models import ARCHIVED_BY, ModelVersion
from modelway.registry.promotions import Promotion, Proposal


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


class OfModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model."""

    name: str


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model; or what a run has logged, ``runs:/RUN/path``, for the version registered of it."""

    name: str


class OfVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version of a model: its number, or a reference in any of its forms."""

    name: str
    version: str


class Archive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version that may not answer any more; with ``undo`` it may again."""

    name: str
    version: str
    undo: bool = False


class Promote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A promotion: which version, as a number or a reference, to which alias, and why."""

    name: str
    version: str
    why: str
    alias: str = "champion"


class RollBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A roll-back: of which alias, and why."""

    name: str
    why: str
    alias: str = "champion"


class OfProposal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A promotion that waits for approval."""

    name: str
    id: str


class ShownVersion(msgspec.Struct, frozen=True):
    """A version, and its bundle or why it has none."""

    name: str
    version: str
    aliases: Sequence[str]
    state: str
    stage: str | None
    run_id: str | None
    created_at: Any
    digest: str | None
    no_bundle: str | None
    archived_by: str | None
    tags: dict[str, str]
    description: str


class ShownModel(msgspec.Struct, frozen=True):
    """A model with its versions."""

    name: str
    aliases: dict[str, str]
    versions: Sequence[ShownVersion]
    description: str = ""
    tags: dict[str, str] = {}


def _list(control: Control, _: Nothing, __: str) -> Sequence[Any]:
    shown = []
    for one in control.registry.models():
        model = control.registry.model(one.name)
        versions = control.registry.versions(one.name)
        archived = [found.version for found in versions if found.archived_by is not None]
        shown.append({"name": one.name, "aliases": dict(model.aliases), "archived": archived})
    return shown


def _show(control: Control, of: Named, actor: str) -> ShownModel | ShownVersion:
    if ":" in of.name:  # which no model may have in its name
        return _show_version(control, OfVersion(*control.meanings.version(of.name)), actor)
    model = control.registry.model(of.name)
    versions = [_shown(control, one, model.aliases) for one in control.registry.versions(of.name)]
    return ShownModel(of.name, dict(model.aliases), versions, model.description, dict(model.tags))


def _show_version(control: Control, of: OfVersion, _: str) -> ShownVersion:
    version = control.registry.version(of.name, _number(control, of))
    return _shown(control, version, control.registry.model(of.name).aliases)


def _number(control: Control, of: OfVersion | Promote | Archive) -> str:
    """The number of the version that is meant. Raises as ``Meanings.version`` does."""
    if of.version.isdecimal():
        return ModelReference(of.name, version=of.version).version or ""
    _, number = control.meanings.version(of.version, of.name)
    return number


def _shown(control: Control, one: ModelVersion, aliases: Any) -> ShownVersion:
    links = control.store.links
    return ShownVersion(
        one.name,
        one.version,
        [alias for alias, version in aliases.items() if version == one.version],
        one.state,
        one.stage,
        one.run_id,
        one.created_at,
        links.digest(one.name, one.version),
        links.reason(one.name, one.version),
        one.archived_by,
        dict(one.tags),
        one.description,
    )


def _history(control: Control, of: OfModel, _: str) -> Sequence[Promotion]:
    return control.store.ledger.history(of.name)


def _promote(control: Control, of: Promote, actor: str) -> Promotion | Proposal:
    return control.promoting.promote(of.name, _number(control, of), of.alias, actor, of.why)


def _roll_back(control: Control, of: RollBack, actor: str) -> Promotion:
    return control.promoting.rollback(of.name, of.alias, actor, of.why)


def _proposals(control: Control, of: OfModel, _: str) -> Sequence[Proposal]:
    return control.store.proposals.all(of.name)


def _approve(control: Control, of: OfProposal, actor: str) -> Promotion:
    _check_of(control, of)
    return control.promoting.approve(of.id, actor)


def _decline(control: Control, of: OfProposal, actor: str) -> Proposal:
    _check_of(control, of)
    return control.promoting.decline(of.id, actor)


def _check_of(control: Control, of: OfProposal) -> None:
    found = control.store.proposals.find(of.id)
    if found.model != of.name:
        raise InvalidInput(f"the promotion {of.id} is one of {found.model}, not of {of.name}")


def _archive(control: Control, of: Archive, actor: str) -> ShownVersion:
    found = OfVersion(of.name, _number(control, of))
    control.registry.version(found.name, found.version)
    if of.undo:
        control.registry.set_tags(found.name, found.version, {ARCHIVED_BY: None})
        control.store.links.restore(found.name, found.version)
        control.registered.bundle(found.name, found.version, lambda _: None)
    else:
        _check_unused(control, found)
        # The store first: what is being promoted meanwhile is refused there, or refuses this.
        control.store.links.withdraw(found.name, found.version, f"{actor} has archived it")
        control.registry.set_tags(found.name, found.version, {ARCHIVED_BY: actor})
    return _show_version(control, found, actor)


def _delete(control: Control, of: OfVersion, actor: str) -> OfVersion:
    found = OfVersion(of.name, _number(control, of))
    if of.version == of.name:
        raise InvalidInput(
            f"{of.name} is a model, and a version is deleted by its own name",
            hint=f"the newest is {found.name}:{found.version}",
        )
    control.registry.version(found.name, found.version)
    _check_unused(control, found)
    control.store.links.withdraw(found.name, found.version, f"{actor} has deleted it")
    control.registry.delete(found.name, found.version)
    return found


def _check_unused(control: Control, of: OfVersion) -> None:
    """Raises Conflict where an alias or an endpoint refers to a version, and names them."""
    shown = control.registry.model(of.name).aliases.items()
    entered = [(one.alias, one.to_version) for one in control.store.ledger.current(of.name)]
    aliases = {alias for alias, version in (*shown, *entered) if version == of.version}
    users = [f"{of.name}@{alias}" for alias in sorted(aliases)]
    users += [f"the endpoint {name}" for name in _endpoints_on(control, of)]
    if users:
        raise Conflict(
            f"{of.name}:{of.version} is in use: by {', '.join(users)}",
            hint="promote another version, or change the endpoint, first",
        )


def _endpoints_on(control: Control, of: OfVersion) -> Iterator[str]:
    """The endpoints of which something refers to a version."""
    resolver = control.resolver()

    def means_it(reference: str) -> bool:
        try:
            return resolver.number(reference) == (of.name, of.version)
        except ModelwayError:  # it means nothing now
            return False

    for revision in control.rollouts.all():
        if revision.endpoint and any(means_it(one) for one in revision.endpoint.references):
            yield revision.name


def _bundle(control: Control, of: OfVersion, _: str) -> ShownVersion:
    of = OfVersion(of.name, _number(control, of))
    control.registry.version(of.name, of.version).check_not_archived()
    control.registered.bundle(of.name, of.version, lambda _: None)
    return _show_version(control, of, "")


LIST = Operation("GET", "/registry", Nothing, _list)
SHOW = Operation("GET", "/registry/{name}", Named, _show)
SHOW_VERSION = Operation("GET", "/registry/{name}/versions/{version}", OfVersion, _show_version)
HISTORY = Operation("GET", "/registry/{name}/history", OfModel, _history)
PROPOSALS = Operation("GET", "/registry/{name}/proposals", OfModel, _proposals)
PROMOTE = Operation("POST", "/registry/{name}/promote", Promote, _promote, "model.promote")
ROLL_BACK = Operation("POST", "/registry/{name}/rollback", RollBack, _roll_back, "model.rollback")
APPROVE = Operation(
    "POST", "/registry/{name}/proposals/{id}/approve", OfProposal, _approve, "proposal.approve"
)
DECLINE = Operation(
    "POST", "/registry/{name}/proposals/{id}/decline", OfProposal, _decline, "proposal.decline"
)
BUNDLE = Operation(
    "POST", "/registry/{name}/versions/{version}/bundle", OfVersion, _bundle, "model.bundle"
)
ARCHIVE = Operation(
    "POST", "/registry/{name}/versions/{version}/archive", Archive, _archive, "model.archive"
)
DELETE = Operation(
    "DELETE", "/registry/{name}/versions/{version}", OfVersion, _delete, "model.delete"
)

MODEL_OPERATIONS = (
    *(LIST, SHOW, SHOW_VERSION, HISTORY, PROPOSALS, PROMOTE, ROLL_BACK, APPROVE, DECLINE),
    *(BUNDLE, ARCHIVE, DELETE),
)
