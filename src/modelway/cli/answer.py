"""``modelway answer``: one worker of several, started by the supervisor and by nobody else."""

from __future__ import annotations

import sys

import click

from modelway.composition.worker import answer_supervised


@click.command("answer", hidden=True)
@click.option("--descriptor", type=int, required=True, help="The inherited listening socket.")
@click.option("--slot", type=int, required=True, help="The number of this worker's place.")
def command(descriptor: int, slot: int) -> None:
    """Answer on an inherited socket, by the plan on standard input."""
    answer_supervised(descriptor, sys.stdin.buffer)
