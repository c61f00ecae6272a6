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

insecure_option = click.option(
    "--insecure", is_flag=True, help="Let other machines ask for predictions without a key."
)
tls_cert_option = click.option("--tls-cert", metavar="FILE", help="Certificate for TLS (PEM).")
tls_key_option = click.option("--tls-key", metavar="FILE", help="The certificate's key (PEM).")


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
