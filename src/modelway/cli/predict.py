"""``modelway predict``: the rows of a file, and what the model says of each."""

from __future__ import annotations

from pathlib import Path

import click

from modelway.cli import options
from modelway.composition.predicting import Predicted, predict_file
from modelway.settings import load_settings

_LISTED = 5


@click.command("predict")
@click.argument("model", metavar="URL|BUNDLE|REFERENCE")
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
@click.option(
    "--endpoint", metavar="NAME", help="Endpoint of the service (default: its default endpoint)."
)
@click.option("--batch-rows", type=click.IntRange(1, 1_000_000), default=1000, show_default=True)
@options.registry_option
def command(
    model: str,
    source: Path,
    output: Path | None,
    endpoint: str | None,
    batch_rows: int,
    registry: str | None,
) -> None:
    """Predict the rows of a file with a running service, a bundle or a version of a registry.

    The answer is the rows as they came, with the prediction and, where the model has them, the
    probabilities beside them as columns of their own. It is written when every row is answered:
    where one is not, the output file stays as it was. What was unusual about the rows is summed up
    on standard error.
    """
    found = predict_file(
        *(model, source, output),
        endpoint=endpoint,
        batch_rows=batch_rows,
        settings=load_settings({"registry.url": registry}),
        say=lambda line: click.echo(line, err=True),
    )
    click.echo(_summary(found), err=True)


def _summary(found: Predicted) -> str:
    lines = [f"{found.n_rows} rows predicted"]
    if found.unknown:
        some = ", ".join(found.unknown[:_LISTED])
        more = _more(len(found.unknown))
        lines.append(f"warning: columns that the model does not know: {some}{more}")
    if found.unusual:
        least = "" if found.all_listed else "at least "
        lines.append(f"warning: {least}{found.n_unusual} of {found.n_rows} rows are unusual")
        for one in list(found.unusual.values())[:_LISTED]:
            count = f"{least}{one.n_rows} row{'' if one.n_rows == 1 else 's'}"
            lines.append(f"  {one.code} in {count}, first in row {one.first_row}: {one.message}")
        if len(found.unusual) > _LISTED:
            lines.append(f" {_more(len(found.unusual))}")
    return "\n".join(lines)


def _more(n: int) -> str:
    return f" and {n - _LISTED} more" if n > _LISTED else ""
