"""``modelway predict``: the rows of a file, and what the model says of each."""

from __future__ import annotations

from pathlib import Path

import click

from modelway.composition.predicting import predict_file
from modelway.settings import load_settings


@click.command("predict")
@click.argument("model", metavar="URL|BUNDLE")
@click.option(
    "--input",
    "source",
    type=click.Path(path_type=Path),
    required=True,
    help="Rows to predict: .csv, .jsonl or .parquet.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Where the rows with their predictions go: .csv, .jsonl or .parquet (default: standard "
    "output, in the form of the input, .csv for .parquet).",
)
@click.option("--batch-rows", type=click.IntRange(1, 1_000_000), default=1000, show_default=True)
def command(model: str, source: Path, output: Path | None, batch_rows: int) -> None:
    """Predict the rows of a file with a running service or a bundle.

    The answer is the rows as they came, with the prediction and, where the model has them, the
    probabilities beside them as columns of their own.
    """
    rows = predict_file(model, source, output, batch_rows=batch_rows, settings=load_settings())
    click.echo(f"{rows} rows predicted", err=True)
