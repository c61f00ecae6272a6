"""``modelway up``: everything that a home has."""

from __future__ import annotations

from typing import Any

import click

from modelway.cli import options
from modelway.composition.up import up
from modelway.settings import load_settings

_SETTINGS = {
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
    "store": "store.url",
    "registry": "registry.url",
    "registry_port": "registry.port",
}
"""The setting that each option stands for."""


@click.command("up")
@click.option("--host", help="Address to listen on (127.0.0.1).")
@click.option("--port", type=int, help="Port to listen on (8080); 0 takes a free one.")
@click.option("--socket", help="Path of a Unix socket to listen on instead.")
@click.option("--admin-port", type=int, help="Port of administration and metrics (8090).")
@click.option(
    "--workers", type=int, help="Processes that answer on the one port (one for each core)."
)
@options.insecure_option
@options.tls_cert_option
@options.tls_key_option
@click.option("--grpc", is_flag=True, help="Answer over gRPC too.")
@click.option("--grpc-port", type=int, help="Port for gRPC (8081); 0 takes a free one.")
@click.option("--prefix", help="Path in front of every route, behind a proxy.")
@click.option("--store", metavar="URL", help="Store of control state (SQLite in the home).")
@click.option("--registry", metavar="URL", help="Your own MLflow (the home's, which is started).")
@click.option("--registry-port", type=int, help="Port of the home's own MLflow (8091).")
@click.option("--no-mlflow", is_flag=True, help="Start no MLflow server.")
@options.home_option
def command(no_mlflow: bool, **given: Any) -> int:
    """Serve the endpoints of a home, with its registry, on one machine.

    Everything it keeps is in one folder, so a second start finds all as it was.
    """
    flags = {name: given[o] for o, name in _SETTINGS.items() if given[o] is not False}
    return up(load_settings(flags), click.echo, mlflow=not no_mlflow)
