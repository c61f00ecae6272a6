"""Operations on registered models: which there are, and which version an alias points to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from modelway.composition.control import Control
from modelway.composition.operations import Operation
from modelway.domain.errors import InvalidInput
from modelway.registry.models import ModelVersion
from modelway.registry.promotions import Promotion, Proposal


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


class OfModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model."""

    name: str


class OfVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version of a model."""

    name: str
    version: str


class Promote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A promotion: which version, to which alias, and why."""

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
        shown.append({"name": one.name, "aliases": dict(model.aliases)})
    return shown


def _show(control: Control, of: OfModel, _: str) -> ShownModel:
    model = control.registry.model(of.name)
    versions = [_shown(control, one, model.aliases) for one in control.registry.versions(of.name)]
    return ShownModel(of.name, dict(model.aliases), versions, model.description, dict(model.tags))


def _show_version(control: Control, of: OfVersion, _: str) -> ShownVersion:
    version = control.registry.version(of.name, of.version)
    return _shown(control, version, control.registry.model(of.name).aliases)


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
        dict(one.tags),
        one.description,
    )


def _history(control: Control, of: OfModel, _: str) -> Sequence[Promotion]:
    return control.store.ledger.history(of.name)


def _promote(control: Control, of: Promote, actor: str) -> Promotion | Proposal:
    control.registered.bundle(of.name, of.version, lambda _: None)
    return control.promoting.promote(of.name, of.version, of.alias, actor, of.why)


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


def _archive(control: Control, of: OfVersion, actor: str) -> ShownVersion:
    version = control.registry.version(of.name, of.version)
    _check_unused(control, of)
    control.registry.set_tags(of.name, version.version, {"modelway.archived_by": actor})
    return _show_version(control, of, actor)


def _delete(control: Control, of: OfVersion, _: str) -> OfVersion:
    _check_unused(control, of)
    control.registry.delete(of.name, of.version)
    return of


def _check_unused(control: Control, of: OfVersion) -> None:
    """Raises InvalidInput where an alias points to the version: something may answer by it."""
    model = control.registry.model(of.name)
    aliases = [alias for alias, version in model.aliases.items() if version == of.version]
    if aliases:
        raise InvalidInput(
            f"{of.name}:{of.version} is {', '.join(aliases)}",
            hint="promote another version first",
        )


def _bundle(control: Control, of: OfVersion, _: str) -> ShownVersion:
    control.registered.bundle(of.name, of.version, lambda _: None)
    return _show_version(control, of, "")


LIST = Operation("GET", "/registry", Nothing, _list)
SHOW = Operation("GET", "/registry/{name}", OfModel, _show)
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
    "POST", "/registry/{name}/versions/{version}/archive", OfVersion, _archive, "model.archive"
)
DELETE = Operation(
    "DELETE", "/registry/{name}/versions/{version}", OfVersion, _delete, "model.delete"
)

MODEL_OPERATIONS = (
    *(LIST, SHOW, SHOW_VERSION, HISTORY, PROPOSALS, PROMOTE, ROLL_BACK, APPROVE, DECLINE),
    *(BUNDLE, ARCHIVE, DELETE),
)
