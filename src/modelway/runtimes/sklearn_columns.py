"""Which columns an estimator was fitted on as text, read from what its first steps have learnt.

A CSV file does not say whether the 0 in it was a number or a text, and an encoder that was fitted
on ``"0"`` takes the number 0 for an unknown category. Encoders keep their categories, imputers what
they fill in, vectorisers their words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


def text_columns(model: Any, names: Sequence[str]) -> set[str]:
    """The names of the columns that some first step of the model was fitted on as text."""
    return {names[i] for i in _text_places(model, names, range(len(names)))}


def _text_places(step: Any, names: Sequence[str], places: Sequence[int]) -> Iterator[int]:
    """Of ``places``, the columns that are given to ``step`` in this order, those of text."""
    if hasattr(step, "transformers_"):
        for _, inner, selected in step.transformers_:
            if not isinstance(inner, str):
                yield from _text_places(inner, names, _selected(selected, names, places))
    elif hasattr(step, "steps"):
        for _, inner in step.steps:
            if inner is None or inner == "passthrough":
                continue
            yield from _text_places(inner, names, places)
            # A later step sees the same columns only where this one keeps them as they are.
            if not _keeps_columns(inner):
                return
    elif hasattr(step, "transformer_list"):
        for _, inner in step.transformer_list:
            yield from _text_places(inner, names, places)
    elif hasattr(step, "vocabulary_"):
        yield from places
    else:
        learnt = getattr(step, "categories_", None)
        if learnt is None:
            learnt = [[value] for value in np.ravel(getattr(step, "statistics_", ()))]
        if len(learnt) == len(places):
            yield from (i for i, v in zip(places, learnt, strict=True) if _is_text(v))


def _selected(selected: Any, names: Sequence[str], places: Sequence[int]) -> list[int]:
    """The columns that a ColumnTransformer gives a step: by name, place, slice or mask."""
    if isinstance(selected, str | int | np.integer):
        selected = [selected]
    if isinstance(selected, slice):
        if isinstance(selected.start, str) or isinstance(selected.stop, str):
            known = [names[i] for i in places]
            start = known.index(selected.start) if selected.start else None
            stop = known.index(selected.stop) + 1 if selected.stop else None
            selected = slice(start, stop)
        return list(places[selected])
    chosen = np.asarray(selected)
    if chosen.dtype == bool:
        return [i for i, is_taken in zip(places, chosen, strict=True) if is_taken]
    if chosen.dtype.kind in "iu":
        return [places[int(i)] for i in chosen]
    by_name = {names[i]: i for i in places}
    return [by_name[str(name)] for name in chosen if str(name) in by_name]


def _keeps_columns(step: Any) -> bool:
    """Whether what a step gives has the columns that it was given, in their order."""
    width = getattr(step, "n_features_in_", None)
    return hasattr(step, "statistics_") and len(step.statistics_) == width


def _is_text(values: Any) -> bool:
    """Whether the values that are there are text."""
    there = [v for v in values if v is not None and v == v]
    return bool(there) and all(isinstance(v, str) for v in there)
