"""``modelway doctor``: is this installation fit."""

from __future__ import annotations

from typing import Any

import click

from modelway.cli.rendering import json_option, show
from modelway.composition.doctor import examine
from modelway.settings import load_settings


@click.command("doctor")
@json_option
def command(*, as_json: bool) -> int:
    """Check Python, libraries, extras, ONNX Runtime, the port and the home folder.

    Ends with 0 if everything that serving needs is there, with 1 if not.
    """
    examination = examine(load_settings())
    show(examination, _text, as_json=as_json)
    return 0 if examination.ok else 1


def _text(examination: dict[str, Any]) -> str:
    lines = []
    for one in examination["findings"]:
        mark = "ok" if one["ok"] else ("FAIL" if one["needed"] else "-")
        lines.append(f"{mark:4}  {one['name']:17} {one['found']}")
        if one["hint"]:
            lines.append(f"{'':25}{one['hint']}")
    lines.append("this installation can serve" if examination["ok"] else "something is missing")
    return "\n".join(lines)
