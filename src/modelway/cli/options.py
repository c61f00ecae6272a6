"""Options that several commands share, and the ``NAME=VALUE`` pairs some of them take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from modelway.domain.names import check_name

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Training data (.csv, .parquet): types, ranges and categories are read from it.",
)
target_option = click.option("--target", help="Column of --data that the model predicts.")
code_option = click.option(
    "--code",
    type=click.Path(path_type=Path),
    help="File or folder with the classes that the model's pickle needs.",
)
python_option = click.option(
    "--python",
    type=click.Path(path_type=Path),
    help="Virtual environment, or its python, to read the model with.",
)
labels_option = click.option(
    "--labels",
    help="Names for the labels, in the order of the classes: setosa,versicolor,virginica.",
)
no_pickle_option = click.option(
    "--no-pickle", is_flag=True, help="Refuse a pickle, which would run code in it."
)
home_option = click.option(
    "--home", type=click.Path(path_type=Path), help="Folder for what Modelway keeps."
)

registry_option = click.option(
    "--registry", metavar="URL", help="MLflow's tracking server (the home's own)."
)

_ELSEWHERE = (
    click.option(
        "--bundles", metavar="URL", help="Where hosts share bundles: s3://..., file://..."
    ),
    click.option("--records", metavar="URL", help="Where records are kept (the home)."),
)

_LISTENING = (
    click.option("--host", help="Address to listen on (127.0.0.1)."),
    click.option("--port", type=int, help="Port to listen on (8080); 0 takes a free one."),
    click.option("--socket", help="Path of a Unix socket to listen on instead."),
    click.option("--admin-port", type=int, help="Port of administration and metrics (8090)."),
    click.option(
        "--workers", type=int, help="Processes that answer on the one port (one for each core)."
    ),
    click.option(
        "--insecure", is_flag=True, help="Let other machines ask for predictions without a key."
    ),
    click.option("--tls-cert", metavar="FILE", help="Certificate for TLS (PEM)."),
    click.option("--tls-key", metavar="FILE", help="The certificate's key (PEM)."),
    click.option("--grpc", is_flag=True, help="Answer over gRPC too."),
    click.option("--grpc-port", type=int, help="Port for gRPC (8081); 0 takes a free one."),
)

LISTENING: Mapping[str, str] = {
    "host": "serve.host",
    "port": "serve.port",
    "socket": "serve.socket",
    "workers": "serve.workers",
    "insecure": "serve.insecure",
    "tls_cert": "serve.tls_cert",
    "tls_key": "serve.tls_key",
    "admin_port": "admin.port",
    "grpc": "grpc.enabled",
    "grpc_port": "grpc.port",
    "prefix": "rest.prefix",
    "home": "bundles.home",
}
"""The setting that each option stands for where a service listens."""


def elsewhere(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of where a home has bundles and records that others see."""
    for option in reversed(_ELSEWHERE):
        command = option(command)
    return command


def listening(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of where and how a service listens."""
    for option in reversed(_LISTENING):
        command = option(command)
    return command


def pairs(texts: Sequence[str], option: str) -> Mapping[str | None, str]:
    """``NAME=VALUE`` texts as a mapping; a text without a name is under None.

    Raises:
        click.BadParameter: a name comes twice.
        InvalidName: a name may not name an endpoint.
    """
    found: dict[str | None, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        key = check_name(name) if equals else None
        if key in found:
            raise click.BadParameter(f"{option} is given twice for {key or 'the default'}")
        found[key] = value if equals else text
    return found
