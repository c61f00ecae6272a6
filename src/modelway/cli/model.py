"""``modelway model``: registered models, their versions, and which one an alias points to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from modelway.cli.register import register_command
from modelway.cli.rendering import json_option, show, table
from modelway.cli.target import on_target
from modelway.composition import model_operations as operations
from modelway.composition.operating import Target
from modelway.domain.references import ModelReference, parse_reference

_MOVES = ("number", "alias", "from_version", "to_version", "kind", "actor", "at", "why")


@click.group("model")
def command() -> None:
    """Registered models: register, show, promote, roll back."""


@command.command("list")
@on_target
@json_option
def list_command(target: Target, as_json: bool) -> None:
    """Show every registered model."""
    found = target.carry_out(operations.LIST)
    show(found, lambda rows: table(_flat(rows), ("name", "aliases", "archived")), as_json=as_json)


@command.command("show")
@click.argument("model")
@on_target
@json_option
def show_command(model: str, target: Target, as_json: bool) -> None:
    """Show a model's versions, or one: loan, loan:7, loan@champion, runs:/RUN/path."""
    found = parse_reference(model)
    if isinstance(found, ModelReference) and str(found) == found.name:
        show(target.carry_out(operations.SHOW, name=model), _model_text, as_json=as_json)
        return
    shown = target.carry_out(operations.SHOW_VERSION, **_version(target, model))
    show(shown, _version_text, as_json=as_json)


@command.command("history")
@click.argument("name")
@on_target
@json_option
def history_command(name: str, target: Target, as_json: bool) -> None:
    """Show who moved which alias of a model, when and why."""
    found = target.carry_out(operations.HISTORY, name=name)
    show(found, lambda rows: table(rows, _MOVES), as_json=as_json)


@command.command("promote")
@click.argument("model")
@click.option("--to", "alias", default="champion", help="Alias that is moved (champion).")
@click.option("--why", required=True, help="Why; it is kept.")
@on_target
@json_option
def promote_command(model: str, alias: str, why: str, target: Target, as_json: bool) -> None:
    """Point an alias to a version: loan:7. Endpoints that follow it answer by that version.

    MODEL is loan:7, loan@challenger, models:/loan/7, models:/loan/Staging, runs:/RUN/path, or loan,
    which is its newest version. A version that has no bundle yet is bundled first.
    """
    of = _version(target, model)
    found = target.carry_out(operations.PROMOTE, **of, alias=alias, why=why)
    show(found, _moved_text, as_json=as_json)


@command.command("rollback")
@click.argument("name")
@click.option("--alias", default="champion", help="Alias that is moved back (champion).")
@click.option("--why", required=True, help="Why; it is kept.")
@on_target
@json_option
def rollback_command(name: str, alias: str, why: str, target: Target, as_json: bool) -> None:
    """Point an alias back to the version it had before."""
    found = target.carry_out(operations.ROLL_BACK, name=name, alias=alias, why=why)
    show(found, _moved_text, as_json=as_json)


@command.command("bundle")
@click.argument("model")
@on_target
@json_option
def bundle_command(model: str, target: Target, as_json: bool) -> None:
    """Make a version's bundle: loan:7. Promoting does it as well."""
    found = target.carry_out(operations.BUNDLE, **_version(target, model))
    show(found, _version_text, as_json=as_json)


@command.command("proposals")
@click.argument("name")
@on_target
@json_option
def proposals_command(name: str, target: Target, as_json: bool) -> None:
    """Show promotions to protected aliases, and what became of them."""
    found = target.carry_out(operations.PROPOSALS, name=name)
    columns = (
        "id",
        "alias",
        "from_version",
        "version",
        "actor",
        "why",
        "expires_at",
        "decision",
        "decided_by",
    )
    show(found, lambda rows: table(rows, columns), as_json=as_json)


@command.command("approve")
@click.argument("name")
@click.argument("id")
@on_target
@json_option
def approve_command(name: str, id: str, target: Target, as_json: bool) -> None:
    """Approve a promotion that somebody else has proposed."""
    show(target.carry_out(operations.APPROVE, name=name, id=id), _moved_text, as_json=as_json)


@command.command("decline")
@click.argument("name")
@click.argument("id")
@on_target
@json_option
def decline_command(name: str, id: str, target: Target, as_json: bool) -> None:
    """Decline a promotion that waits."""
    show(target.carry_out(operations.DECLINE, name=name, id=id), _moved_text, as_json=as_json)


@command.command("archive")
@click.argument("model")
@click.option("--undo", is_flag=True, help="Let it answer again.")
@on_target
@json_option
def archive_command(model: str, undo: bool, target: Target, as_json: bool) -> None:
    """Have a version that nothing refers to answer no more: it cannot be promoted or named."""
    found = target.carry_out(operations.ARCHIVE, **_version(target, model), undo=undo)
    show(found, _version_text, as_json=as_json)


@command.command("delete")
@click.argument("model")
@on_target
@json_option
def delete_command(model: str, target: Target, as_json: bool) -> None:
    """Delete a version that no alias and no endpoint refers to; what it answered stays recorded."""
    found = target.carry_out(operations.DELETE, **_version(target, model))
    show(found, lambda one: f"{one['name']}:{one['version']} is deleted", as_json=as_json)


def _version(target: Target, text: str) -> dict[str, str]:
    """The model and the version that a reference names; whoever has the registry looks it up."""
    found = parse_reference(text)
    if isinstance(found, ModelReference):
        return {"name": found.name, "version": found.version or text}
    shown: Any = target.carry_out(operations.SHOW, name=text)
    return {"name": shown["name"], "version": shown["version"]}


def _flat(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**row, "aliases": [f"{alias}={version}" for alias, version in row["aliases"].items()]}
        for row in rows
    ]


def _model_text(model: Mapping[str, Any]) -> str:
    rows = [{**one, "state": _state(one), "bundle": _bundle(one)} for one in model["versions"]]
    return table(rows, ("version", "aliases", "state", "created_at", "bundle"))


def _version_text(one: Mapping[str, Any]) -> str:
    lines = [
        f"{one['name']}:{one['version']}  {', '.join(one['aliases'])}".rstrip(),
        f"  state       {_state(one)}",
        f"  registered  {one['created_at']}",
        f"  run         {one['run_id'] or '-'}",
        f"  bundle      {_bundle(one)}",
    ]
    lines += [f"  {name}  {value}" for name, value in sorted(one["tags"].items())]
    return "\n".join(lines)


def _state(one: Mapping[str, Any]) -> str:
    return f"archived by {one['archived_by']}" if one["archived_by"] else str(one["state"])


def _bundle(one: Mapping[str, Any]) -> str:
    return str(one["digest"] or (f"none: {one['no_bundle']}" if one["no_bundle"] else "not yet"))


def _moved_text(moved: Mapping[str, Any]) -> str:
    if "decision" in moved:
        text = f"{moved['model']}:{moved['version']} to {moved['alias']}: {moved['decision']}"
        if moved["decision"] == "open":
            text += (
                f", until {moved['expires_at']}; somebody else may approve it:\n"
                f"modelway model approve {moved['model']} {moved['id']}"
            )
        return text
    before = moved["from_version"] or "nothing"
    return f"{moved['model']}@{moved['alias']} is version {moved['to_version']}, and was {before}"


command.add_command(register_command(_version_text))
