"""``modelway serve``: models in, a service out."""

from __future__ import annotations

from typing import Any

import click

from modelway.cli import options
from modelway.composition.serving import ServeRequest, serve
from modelway.settings import load_settings

_SETTINGS = {
    **options.LISTENING,
    "registry": "registry.url",
    "sagemaker": "rest.sagemaker",
    "strict": "inference.strict",
}
"""The setting that each option stands for."""


@click.command("serve")
@click.argument("sources", nargs=-1, metavar="[NAME=]SOURCE...")
@options.listening
@click.option("--watch", is_flag=True, help="Serve a source anew when its files change.")
@click.option(
    "--route",
    "routes",
    multiple=True,
    metavar="[NAME=]PATH",
    help="Path with columns in it that answers too: clf=/predict/{loc}/{mcc}.",
)
@click.option(
    "--output-name",
    "output_names",
    multiple=True,
    metavar="[NAME=]WORD",
    help="Word for the key 'prediction' in answers.",
)
@options.data_option
@options.target_option
@options.code_option
@options.labels_option
@options.python_option
@options.no_pickle_option
@options.home_option
@options.registry_option
@click.option("--prefix", help="Path in front of every route, behind a proxy.")
@click.option("--sagemaker", help="Folder of models for SageMaker's multi-model contract.")
@click.option("--strict", is_flag=True, help="Refuse values outside what the model was trained on.")
def command(sources: tuple[str, ...], **given: Any) -> int:
    """Answer predictions over HTTP.

    SOURCE is a bundle, or a model: a scikit-learn pickle (.pickle, .pkl, .joblib, .skops), .onnx,
    an XGBoost, LightGBM or CatBoost file, an MLflow model folder, file.py:function, or what a
    registry has: models:/NAME@ALIAS, models:/NAME/VERSION, models:/NAME/STAGE, runs:/RUN/PATH. A
    model becomes a bundle first, once. Several are served as NAME=SOURCE.
    """
    flags = {name: given[o] for o, name in _SETTINGS.items() if given[o] is not False}
    flags["bundles.allow_pickle"] = False if given["no_pickle"] else None
    settings = load_settings(flags)
    if not (sources or settings.rest.sagemaker):
        raise click.UsageError("Missing argument '[NAME=]SOURCE...'.")
    request = ServeRequest(
        sources=sources,
        routes=options.pairs(given["routes"], "--route"),
        output_names=options.pairs(given["output_names"], "--output-name"),
        data=given["data"],
        target=given["target"],
        code=given["code"],
        labels=given["labels"],
        python=given["python"],
        watch=given["watch"],
    )
    return serve(request, settings, say=click.echo)
