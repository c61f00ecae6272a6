"""The root of the command line: which commands there are, how errors end it.

A command's module is imported when the command is called and not before, so ``--help`` stays quick
whatever a command needs; its help line therefore stands here.

Every command that prints a value takes ``--json``. ``serve``, ``up``, ``demo`` and ``predict``
print none: the first three run until they are stopped and say what they do meanwhile (for programs
there is ``/health/ready``), and what ``predict`` writes is a table in the form that was asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import click

from modelway import __version__
from modelway.cli.exits import INTERRUPTED, exit_code
from modelway.cli.rendering import show_error
from modelway.domain.errors import ModelwayError

COMMANDS: Mapping[str, str] = {
    "serve": "Answer predictions over HTTP.",
    "up": "Serve a home's endpoints, with its registry.",
    "model": "Registered models: show, promote, roll back.",
    "endpoint": "Endpoints: create, canary, shadow, show.",
    "apply": "Have endpoints be as a file declares them.",
    "record": "Records: query, show, export, erase.",
    "label": "Labels: add, confirm, decline, import.",
    "trace": "Show where a prediction comes from, and make it again.",
    "worker": "Answer jobs.",
    "job": "Jobs: list, show, retry, cancel, dead letters.",
    "status": "Show what runs.",
    "key": "Keys: create, list, revoke; who did what.",
    "bundle": "Build, show and verify bundles.",
    "predict": "Predict the rows of a file.",
    "batch": "Score files of any size.",
    "schedule": "Schedules: add, list, show, remove, print.",
    "demo": "Train a model, bundle it, serve it, and say what to try.",
    "doctor": "Check this installation.",
    "settings": "Show the settings and where each came from.",
}

HIDDEN = frozenset({"answer", "tend"})
"""Commands that only Modelway itself calls."""


class LazyGroup(click.Group):
    """A group whose commands are ``modelway.cli.NAME:command``, imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in COMMANDS and cmd_name not in HIDDEN:
            return None
        command: click.Command = importlib.import_module(f"modelway.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="modelway")
def cli() -> None:
    """From a trained model to a monitored production service."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line; gives its exit code."""
    try:
        result: Any = cli.main(list(arguments), prog_name="modelway", standalone_mode=False)
    except ModelwayError as error:
        show_error(error)
        return exit_code(type(error))
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return result if isinstance(result, int) else 0
