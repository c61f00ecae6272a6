"""``modelway label``: what turned out to be true."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from modelway.cli.exits import USAGE
from modelway.cli.rendering import counted, json_option, show, table
from modelway.cli.target import on_target
from modelway.composition import label_operations as operations
from modelway.composition.label_import import import_labels
from modelway.composition.operating import Target
from modelway.records.labelling import value_in

_COLUMNS = ("prediction_id", "row", "value", "at", "source", "revision")
_MOST_LINES = 20

text_option = click.option("--text", is_flag=True, help="Take values as text, also 1 and true.")


@click.group("label")
def command() -> None:
    """Labels: add, confirm, decline, import."""


@command.command("add")
@click.argument("id")
@click.argument("value")
@click.option("--at", metavar="TIME", help="Since when, with its zone: 2026-05-17T12:00Z (now).")
@click.option("--source", help="Who says so (you).")
@text_option
@on_target
@json_option
def add_command(
    value: str, text: bool, target: Target, as_json: bool, id: str, **given: Any
) -> None:
    """Say what was true of a prediction, or of a row of it: ID:k."""
    said = value if text else value_in(value)
    found = target.carry_out(operations.ADD, prediction_id=id, value=said, **given)
    show(found, _text, as_json=as_json)


@command.command("confirm")
@click.argument("id")
@click.option("--source", help="Who says so (you).")
@on_target
@json_option
def confirm_command(id: str, source: str | None, target: Target, as_json: bool) -> None:
    """Say that a prediction was right."""
    found = target.carry_out(operations.ADD, prediction_id=id, verdict="confirm", source=source)
    show(found, _text, as_json=as_json)


@command.command("decline")
@click.argument("id")
@click.argument("value", required=False)
@click.option("--source", help="Who says so (you).")
@text_option
@on_target
@json_option
def decline_command(
    id: str, value: str | None, source: str | None, text: bool, target: Target, as_json: bool
) -> None:
    """Say that a prediction was wrong; of more than two classes, say which VALUE was true."""
    given: dict[str, Any] = {}
    if value is not None:
        given["value"] = value if text else value_in(value)
    found = target.carry_out(
        operations.ADD, prediction_id=id, verdict="decline", source=source, **given
    )
    show(found, _text, as_json=as_json)


@command.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@text_option
@on_target
@json_option
def import_command(path: Path, text: bool, target: Target, as_json: bool) -> int:
    """Import labels from a CSV file: prediction_id, value and, if known, row, at, source.

    Bad rows are said with their line, and the others are imported; then it ends with 2.
    """
    sent = partial(target.carry_out, operations.ADD)
    length = path.stat().st_size if path.is_file() else 0
    # A bar would stand among JSON's lines where both go to the terminal.
    shows_bar = sys.stderr.isatty() and not as_json
    bar = click.progressbar(length=length, file=sys.stderr) if shows_bar else nullcontext()
    with bar as shown:
        done = import_labels(
            path,
            lambda labels: sent(labels=labels),
            as_text=text,
            progress=int if shown is None else shown.update,
        )
    show(msgspec.to_builtins(done), _imported_text, as_json=as_json)
    for row in done.bad_rows[:_MOST_LINES]:
        click.echo(f"line {row.line}: {row.error}", err=True)
    if done.bad > _MOST_LINES:
        click.echo(f"and {done.bad - _MOST_LINES} more", err=True)
    return USAGE if done.bad else 0


def _text(added: Mapping[str, Any]) -> str:
    return table(added["labels"], _COLUMNS)


def _imported_text(done: Mapping[str, Any]) -> str:
    bad = f", not imported: {counted(done['bad'], 'bad row')}" if done["bad"] else ""
    return f"imported {counted(done['imported'], 'label')}{bad}"
