"""Bundles made in a notebook, of a model that is in memory."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelway.bundles.cache import Cache
from modelway.bundles.store import Bundle
from modelway.composition.bundling import BuildRequest, build_into, build_to, order_of
from modelway.composition.interpreters import own_interpreter
from modelway.domain.errors import InvalidInput, MissingExtra
from modelway.settings import load_settings


def bundle(
    model: Any,
    data: Any = None,
    *,
    name: str | None = None,
    output: str | Path | None = None,
    target: str | None = None,
    labels: Sequence[str] = (),
) -> Bundle:
    """A bundle of a fitted model: compiled, proven equal, ready for ``modelway serve``.

    ``data`` are its training rows, shape (n_rows, n_columns): a DataFrame, an array, or a
    dictionary of columns; ``target`` is the column in it that the model predicts, if it is there.
    ``labels`` are names in the order of the model's classes. Without ``output`` the bundle goes
    into the home. The model is pickled on the way; classes of the notebook go with it.

    Raises:
        InvalidInput: ``data`` is nothing with columns, or ``model`` is a function or a class.
        TargetExists: something is in ``output``.
        MissingExtra: a library for the model is not installed.
        ModelwayError: the build failed.
    """
    if inspect.isroutine(model) or inspect.isclass(model):
        kind = "class" if inspect.isclass(model) else "function"
        raise InvalidInput(
            f"{model.__name__} is no fitted model but a {kind}",
            hint=f"write it to a file: modelway bundle build rules.py:{model.__name__}",
        )
    settings = load_settings()
    with tempfile.TemporaryDirectory(prefix="modelway-") as temporary:
        folder = Path(temporary)
        request = BuildRequest(
            source=str(_pickled(model, folder)),
            name=name or type(model).__name__,
            data=None if data is None else _written(data, folder),
            target=target,
        )
        # The pickle was made here a moment ago: there is nobody to distrust.
        order = replace(order_of(request, allow_pickle=True), labels=tuple(labels))
        if output is not None:
            return build_to(Path(output), order, own_interpreter(), print)
        return build_into(Cache(settings.bundles.home), None, order, own_interpreter(), print)


def _pickled(model: Any, folder: Path) -> Path:
    try:
        import cloudpickle
    except ImportError:
        raise MissingExtra("cloudpickle", "sklearn", "bundling a model from memory") from None
    path = folder / "model.pickle"
    with path.open("wb") as stream:
        cloudpickle.dump(model, stream)
    return path


def _written(data: Any, folder: Path) -> Path:
    """The rows as a file: Parquet, which keeps the types, where it can be written, else CSV."""
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtra("pandas", "sklearn", "training data from memory") from None

    frame = data
    if not isinstance(data, pd.DataFrame):
        try:
            frame = pd.DataFrame(data)
        except ValueError as error:
            raise InvalidInput(f"data is nothing with rows and columns: {error}") from error
        if not isinstance(data, Mapping):
            frame.columns = [f"x{i + 1}" for i in range(frame.shape[1])]
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1).reset_index(drop=True)
    path = folder / "training.parquet"
    try:
        frame.to_parquet(path, index=False)
    except (ImportError, ValueError, TypeError):  # pyarrow's own errors are of these kinds
        path = folder / "training.csv"
        frame.to_csv(path, index=False)
    return path
