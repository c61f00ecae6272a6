"""``modelway trace``: one past prediction, where it comes from, and making it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from modelway.cli.exits import DIFFERENT
from modelway.cli.rendering import counted, json_option, show
from modelway.cli.target import on_target
from modelway.composition import trace_operations as operations
from modelway.composition.operating import Target


@click.command("trace")
@click.argument("id")
@click.option("--replay", is_flag=True, help="Answer it again by its bundle, and compare the bits.")
@click.option("--endpoint", metavar="NAME", help="Endpoint that answered, where several used ID.")
@on_target
@json_option
def command(id: str, replay: bool, endpoint: str | None, target: Target, as_json: bool) -> int:
    """Show where a prediction comes from: version, bundle, run, commits, data, who put it there.

    With --replay it ends with 0 where the answer is the same to the bit, with 10 where it is not,
    and with 9 where what was recorded is not enough, such as where columns were redacted.
    """
    found = target.carry_out(operations.TRACE, id=id, endpoint=endpoint)
    if not replay:
        show(found, lambda one: "\n".join(_lines(one)), as_json=as_json)
        return 0
    replayed = target.carry_out(operations.REPLAY, id=id, endpoint=endpoint)
    show({**found, "replay": replayed}, _with_replay, as_json=as_json)
    return 0 if replayed["outcome"] == "identical" else DIFFERENT


def _with_replay(found: Mapping[str, Any]) -> str:
    replay = found["replay"]
    lines = [*_lines(found), f"replay      {replay['outcome']}, {counted(replay['n_rows'], 'row')}"]
    if replay["batch_rows"]:
        lines[-1] += f", in its batch of {replay['batch_rows']}"
    for one in replay["differences"]:
        row = "" if one["row"] is None else f" of row {one['row']}"
        lines.append(
            f"            {one['output']}{row}: {one['recorded']} then, {one['replayed']} now"
        )
    return "\n".join(lines)


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"prediction  {found['prediction_id']}  {found['at']}  {found['status']}"
    yield f"endpoint    {found['endpoint']}, as {found['role']}"
    yield f"version     {found['model']}:{found['version']}"
    yield f"bundle      {found['digest']}"
    run = found["run"]
    if run is not None:
        told = {**run["parameters"], **run["metrics"]}
        shown = ", ".join(f"{name}={value}" for name, value in sorted(told.items()))
        yield f"run         {run['run_id']} ({run['name']})  {shown}".rstrip()
    yield from _origin_lines(found["origin"])
    placement = found["placement"]
    if placement is not None:
        yield from _placement_lines(placement)
    for name, values in found["inputs"].items():
        yield f"  {name} = {'redacted' if values is None else _values(values)}"
    for name, values in (found["outputs"] or {}).items():
        yield f"  -> {name} = {_values(values)}"
    for sentence in found["missing"]:
        yield f"missing     {sentence}"


def _origin_lines(origin: Mapping[str, Any] | None) -> Iterator[str]:
    for name, fact in (origin or {}).items():
        if isinstance(fact, Mapping):
            said = ", ".join(f"{key} {value}" for key, value in fact.items() if value is not None)
            yield f"{name:<12}{said}"
        elif fact is not None:
            yield f"{name:<12}{fact}"


def _placement_lines(placement: Mapping[str, Any]) -> Iterator[str]:
    revision, promotion = placement["revision"], placement["promotion"]
    yield (
        f"endpoint by {revision['actor']}  {revision['at']}  {placement['reference']}  "
        f"{revision['why']}".rstrip()
    )
    if promotion is not None:
        yield (
            f"promoted by {promotion['actor']}  {promotion['at']}  {promotion['alias']}: "
            f"{promotion['from_version'] or 'nothing'} -> {promotion['to_version']}  "
            f"{promotion['why']}"
        )


def _values(values: Any) -> str:
    shown = values if not isinstance(values, list) or len(values) > 1 else values[0]
    text = str(shown)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


_LONGEST = 100
