"""``modelway demo``: from training to an answering service in one command."""

from __future__ import annotations

from pathlib import Path

import click

from modelway.cli import options
from modelway.composition.demo import check_demo, serve_demo
from modelway.settings import load_settings


@click.command("demo")
@click.option("--port", type=int, help="Port to listen on (8080); 0 takes a free one.")
@click.option("--check", is_flag=True, help="Send the lines, print the answers, and stop.")
@options.home_option
def command(port: int | None, check: bool, home: Path | None) -> int:
    """Train a model, bundle it, serve it, and say what to try.

    The model is a gradient boosting pipeline on scikit-learn's iris data. With --check the lines
    are sent and the command ends with 0 if every answer is right, with 1 if not.
    """
    settings = load_settings({"serve.port": port, "bundles.home": home})
    if check:
        return 0 if check_demo(settings, say=click.echo) else 1
    return serve_demo(settings, say=click.echo)
