"""``modelway answer``: one worker of several, started by the supervisor and by nobody else."""

from __future__ import annotations

import click

from modelway.composition.worker import answer_supervised


@click.command("answer", hidden=True)
@click.option("--descriptor", "descriptors", type=int, multiple=True, required=True)
@click.option("--slot", type=int, required=True)
def command(descriptors: tuple[int, ...], slot: int) -> None:
    """Answer on inherited sockets, by the plan and the orders on standard input."""
    answer_supervised(descriptors, slot)
