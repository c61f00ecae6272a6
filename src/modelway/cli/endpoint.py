"""``modelway endpoint``: what answers under a name, and trying the next version on real traffic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from modelway.cli.rendering import json_option, show, table
from modelway.cli.target import on_target
from modelway.composition import endpoint_operations as operations
from modelway.composition.operating import Target

why_option = click.option("--why", default="", help="Why; it is kept.")


class Share(click.ParamType[float]):
    """A share of the requests: 5% or 0.05."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The share as a number within (0, 1)."""
        text = str(value)
        try:
            number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            number = 0.0
        if not 0 < number < 1:
            self.fail(f"expected a share such as 5% or 0.05, got {text!r}", param, ctx)
        return number


@click.group("endpoint")
def command() -> None:
    """Endpoints: create, canary, shadow, show."""


@command.command("create")
@click.argument("name")
@click.option("--live", required=True, help="What answers: loan@champion is followed, loan:7 not.")
@click.option("--split-by", help="What keeps a caller with a version: header:NAME, field:COLUMN.")
@click.option("--auto", "automatic", is_flag=True, help="Act on verdicts about canaries.")
@why_option
@on_target
@json_option
def create_command(target: Target, as_json: bool, **given: Any) -> None:
    """Have a registered model answer under a name."""
    show(target.carry_out(operations.CREATE, **given), _text, as_json=as_json)


@command.command("set")
@click.argument("name")
@click.option("--live", help="What answers: loan@champion is followed, loan:7 is not.")
@click.option("--split-by", help="What keeps a caller with a version: header:NAME, field:COLUMN.")
@click.option("--auto/--no-auto", "automatic", default=None, help="Act on verdicts, or do not.")
@click.option("--error-ratio", type=float, help="Share of errors at which a canary is ended.")
@click.option("--latency-ratio", type=float, help="So many times live's median ends a canary.")
@click.option("--requests", type=int, help="How many requests are judged at least.")
@why_option
@on_target
@json_option
def set_command(target: Target, as_json: bool, **given: Any) -> None:
    """Change an endpoint; what is not named stays as it is."""
    show(target.carry_out(operations.CHANGE, **given), _text, as_json=as_json)


@command.command("canary")
@click.argument("name")
@click.argument("reference")
@click.option("--weight", type=Share(), help="Share of the requests that it answers: 5%.")
@click.option("--end", is_flag=True, help="Have it answer no more.")
@why_option
@on_target
@json_option
def canary_command(
    name: str,
    reference: str,
    weight: float | None,
    end: bool,
    why: str,
    target: Target,
    as_json: bool,
) -> None:
    """Have a version answer a share of the requests: loan loan:8 --weight 5%."""
    if end == (weight is not None):
        raise click.UsageError("say either --weight or --end")
    given: dict[str, Any] = {"name": name, "reference": reference, "why": why}
    if end:
        found = target.carry_out(operations.END_CANARY, **given)
    else:
        found = target.carry_out(operations.CANARY, **given, weight=weight)
    show(found, _text, as_json=as_json)


@command.command("shadow")
@click.argument("name")
@click.argument("reference")
@click.option("--end", is_flag=True, help="Have it see requests no more.")
@why_option
@on_target
@json_option
def shadow_command(end: bool, target: Target, as_json: bool, **given: Any) -> None:
    """Have a version see the same requests, and answer nobody."""
    operation = operations.END_SHADOW if end else operations.SHADOW
    show(target.carry_out(operation, **given), _text, as_json=as_json)


@command.command("list")
@on_target
@json_option
def list_command(target: Target, as_json: bool) -> None:
    """Show every endpoint."""
    found = target.carry_out(operations.LIST)
    show(found, lambda all: "\n".join(_text(one) for one in all) or "none yet", as_json=as_json)


@command.command("show")
@click.argument("name")
@on_target
@json_option
def show_command(name: str, target: Target, as_json: bool) -> None:
    """Show which versions answer under a name, and as what."""
    show(target.carry_out(operations.SHOW, name=name), _text, as_json=as_json)


@command.command("history")
@click.argument("name")
@on_target
@json_option
def history_command(name: str, target: Target, as_json: bool) -> None:
    """Show every change of an endpoint."""
    found = target.carry_out(operations.HISTORY, name=name)
    show(found, lambda rows: table([_flat(one) for one in rows], _COLUMNS), as_json=as_json)


@command.command("verdict")
@click.argument("name")
@on_target
@json_option
def verdict_command(name: str, target: Target, as_json: bool) -> int:
    """Show whether to keep, promote or roll back its canaries and shadows, and why.

    Ends with 4 where one that is on trial now is to be rolled back, else with 0.
    """
    found = target.carry_out(operations.VERDICT, name=name)
    show(found, _verdicts, as_json=as_json)
    condemned = any(one["verdict"]["decision"] == "roll back" for one in found["verdicts"])
    return CONDEMNED if condemned else 0


@command.command("remove")
@click.argument("name")
@why_option
@on_target
@json_option
def remove_command(name: str, why: str, target: Target, as_json: bool) -> None:
    """Have nothing answer under a name any more; its history stays."""
    found = target.carry_out(operations.REMOVE, name=name, why=why)
    show(found, lambda one: f"{one['name']} answers no more", as_json=as_json)


CONDEMNED = 4
"""The exit code where a version is to be rolled back: as of a conflict, which this never is."""

_COLUMNS = ("number", "at", "actor", "live", "canaries", "shadows", "why")


def _flat(revision: Mapping[str, Any]) -> dict[str, Any]:
    endpoint = revision["endpoint"]
    if endpoint is None:
        return {**revision, "live": "removed"}
    return {
        **revision,
        "live": endpoint["live"],
        "canaries": [f"{one['reference']} {one['weight']:.3g}" for one in endpoint["canaries"]],
        "shadows": endpoint["shadows"],
    }


def _verdicts(endpoint: Mapping[str, Any]) -> str:
    lines = [endpoint["name"]]
    for one in endpoint["verdicts"]:
        lines += _judged(one, "")
    lines += [f"  {reference}: nothing is known yet" for reference in endpoint["waiting"]]
    for one in endpoint["earlier"]:
        lines += _judged(one, f", {one['acted'] or 'ended'} {one['at']}")
    return "\n".join(lines) if len(lines) > 1 else f"{lines[0]} has neither canary nor shadow"


def _judged(one: Mapping[str, Any], ended: str) -> list[str]:
    verdict = one["verdict"]
    found = [
        f"  {one['role']} {one['reference']} (version {one['version']}, live "
        f"{one['live_version']}{ended}): {verdict['decision']}",
        f"    {verdict['why']}",
    ]
    for finding in verdict["evidence"]:
        found.append(f"    - {finding['metric']}: {finding['outcome']}; {finding['meaning']}")
    return found


def _text(endpoint: Mapping[str, Any]) -> str:
    lines = [f"{endpoint['name']}  (revision {endpoint['revision']})"]
    for one in endpoint["versions"]:
        weight = "" if one["weight"] is None else f" {one['weight']:.3%}"
        said = one["trouble"] or f"version {one['version']}, {str(one['digest'])[:19]}"
        lines.append(f"  {one['role']}{weight}  {one['reference']}  {said}")
    return "\n".join(lines)
