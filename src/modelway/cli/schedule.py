"""``modelway schedule``: bulk scoring again and again, by the clock."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from modelway.batch.crontab import Command, crontab
from modelway.batch.systemd import systemd_units
from modelway.cli import options
from modelway.cli.batch import command as batch
from modelway.cli.batch import score_request
from modelway.cli.rendering import json_option, show, table
from modelway.cli.target import on_target
from modelway.composition import adding_schedules
from modelway.composition import schedule_operations as operations
from modelway.composition.adding_schedules import Wanted, wanted
from modelway.composition.batch_scoring import ScoreRequest
from modelway.composition.operating import Target
from modelway.settings import environment_of, load_settings

_COLUMNS = ("name", "cron", "zone", "next_due", "last", "last_due", "missed", "last_missed")
_RUNS = ("due_at", "state", "attempt", "started_at", "ended_at", "exit_code", "dues", "detail")
_BATCH = "batch"
_WHAT = "only batch can be scheduled: after CRON and the options, batch and its arguments"


class _Scheduling(click.Command):
    """A command whose last words are a command of their own, from ``batch`` on."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options before it; what comes after is left as it is."""
        at = self._begin_of_batch(args)
        if at is not None:
            args = [*args[:at], "--", *args[at:]]
        elif not set(args) & set(ctx.help_option_names):
            raise click.UsageError(_WHAT, ctx)
        return super().parse_args(ctx, args)

    def _begin_of_batch(self, args: Sequence[str]) -> int | None:
        """Where ``batch`` is that is no value of an option; None where it is nowhere."""
        taking = {
            word
            for one in self.params
            if isinstance(one, click.Option) and not one.is_flag
            for word in one.opts
        }
        for at, word in enumerate(args):
            if word == _BATCH and (at == 0 or args[at - 1] not in taking):
                return at
        return None


_CRON = click.argument("cron", metavar="CRON")
_WORDS = click.argument(
    "words", metavar="batch ARGS...", nargs=-1, required=True, type=click.UNPROCESSED
)
_NAME = click.option("--name", metavar="NAME", help="What it is called (as the model is).")
_ZONE = click.option(
    "--zone", metavar="ZONE", default="UTC", show_default=True, help="Whose clocks: Europe/Berlin."
)


@click.group("schedule")
def command() -> None:
    """Schedules: add, list, show, remove, print."""


@command.command("add", cls=_Scheduling)
@_CRON
@_NAME
@_ZONE
@on_target
@json_option
@_WORDS
def add_command(
    cron: str,
    name: str | None,
    zone: str,
    words: Sequence[str],
    target: Target,
    as_json: bool,
) -> None:
    """Have modelway up run a command whenever it is due: "0 2 * * *" is every night at two.

    It is run in this folder, by the modelway up of this home. {due} in an argument stands for the
    time at which a run was due, {due:%Y-%m-%d} for its date: each run needs an output of its own.
    What was due while nobody could run it is not run late, but reported as missed.
    """
    of = wanted(cron, zone, name, _arguments(words), _read)
    _tell_of(of)
    show(adding_schedules.add(target, of), _added, as_json=as_json)


@command.command("list")
@on_target
@json_option
def list_command(target: Target, as_json: bool) -> None:
    """Show every schedule, when it is due next, and what was missed."""
    show(target.carry_out(operations.LIST), _list_text, as_json=as_json)


@command.command("show")
@click.argument("name")
@on_target
@json_option
def show_command(name: str, target: Target, as_json: bool) -> None:
    """Show a schedule with its last runs."""
    show(target.carry_out(operations.SHOW, name=name), _text, as_json=as_json)


@command.command("remove")
@click.argument("name")
@on_target
@json_option
def remove_command(name: str, target: Target, as_json: bool) -> None:
    """Have a schedule run no more; a run under way is ended, what it has done stays in .parts."""
    found = target.carry_out(operations.REMOVE, name=name)
    show(found, lambda one: f"{one['name']} is not run any more", as_json=as_json)


@command.group("print")
def print_command() -> None:
    """Lines for cron or systemd, for those who prefer them; nothing is added."""


@print_command.command("cron", cls=_Scheduling)
@_CRON
@_NAME
@_ZONE
@options.home_option
@json_option
@_WORDS
def cron_command(
    cron: str, name: str | None, zone: str, home: Path | None, words: Sequence[str], as_json: bool
) -> None:
    """Print lines for a crontab that run a command in this folder."""
    of = wanted(cron, zone, name, _arguments(words), _read)
    _tell_of(of)
    lines = crontab(of.cron, _printed(of, home))
    show({"crontab": lines}, lambda found: str(found["crontab"]), as_json=as_json)


@print_command.command("systemd", cls=_Scheduling)
@_CRON
@_NAME
@_ZONE
@options.home_option
@json_option
@_WORDS
def systemd_command(
    cron: str, name: str | None, zone: str, home: Path | None, words: Sequence[str], as_json: bool
) -> None:
    """Print a service and a timer of systemd that run a command in this folder."""
    of = wanted(cron, zone, name, _arguments(words), _read)
    _tell_of(of)
    service, timer = systemd_units(of.cron, _printed(of, home))
    unit = f"modelway-{of.name}"
    units = {f"{unit}.service": service, f"{unit}.timer": timer}
    show(units, _units_text, as_json=as_json)


def _arguments(words: Sequence[str]) -> Sequence[str]:
    """Those of ``batch``. Raises click.UsageError where something else is to be run."""
    if words[0] != _BATCH:
        raise click.UsageError(_WHAT)
    return words[1:]


def _read(arguments: Sequence[str]) -> ScoreRequest:
    return score_request(batch.make_context("modelway batch", list(arguments)))


def _tell_of(of: Wanted) -> None:
    if not of.is_own:
        click.echo(
            "note: every run writes the same file, and none replaces one that is there: put {due} "
            "into --output, or take the file away after each run",
            err=True,
        )
    for one in of.lacking:
        click.echo(f"note: as things are now a run would fail: {one}", err=True)


def _printed(of: Wanted, home: Path | None) -> Command:
    folder = load_settings({"bundles.home": home}).bundles.home.absolute()
    words = (sys.executable, "-P", "-m", "modelway", _BATCH, *of.arguments)
    return Command(of.name, words, str(of.folder), environment_of({"bundles.home": str(folder)}))


def _added(found: Mapping[str, Any]) -> str:
    words = shlex.join([_BATCH, *found["arguments"]])
    return (
        f"{found['name']}: modelway {words}\n"
        f"  in {found['folder']}, next at {found['next_due']}, by modelway up on {found['host']}"
    )


def _list_text(found: Sequence[Mapping[str, Any]]) -> str:
    troubles = [f"{one['name']}: {one['trouble']}" for one in found if one["trouble"]]
    return "\n".join([table(found, _COLUMNS), *troubles])


def _text(found: Mapping[str, Any]) -> str:
    schedule = found["schedule"]
    runs = [{**one, "detail": _in_a_line(one["detail"])} for one in found["runs"]]
    parts = [_list_text([schedule]), _added(schedule), table(runs, _RUNS)]
    return "\n\n".join(parts)


def _in_a_line(text: str) -> str:
    """What a run said last, or why it ended, which a hint may follow."""
    lines = text.splitlines() or [""]
    return next((one for one in reversed(lines) if one.startswith("error: ")), lines[-1])


def _units_text(found: Mapping[str, str]) -> str:
    return "\n\n".join(f"# /etc/systemd/system/{name}\n{text}" for name, text in found.items())
