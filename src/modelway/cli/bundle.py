"""``modelway bundle``: build, show, verify."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import click

from modelway.bundles.store import open_bundle
from modelway.cli import options
from modelway.cli.bundle_text import text_of, value_of
from modelway.cli.rendering import json_option, show
from modelway.composition.bundling import BuildRequest, build
from modelway.composition.referring import build_referred, reference_in
from modelway.settings import load_settings


@click.group("bundle")
def command() -> None:
    """Build, show and verify bundles."""


@command.command("build")
@click.argument("source")
@click.option("--name", help="Name of the model (default: the source's own).")
@options.data_option
@options.target_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the bundle."
)
@click.option(
    "--signature",
    type=click.Path(path_type=Path),
    help="signature.toml that says what goes in and out; it wins over all else.",
)
@options.code_option
@options.python_option
@options.labels_option
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME=NUMBER", help="Metric of the training."
)
@click.option(
    "--require-compiled", is_flag=True, help="Fail where the model cannot be compiled exactly."
)
@options.no_pickle_option
@options.registry_option
@json_option
def build_command(
    source: str,
    name: str | None,
    data: Path | None,
    target: str | None,
    output: Path,
    signature: Path | None,
    code: Path | None,
    python: Path | None,
    labels: str | None,
    metrics: tuple[str, ...],
    require_compiled: bool,
    no_pickle: bool,
    registry: str | None,
    as_json: bool,
) -> None:
    """Make a bundle of a model: read it, compile it, prove the answers equal.

    SOURCE is a scikit-learn pickle (.pickle, .pkl, .joblib, .skops), .onnx, an XGBoost, LightGBM
    or CatBoost file, an MLflow model folder, file.py:function, or what a registry has:
    models:/NAME@ALIAS, models:/NAME/VERSION, models:/NAME/STAGE, runs:/RUN/PATH.
    """
    flags = {"bundles.allow_pickle": False if no_pickle else None, "registry.url": registry}
    settings = load_settings(flags)
    request = BuildRequest(
        source=source,
        name=name,
        data=data,
        target=target,
        signature=signature,
        code=code,
        labels=labels,
        python=python,
        metrics=_metrics(metrics),
        require_compiled=require_compiled,
    )
    made = build if reference_in(source) is None else build_referred
    bundle = made(request, output, settings, lambda line: click.echo(line, err=True))
    show(value_of(bundle), text_of, as_json=as_json)


@command.command("show")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def show_command(folder: Path, as_json: bool) -> None:
    """Print what a bundle takes, gives and holds, and how it was proven."""
    show(value_of(open_bundle(folder)), text_of, as_json=as_json)


@command.command("verify")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def verify_command(folder: Path, as_json: bool) -> None:
    """Compare a bundle's contents with its digest; ends with 6 if they do not match."""
    bundle = open_bundle(folder)
    show(
        {"folder": str(folder), "digest": bundle.digest, "ok": True},
        lambda value: f"{value['folder']} is what its digest says: {value['digest']}",
        as_json=as_json,
    )


def _metrics(texts: Sequence[str]) -> dict[str, float]:
    """``NAME=NUMBER`` texts as a mapping."""
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not name.strip() or not math.isfinite(number):
            raise click.BadParameter(f"--metric {text}: expected NAME=NUMBER, a finite one")
        found[name] = number
    return found
