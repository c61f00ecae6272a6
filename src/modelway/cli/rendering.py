"""How a command shows its value: as JSON for programs, or as text made from the same value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
import msgspec

from modelway.domain.errors import ModelwayError

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def show(value: Any, text: Callable[[Any], str], *, as_json: bool) -> None:
    """Print ``value`` to standard output: as JSON, or as what ``text`` makes of its JSON form.

    ``text`` is given nothing but dicts, lists, text, numbers, Booleans and None, so nothing is
    shown to people that programs cannot have.
    """
    plain = msgspec.to_builtins(value, enc_hook=str)
    if as_json:
        line = msgspec.json.format(msgspec.json.encode(plain), indent=2)
        click.echo(line.decode())
    else:
        click.echo(text(plain))


def show_error(error: ModelwayError) -> None:
    """Print what went wrong and what to do next to standard error."""
    click.echo(f"error: {error.message} [{error.code}]", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows as aligned text with a header; a missing or None value is a dash."""
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    lines = [list(columns), *cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(_cell(one) for one in value)
    return str(value)


def counted(n: int, one: str) -> str:
    """How many, in words: ``1 row``, ``2 rows``."""
    return f"{n} {one}" if n == 1 else f"{n} {one}s"
