"""``modelway settings``: what holds, and why."""

from __future__ import annotations

from typing import Any

import click

from modelway.cli.rendering import json_option, show, table
from modelway.composition.home import settled
from modelway.domain.addresses import without_passwords
from modelway.settings import Settings, load_settings, setting_fields


@click.group("settings")
def command() -> None:
    """Show the settings and where each came from."""


@command.command("show")
@json_option
def show_settings(*, as_json: bool) -> None:
    """Print every setting, its value and where the value came from.

    A value comes from the first of these that has it: a flag, MODELWAY__SECTION__FIELD in the
    environment, modelway.toml in this folder, what modelway up was started with in the home
    (store, registry, bundles, records, broker, what is trusted and protected), the default. A
    password in a URL is shown as ***.
    """
    show(
        rows_of(settled(load_settings())),
        lambda rows: table(rows, ("name", "value", "origin", "help")),
        as_json=as_json,
    )


def rows_of(settings: Settings) -> list[dict[str, Any]]:
    """One row a setting: name, value, origin, help; no password in a URL."""
    rows = []
    for one in setting_fields():
        section, name = one.name.split(".")
        value = getattr(getattr(settings, section), name)
        if isinstance(value, str):
            value = without_passwords(value)
        rows.append(
            {
                "name": one.name,
                "value": value,
                "origin": settings.origins[one.name],
                "help": one.help,
            }
        )
    return rows
