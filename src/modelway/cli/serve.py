"""``modelway serve``: models in, a service out."""

from __future__ import annotations

from pathlib import Path

import click

from modelway.cli import options
from modelway.composition.serving import ServeRequest, serve
from modelway.settings import load_settings


@click.command("serve")
@click.argument("sources", nargs=-1, required=True, metavar="[NAME=]SOURCE...")
@click.option("--host", help="Address to listen on (127.0.0.1).")
@click.option("--port", type=int, help="Port to listen on (8080); 0 takes a free one.")
@click.option("--workers", type=int, help="Processes that answer on the one port (1).")
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
@click.option("--prefix", help="Path in front of every route, behind a proxy.")
@click.option("--strict", is_flag=True, help="Refuse values outside what the model was trained on.")
def command(
    sources: tuple[str, ...],
    host: str | None,
    port: int | None,
    workers: int | None,
    routes: tuple[str, ...],
    output_names: tuple[str, ...],
    data: Path | None,
    target: str | None,
    code: Path | None,
    labels: str | None,
    python: Path | None,
    no_pickle: bool,
    home: Path | None,
    prefix: str | None,
    strict: bool,
) -> int:
    """Answer predictions over HTTP.

    SOURCE is a bundle, or a model: a scikit-learn pickle (.pickle, .pkl, .joblib, .skops), .onnx,
    an XGBoost, LightGBM or CatBoost file, an MLflow model folder, or file.py:function. A model
    becomes a bundle first, once. Several are served as NAME=SOURCE.
    """
    settings = load_settings(
        {
            "serve.host": host,
            "serve.port": port,
            "serve.workers": workers,
            "rest.prefix": prefix,
            "inference.strict": strict or None,
            "bundles.home": home,
            "bundles.allow_pickle": False if no_pickle else None,
        }
    )
    request = ServeRequest(
        sources=sources,
        routes=options.pairs(routes, "--route"),
        output_names=options.pairs(output_names, "--output-name"),
        data=data,
        target=target,
        code=code,
        labels=labels,
        python=python,
    )
    return serve(request, settings, say=click.echo)
