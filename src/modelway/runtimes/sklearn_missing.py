"""What a fitted estimator takes for a missing text: NaN, as pandas reads files, or None.

To scikit-learn these are two values. An encoder that learnt None takes NaN for unknown, and an
imputer that replaces one leaves the other as it is. So the estimator must be given what it was
fitted on, which its steps have kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from modelway.domain.errors import BuildFailed

MissingText = Literal["nan", "none"]


def missing_text_of(model: Any) -> MissingText:
    """What the steps of the model were fitted on; "nan" where none of them says.

    Categories say what was there. An imputer says only what it looks for, and looks for NaN unless
    told otherwise: it is asked for NaN where no category tells.

    Raises:
        BuildFailed: some step was fitted on NaN and another on None.
    """
    steps = list(_parts(model))
    found = {kind for step in steps for kind in _learnt(step)}
    sought = {kind for step in steps for kind in _sought(step)}
    found |= sought if not found else sought - {"nan"}
    if len(found) > 1:
        raise BuildFailed(
            "some steps of the model take NaN for a missing text and others None, and a request "
            "has only one null",
            hint="fit it on rows whose missing texts are all NaN: rows.replace({None: numpy.nan})",
        )
    return "none" if "none" in found else "nan"


def _parts(model: Any) -> Iterator[Any]:
    """The model and every object inside it, wherever it keeps them, each once."""
    waiting, seen = [model], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one
        elif hasattr(one, "best_estimator_"):
            # A search keeps what it tried as well; only the best one answers.
            waiting.append(one.best_estimator_)
        elif hasattr(one, "__dict__") and not isinstance(one, type):
            yield one
            waiting += vars(one).values()


def _learnt(step: Any) -> Iterator[MissingText]:
    """What is missing among the categories of text that an encoder was fitted on."""
    categories = getattr(step, "categories_", None)
    for known in categories if isinstance(categories, list) else ():
        there = [value for value in known if not _is_missing(value)]
        if np.asarray(known).dtype == object and all(isinstance(value, str) for value in there):
            yield from ("none" if value is None else "nan" for value in known if _is_missing(value))


def _sought(step: Any) -> Iterator[MissingText]:
    """What an imputer of text, or an indicator of what is missing, looks for."""
    marker = getattr(step, "missing_values", "")
    fills = np.ravel(getattr(step, "statistics_", ()))
    if marker is None and not any(isinstance(fill, int | float) and fill == fill for fill in fills):
        yield "none"
    elif _is_missing(marker) and any(isinstance(fill, str) for fill in fills):
        yield "nan"


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)
