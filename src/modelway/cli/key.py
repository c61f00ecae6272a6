"""``modelway key``: who may do what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from modelway.access.keys import Scope
from modelway.cli.rendering import json_option, show, table
from modelway.cli.target import on_target
from modelway.composition import key_operations as operations
from modelway.composition.operating import Target

_COLUMNS = ("id", "name", "scopes", "endpoints", "rate_per_s", "created_at", "used_at")


@click.group("key")
def command() -> None:
    """Keys: create, list, revoke; who did what."""


@command.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    metavar="SCOPE",
    help=f"What it allows, as often as needed: {', '.join(Scope)}.",
)
@click.option(
    "--endpoint", "endpoints", multiple=True, metavar="PATTERN", help="Only these: loan, loan-*."
)
@click.option("--rate", "rate_per_s", type=float, help="Requests a second in each worker.")
@on_target
@json_option
def create_command(target: Target, as_json: bool, **given: Any) -> None:
    """Make a key, and show it once; nobody can show it again."""
    show(target.carry_out(operations.CREATE, **given), _made_text, as_json=as_json)


@command.command("list")
@on_target
@json_option
def list_command(target: Target, as_json: bool) -> None:
    """Show every key, what it allows, and when it was used last."""
    found = target.carry_out(operations.LIST)
    columns = (*_COLUMNS, "revoked_at")
    show(found, lambda rows: table(rows, columns), as_json=as_json)


@command.command("revoke")
@click.argument("id")
@on_target
@json_option
def revoke_command(id: str, target: Target, as_json: bool) -> None:
    """Have a key allow nothing any more."""
    found = target.carry_out(operations.REVOKE, id=id)
    show(found, lambda one: f"{one['id']} allows nothing any more", as_json=as_json)


@command.command("audit")
@click.option("--limit", type=int, help="So many, the newest (100).")
@on_target
@json_option
def audit_command(limit: int | None, target: Target, as_json: bool) -> None:
    """Show who administered what, the newest first."""
    found = target.carry_out(operations.AUDIT, limit=limit)
    columns = ("at", "actor", "act", "subject", "outcome", "detail")
    show(found, lambda rows: table(rows, columns), as_json=as_json)


def _made_text(key: Mapping[str, Any]) -> str:
    return f"{key['key']}\n\nThis is shown once. It allows {', '.join(key['scopes'])}."
