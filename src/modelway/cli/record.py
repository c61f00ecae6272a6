"""``modelway record``: what was predicted."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from modelway.cli.asking import confirmed, yes_option
from modelway.cli.rendering import counted, json_option, show, table
from modelway.cli.target import on_target
from modelway.composition import record_operations as operations
from modelway.composition.operating import Target
from modelway.domain.errors import InvalidInput

_SHOWN = ("row", "endpoint", "version", "role", "event_time", "status", "inputs", "outputs")


@click.group("record")
def command() -> None:
    """Records: query, show, export, erase, and how many have labels."""


@command.command("query")
@click.argument("sql")
@click.option("--limit", type=int, help="So many rows at most (1000).")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead of a table.")
@on_target
@json_option
def query_command(sql: str, limit: int | None, as_csv: bool, target: Target, as_json: bool) -> None:
    """Ask with one SELECT: over predictions, labels, labelled, and each endpoint by its name."""
    found = target.carry_out(operations.QUERY, sql=sql, limit=limit)
    show(found, _csv if as_csv else _table, as_json=as_json)
    if found["truncated"]:
        click.echo(
            f"these are the first {len(found['rows'])} rows; record export writes all", err=True
        )


@command.command("show")
@click.argument("id")
@on_target
@json_option
def show_command(id: str, target: Target, as_json: bool) -> None:
    """Show what is recorded of a prediction, or of a row of it: ID:k."""
    found = target.carry_out(operations.SHOW, id=id)
    show(found, lambda rows: "\n\n".join(map(_record_text, rows)), as_json=as_json)


@command.command("export")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--sql", help="What is written: one SELECT (all predictions).")
@click.option(
    "--format",
    "form",
    type=click.Choice(["parquet", "csv", "jsonl"]),
    help="Form of the file (what its name says).",
)
@on_target
@json_option
def export_command(path: Path, target: Target, as_json: bool, **given: Any) -> None:
    """Write records to a file: .parquet, .csv or .jsonl."""
    if target.server:
        raise InvalidInput(
            "records are exported where they are, not by another host's administration",
            hint="run it there, or fetch some rows with modelway record query --csv",
        )
    found = target.carry_out(operations.EXPORT, path=str(path), **given)
    show(found, lambda one: f"{counted(one['rows'], 'row')} in {one['path']}", as_json=as_json)


@command.command("coverage")
@on_target
@json_option
def coverage_command(target: Target, as_json: bool) -> None:
    """Show which share of the predictions has labels, by age."""
    found = target.carry_out(operations.COVERAGE)
    columns = ("endpoint", "age", "predicted", "labelled", "share")
    show(found, lambda rows: table(rows, columns), as_json=as_json)


@command.command("erase")
@click.option("--column", required=True, help="Column of the inputs, principal or prediction_id.")
@click.option("--value", required=True, help="Records with this value go.")
@yes_option
@on_target
@json_option
def erase_command(column: str, value: str, yes: bool, target: Target, as_json: bool) -> None:
    """Remove a person's records, and their labels and jobs, for good."""
    confirmed(f"Remove every record whose {column} is {value!r}, for good?", yes=yes)
    found = target.carry_out(operations.ERASE, column=column, value=value)
    show(
        found,
        lambda one: (
            f"{one['records']} records of {one['predictions']} predictions, "
            f"{one['labels']} labels and {one['jobs']} jobs are gone"
        ),
        as_json=as_json,
    )


@command.command("compact")
@on_target
@json_option
def compact_command(target: Target, as_json: bool) -> None:
    """Seal what was written, and merge the small files of past days."""
    found = target.carry_out(operations.COMPACT)
    show(
        found,
        lambda one: f"{one['sealed']} records sealed, {one['merged']} files merged away",
        as_json=as_json,
    )


@command.command("retain")
@click.option("--days", type=int, help="Days that are kept (records.keep_days).")
@click.option("--bytes", "n_bytes", type=int, help="Bytes that are kept (records.keep_bytes).")
@on_target
@json_option
def retain_command(target: Target, as_json: bool, **given: Any) -> None:
    """Remove records that are too old or too many, now."""
    found = target.carry_out(operations.RETAIN, **given)
    show(found, lambda one: f"{one['removed']} files removed", as_json=as_json)


def _table(found: Mapping[str, Any]) -> str:
    names = _unique(found["columns"])
    rows = [
        {name: _cell(value) for name, value in zip(names, row, strict=True)}
        for row in found["rows"]
    ]
    return table(rows, names)


def _csv(found: Mapping[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(found["columns"])
    writer.writerows([_cell(value) for value in row] for row in found["rows"])
    return text.getvalue().removesuffix("\n")


def _record_text(record: Mapping[str, Any]) -> str:
    lines = [record["prediction_id"]]
    for name in (*_SHOWN, *(one for one in record if one not in _SHOWN)):
        value = record.get(name)
        if value is not None and name not in ("prediction_id", "columns"):
            lines.append(f"  {name:14}  {_cell(value)}")
    kept = [f"{one['name']} {one['form']}" for one in record["columns"] if one["form"] != "kept"]
    return "\n".join([*lines, *([f"  {'not kept':14}  {', '.join(kept)}"] if kept else [])])


def _cell(value: Any) -> Any:
    """What is nested, as JSON."""
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return value


def _unique(names: Sequence[str]) -> list[str]:
    """The names, those that came before with a number behind."""
    found: list[str] = []
    for name in names:
        unique, number = name, 2
        while unique in found:
            unique, number = f"{name}_{number}", number + 1
        found.append(unique)
    return found
