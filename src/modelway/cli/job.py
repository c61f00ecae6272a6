"""``modelway job``: what was asked for and is answered later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from modelway.cli.rendering import json_option, show, table
from modelway.cli.target import on_target
from modelway.composition import job_operations as operations
from modelway.composition.operating import Target
from modelway.domain.jobs import JobState

_COLUMNS = ("id", "endpoint", "state", "priority", "created_at", "attempt", "error_code", "error")
_CALLBACKS = ("state", "url", "made_at", "tries", "told", "next_at", "error")
_ATTEMPTS = ("number", "worker", "started_at", "ended_at", "outcome", "error_code", "error")


@click.group("job")
def command() -> None:
    """Jobs: list, show, retry, cancel, dead letters, how much waits."""


@command.command("list")
@click.option("--state", type=click.Choice(list(JobState)), help="Only those in it.")
@click.option("--model", metavar="NAME", help="Only those of an endpoint.")
@click.option("--before", metavar="ID", help="Only those older than a job.")
@click.option("--limit", type=int, help="So many, the newest (100).")
@on_target
@json_option
def list_command(target: Target, as_json: bool, **given: Any) -> None:
    """Show jobs, the newest first."""
    _show_jobs(target.carry_out(operations.LIST, **given), as_json=as_json)


@command.command("dead")
@click.option("--model", metavar="NAME", help="Only those of an endpoint.")
@click.option("--before", metavar="ID", help="Only those older than a job.")
@click.option("--limit", type=int, help="So many, the newest (100).")
@on_target
@json_option
def dead_command(target: Target, as_json: bool, **given: Any) -> None:
    """Show dead letters: jobs that failed for good, and why."""
    state = JobState.FAILED.value
    _show_jobs(target.carry_out(operations.LIST, state=state, **given), as_json=as_json)


@command.command("show")
@click.argument("id")
@on_target
@json_option
def show_command(id: str, target: Target, as_json: bool) -> None:
    """Show a job with all its attempts, and who was told of its end."""
    show(target.carry_out(operations.SHOW, id=id), _text, as_json=as_json)


@command.command("retry")
@click.argument("id")
@on_target
@json_option
def retry_command(id: str, target: Target, as_json: bool) -> None:
    """Queue a job again that failed or was cancelled."""
    found = target.carry_out(operations.RETRY, id=id)
    show(found, lambda job: f"{job['id']} is {job['state']}", as_json=as_json)


@command.command("retry-dead")
@click.option("--model", metavar="NAME", help="Only those of an endpoint.")
@on_target
@json_option
def retry_dead_command(target: Target, as_json: bool, **given: Any) -> None:
    """Queue all dead letters again, once what they failed for is mended."""
    found = target.carry_out(operations.RETRY_DEAD, **given)
    show(found, lambda retried: f"{retried['jobs']} jobs are queued again", as_json=as_json)


@command.command("cancel")
@click.argument("id")
@on_target
@json_option
def cancel_command(id: str, target: Target, as_json: bool) -> None:
    """Have a job not be answered any more."""
    found = target.carry_out(operations.CANCEL, id=id)
    show(found, lambda job: f"{job['id']} is {job['state']}", as_json=as_json)


@command.command("depth")
@on_target
@json_option
def depth_command(target: Target, as_json: bool) -> None:
    """Show how much waits of each model, and since when."""
    found = target.carry_out(operations.DEPTHS)
    columns = ("endpoint", "queued", "leased", "dead", "oldest")
    show(found, lambda rows: table(rows, columns), as_json=as_json)


def _show_jobs(found: Any, *, as_json: bool) -> None:
    show(found, lambda rows: table(rows, _COLUMNS), as_json=as_json)


def _text(found: Mapping[str, Any]) -> str:
    tables = [([found["job"]], _COLUMNS), (found["attempts"], _ATTEMPTS)]
    if found["callbacks"]:
        tables.append((found["callbacks"], _CALLBACKS))
    return "\n\n".join([table(rows, columns) for rows, columns in tables])
