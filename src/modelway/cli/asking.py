"""Questions before what cannot be undone, on a terminal."""

from __future__ import annotations

import sys

import click

yes_option = click.option("--yes", is_flag=True, help="Ask nothing.")


def is_terminal() -> bool:
    """Whether somebody sits there who can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirmed(question: str, *, yes: bool) -> None:
    """Do nothing if it is to go on: it was said, or somebody says so now.

    Raises:
        click.UsageError: nobody is there to ask.
        click.Abort: somebody says no.
    """
    if yes:
        return
    if not is_terminal():
        raise click.UsageError(f"{question} Nobody can be asked here: say --yes")
    click.confirm(question, abort=True, err=True)
