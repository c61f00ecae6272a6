"""``modelway batch``: files of any size, scored into one."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import click
import msgspec
from click.core import ParameterSource

from modelway.batch.progress import Progress, bar
from modelway.cli import options
from modelway.cli.exits import ROW_ERRORS
from modelway.cli.rendering import counted, json_option, show
from modelway.composition.batch_scoring import ScoreRequest, score_files
from modelway.settings import load_settings
from modelway.settings.fields import names_of

Tell = Callable[[Progress], object]

_EVERY_S = 1.0
_OF_COMMAND = frozenset(("progress", "registry", "as_json"))
"""Options that do not say what is scored."""


@click.command("batch")
@click.argument("model", metavar="BUNDLE|MODEL|REFERENCE")
@click.option(
    "--input",
    "source",
    required=True,
    help="Rows to score: a .csv, .jsonl or .parquet file, a pattern such as 'rows-*.parquet', or a "
    "table such as 'postgresql://HOST/DATABASE?table=loans'.",
)
@click.option(
    "--output",
    required=True,
    help="Where the rows with their predictions go: a .csv, .jsonl or .parquet file, or a table.",
)
@click.option("--id-column", metavar="NAME", help="Column that tells rows apart; it is kept first.")
@click.option(
    "--columns",
    metavar="NAMES",
    help="Columns to keep, with commas between (the id column, or all where there is none).",
)
@click.option(
    "--batch-rows",
    type=click.IntRange(1, 1_000_000),
    default=8192,
    show_default=True,
    help="Rows that the model is asked at once.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    help="Processes or actors that score (one for each core).",
)
@click.option(
    "--engine",
    type=click.Choice(("local", "ray")),
    default="local",
    show_default=True,
    help="What scores: processes of this machine, or actors of a Ray cluster that sees its files.",
)
@click.option(
    "--address",
    envvar="RAY_ADDRESS",
    metavar="HOST:PORT",
    help="Where the Ray cluster is (RAY_ADDRESS, or this machine).",
)
@click.option(
    "--max-errors",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Rows that may be without an answer; with one more it stops.",
)
@click.option(
    "--errors",
    type=click.Path(path_type=Path),
    help="Where rows without an answer are listed (OUTPUT.errors.jsonl).",
)
@click.option("--resume", is_flag=True, help="Go on with what an earlier run has begun.")
@click.option(
    "--progress",
    type=click.Choice(("auto", "bar", "json", "none")),
    default="auto",
    show_default=True,
    help="What is said on standard error meanwhile: a bar (auto: on a terminal), or a line of JSON "
    "a second.",
)
@click.option("--receipt", type=click.Path(path_type=Path), hidden=True)
@options.registry_option
@json_option
def command(progress: str, registry: str | None, as_json: bool, **_: Any) -> int:
    """Score the rows of files, of any size, with a bundle, a model or a version of a registry.

    Every row is answered as a service would answer it, in the order of the input. Rows that do not
    fit the model are listed in a file of their own. What is done is kept in OUTPUT.parts until all
    is: a run that was ended, however it was, is gone on with by the same command and --resume, and
    its output has the same bytes as if nothing had happened.

    It ends with 0 where every row is answered, 11 where some are listed instead, 12 where these are
    more than --max-errors, and 130 where it was interrupted.
    """
    request = score_request(click.get_current_context())
    settings = load_settings({"registry.url": registry})
    signal.signal(signal.SIGTERM, _interrupt)
    telling = _Telling(progress)
    try:
        scored = score_files(request, settings, telling.say, telling.tell)
    except KeyboardInterrupt:
        telling.end()
        click.echo(
            f"interrupted; what is done is kept in {request.target.beside}.parts: the same command "
            "with --resume goes on",
            err=True,
        )
        raise
    finally:
        telling.end()
    show(scored, _summary, as_json=as_json)
    return ROW_ERRORS if scored.errors else 0


def score_request(context: click.Context) -> ScoreRequest:
    """What the words of the command ask for.

    Raises:
        click.UsageError: options that do not go together.
    """
    given = {name: value for name, value in context.params.items() if name not in _OF_COMMAND}
    columns, source = given.pop("columns"), context.get_parameter_source("address")
    if source is ParameterSource.COMMANDLINE and given["engine"] != "ray":
        raise click.UsageError("--address is for --engine ray")
    names = None if columns is None else tuple(names_of(columns))
    return ScoreRequest(columns=names, **given)


class _Telling:
    """Says on standard error how far a run is."""

    def __init__(self, wish: str) -> None:
        is_terminal = sys.stderr.isatty()
        self._wish = ("bar" if is_terminal else "none") if wish == "auto" else wish
        self._last_s = 0.0
        self._open = False

    def say(self, line: str) -> None:
        """Say a line."""
        click.echo(line, err=True)

    def tell(self, progress: Progress) -> None:
        """Say how far it is, where that is wanted and was not said just now."""
        now = time.monotonic()
        is_all = progress.rows == progress.total_rows
        every_s = _EVERY_S if self._wish == "json" else _EVERY_S / 10
        if self._wish == "none" or (now - self._last_s < every_s and not is_all):
            return
        self._last_s = now
        if self._wish == "json":
            click.echo(msgspec.json.encode(progress), err=True)
            return
        width = shutil.get_terminal_size().columns - 1
        click.echo(f"\r{bar(progress, width):<{width}}", err=True, nl=False)
        self._open = True

    def end(self) -> None:
        """End the line of the bar."""
        if self._open:
            click.echo(err=True)
        self._open = False


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _summary(scored: Mapping[str, Any]) -> str:
    lines = [
        f"{counted(scored['rows'], 'row')} scored in {scored['seconds']:.1f} s "
        f"({scored['rows_per_s']:,.0f} rows/s) to {scored['output']}"
    ]
    if scored["resumed_rows"]:
        lines.append(f"{counted(scored['resumed_rows'], 'row')} were done by an earlier run")
    if scored["errors"]:
        without = counted(scored["errors"], "row")
        lines.append(f"{without} without an answer, listed in {scored['errors_file']}")
    return "\n".join(lines)
