"""``modelway status``: what runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from modelway.cli.rendering import json_option, show
from modelway.cli.target import on_target
from modelway.composition.operating import Target
from modelway.composition.status import status_of


@click.command("status")
@on_target
@json_option
def command(target: Target, as_json: bool) -> None:
    """Show what runs in a home, where it answers, and what it keeps."""
    show(status_of(target), lambda found: "\n".join(_lines(found)), as_json=as_json)


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    addresses = found["addresses"]
    if addresses is None:
        yield f"nothing runs in {found['home']}; modelway up starts it"
    else:
        yield f"running in {found['home']} since {found['since']}"
        up = {True: "", False: "  (not up yet, or away)", None: ""}[addresses["registry_is_up"]]
        yield f"  predictions     {addresses['service']}"
        yield f"  administration  {addresses['administration']}"
        if addresses["grpc"]:
            yield f"  gRPC            {addresses['grpc']}"
        if addresses["registry"]:
            yield f"  MLflow          {addresses['registry']}{up}"
        for one in found["processes"]:
            yield f"  {one['kind']:14}  process {one['pid']}{'' if one['alive'] else ', dead'}"
    if found["trouble"]:
        yield f"  it cannot be asked: {found['trouble']}"
    for endpoint in found["endpoints"]:
        yield f"endpoint {endpoint['name']}"
        yield from _versions(endpoint)
    for one in found["schedules"]:
        yield from _schedule(one)
    if found["store_trouble"]:
        yield f"store {found['store']} is away: {found['store_trouble']}"
        yield f"{found['keys']} keys"
    else:
        yield f"store {found['store']}, generation {found['generation']}"
        yield f"{found['keys']} keys, {found['proposals']} promotions wait for approval"
    if found["bundles"]:
        yield f"bundles are shared at {found['bundles']}"
    if found["records"]:
        yield f"records go to {found['records']}"
    in_home = " in the home" if found["records"] else ""
    yield f"{found['records_bytes']:,} bytes of records{in_home}"


def _schedule(one: Mapping[str, Any]) -> Iterator[str]:
    became = f", last {one['last']}" if one["last"] else ""
    missed = f", {one['missed']} missed" if one["missed"] else ""
    yield f"schedule {one['name']}, next {one['next_due']}{became}{missed}"
    if one["trouble"]:
        yield f"  {one['trouble']}"


def _versions(endpoint: Mapping[str, Any]) -> Iterator[str]:
    for one in endpoint["versions"]:
        weight = "" if one["weight"] is None else f" {one['weight']:.3%}"
        yield f"  {one['role']}{weight}  {one['reference']}  {one['trouble'] or one['version']}"
    if endpoint["trouble"]:
        yield f"  goes on as it was: {endpoint['trouble']}"
