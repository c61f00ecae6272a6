"""``modelway model register``: a model's files become a version, with where they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from modelway.cli import options
from modelway.cli.rendering import json_option, show
from modelway.cli.target import on_target
from modelway.composition.operating import Target
from modelway.composition.register_operation import registering
from modelway.domain.errors import InvalidInput

_OPTIONS = (
    click.argument("source"),
    click.option("--name", required=True, help="Name of the model in the registry."),
    options.data_option,
    click.option("--target", "predicted", help="Column of --data that the model predicts."),
    click.option(
        "--metric", "metrics", multiple=True, metavar="NAME=NUMBER", help="Metric of the training."
    ),
    click.option("--run", metavar="RUN_ID", help="MLflow's run that trained it (one is made)."),
    click.option("--tag", "tags", multiple=True, metavar="NAME=TEXT", help="Tag of the version."),
    options.code_option,
    options.labels_option,
    click.option(
        "--signature",
        type=click.Path(path_type=Path),
        help="signature.toml that says what goes in and out; it wins over all else.",
    ),
    options.no_pickle_option,
    on_target,
    json_option,
)


def register_command(text: Callable[[Any], str]) -> click.Command:
    """The command; ``text`` makes lines of the version that it gives."""

    def register(as_json: bool, target: Target, **given: Any) -> None:
        """Register a model as a new version, bundled, and with where it comes from.

        SOURCE is what modelway bundle build takes, or what a run has logged: runs:/RUN/path. Kept
        with the version are the commit of its repository, the SHA-256 of the training data or its
        DVC pointer, and the lock file's digest.
        """
        show(_registered(target, **given), text, as_json=as_json)

    command: Callable[..., Any] = register
    for option in reversed(_OPTIONS):
        command = option(command)
    return click.command("register")(command)


def _registered(
    target: Target,
    *,
    predicted: str | None,
    metrics: Sequence[str],
    tags: Sequence[str],
    no_pickle: bool,
    **given: Any,
) -> Any:
    if target.server:
        raise InvalidInput(
            "a model is registered where its files are, not by another host's administration",
            hint="leave --server out, and name the store and the registry that it uses: "
            "--store URL --registry URL",
        )
    paths = {name: str(one) if isinstance(one, Path) else one for name, one in given.items()}
    return target.carry_out(
        registering(lambda line: click.echo(line, err=True)),
        **paths,
        target=predicted,
        metrics=_named(metrics, "--metric"),
        tags=_named(tags, "--tag"),
        allow_pickle=not no_pickle,
    )


def _named(texts: Sequence[str], option: str) -> Mapping[str, str]:
    """``NAME=VALUE`` texts as a mapping."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"{option} {text}: expected NAME=VALUE")
        if name in found:
            raise click.BadParameter(f"{option} is given twice for {name}")
        found[name] = value
    return found
