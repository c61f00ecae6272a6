"""The options that say what a command works on: the home that is here, or another host's."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from modelway.cli import options
from modelway.composition.operating import Target
from modelway.settings import load_settings


def on_target(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``target``, by the options of where things are."""

    @options.home_option
    @click.option("--store", metavar="URL", help="Store of control state (SQLite in the home).")
    @options.registry_option
    @options.elsewhere
    @click.option("--server", metavar="URL", help="Administration of another host.")
    @click.option(
        "--key", envvar="MODELWAY_KEY", metavar="KEY", help="Key for --server (MODELWAY_KEY)."
    )
    @wraps(command)
    def with_target(
        *args: Any,
        home: Path | None,
        store: str | None,
        registry: str | None,
        bundles: str | None,
        records: str | None,
        server: str | None,
        key: str | None,
        **given: Any,
    ) -> Any:
        flags = {
            "bundles.home": home,
            "store.url": store,
            "registry.url": registry,
            "bundles.url": bundles,
            "records.url": records,
        }
        target = Target(load_settings(flags), server or "", key or "")
        return command(*args, target=target, **given)

    return with_target
