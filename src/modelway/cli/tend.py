"""``modelway tend``: what ``modelway up`` starts beside its workers."""

from __future__ import annotations

from pathlib import Path

import click

from modelway.cli import options
from modelway.composition.tending import tend
from modelway.settings import load_settings


@click.command("tend", hidden=True)
@options.home_option
def command(home: Path | None) -> int:
    """Compare the registry with the ledger, bundle what is wanted."""
    return tend(load_settings({"bundles.home": home}))
