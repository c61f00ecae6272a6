"""``modelway up``: everything that a home has."""

from __future__ import annotations

from typing import Any

import click

from modelway.cli import options
from modelway.composition.up import up
from modelway.settings import load_settings

_SETTINGS = {
    **options.LISTENING,
    "store": "store.url",
    "bundles": "bundles.url",
    "records": "records.url",
    "registry": "registry.url",
    "registry_port": "registry.port",
}
"""The setting that each option stands for."""


@click.command("up")
@options.listening
@click.option("--prefix", help="Path in front of every route, behind a proxy.")
@click.option("--store", metavar="URL", help="Store of control state (SQLite in the home).")
@options.elsewhere
@click.option("--registry", metavar="URL", help="Your own MLflow (the home's, which is started).")
@click.option("--registry-port", type=int, help="Port of the home's own MLflow (8091).")
@click.option("--no-mlflow", is_flag=True, help="Start no MLflow server.")
@options.home_option
def command(no_mlflow: bool, **given: Any) -> int:
    """Serve the endpoints of a home, with its registry, on one machine.

    Everything it keeps is in one folder, so a second start finds all as it was.
    """
    flags = {name: given[o] for o, name in _SETTINGS.items() if given[o] is not False}
    return up(load_settings(flags), click.echo, mlflow=not no_mlflow)
