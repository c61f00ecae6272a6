"""``modelway apply``: endpoints as a file declares them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from modelway.cli.asking import confirmed, is_terminal, yes_option
from modelway.cli.rendering import json_option, show
from modelway.cli.target import on_target
from modelway.composition.apply_operation import APPLY
from modelway.composition.operating import Target
from modelway.domain.errors import InvalidInput, SourceNotFound
from modelway.endpoints.declared import declared, read_declared

FILE = "endpoints.toml"

_SIGNS = {"created": "+", "changed": "~", "removed": "-"}


@click.command("apply")
@click.argument("file", type=click.Path(path_type=Path), default=FILE)
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--prune", is_flag=True, help="Remove endpoints that are not in the file.")
@click.option("--why", default="", help="Why; it is kept.")
@yes_option
@on_target
@json_option
def command(
    file: Path, dry_run: bool, prune: bool, why: str, yes: bool, target: Target, as_json: bool
) -> None:
    """Have endpoints be as FILE declares them (endpoints.toml), after showing what changes.

    On a terminal it asks first. Ends with 0 whether anything changed or not.
    """
    given = {"endpoints": _endpoints(file), "prune": prune}
    found = target.carry_out(APPLY, **given, dry_run=True)
    if dry_run or not found["changes"]:
        show(found, _text, as_json=as_json)
        return
    if not yes and is_terminal():
        click.echo(_text(found), err=True)
        confirmed("Change this?", yes=False)
    found = target.carry_out(APPLY, **given, expected=found["revisions"], why=why)
    show(found, _text, as_json=as_json)


def _endpoints(file: Path) -> Any:
    """What stands in the file, looked through. Raises InvalidInput, SourceNotFound."""
    try:
        document = read_declared(file.read_text(encoding="utf-8"))
        declared(document)
    except FileNotFoundError:
        raise SourceNotFound(str(file), hint="modelway apply FILE names another") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read: {error}") from error
    except InvalidInput as error:
        raise InvalidInput(f"{file}: {error.message}", hint=error.hint) from None
    return document.get("endpoints", {})


def _text(found: Mapping[str, Any]) -> str:
    return "\n".join(_lines(found)) or "nothing to change"


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    for change in found["changes"]:
        yield f"{_SIGNS[change['kind']]} {change['name']}"
        for one in change["fields"]:
            before, after = one["before"] or "none", one["after"] or "none"
            said = after if change["kind"] == "created" else f"{before} -> {after}"
            yield f"    {one['field']}: {said}"
