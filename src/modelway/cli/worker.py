"""``modelway worker``: answers jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from modelway.cli import options
from modelway.composition.job_working import work
from modelway.settings import load_settings
from modelway.settings.fields import names_of

_SETTINGS = {
    "store": "store.url",
    "bundles": "bundles.url",
    "records": "records.url",
    "home": "bundles.home",
    "concurrency": "jobs.concurrency",
    "metrics_port": "jobs.metrics_port",
}
"""The setting that each option stands for."""


@click.command("worker")
@click.option("--models", metavar="NAMES", default="", help="Endpoints, with commas between (all).")
@click.option("--concurrency", type=int, help="Batches at a time (2).")
@click.option("--metrics-port", type=int, help="Port of its administration and metrics (none).")
@click.option("--slot", type=(click.Path(path_type=Path), int), hidden=True)
@click.option("--store", metavar="URL", help="Store of control state (SQLite in the home).")
@options.elsewhere
@options.home_option
def command(models: str, slot: tuple[Path, int] | None, **given: Any) -> int:
    """Answer jobs of the home, or of the store that it shares, until told to end."""
    flags = {name: given[o] for o, name in _SETTINGS.items() if given[o] is not None}
    return work(load_settings(flags), click.echo, names_of(models), slot)
