"""Encoders of categories: each value becomes its position, the position becomes numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.bundles.manifest import MISSING_TEXT
from modelway.compilers.compilation import Compilation
from modelway.compilers.features import Features, joined, numbers
from modelway.compilers.graph import ML, Graph
from modelway.compilers.sklearn.imputers import is_nan
from modelway.domain.errors import NotCompilable

_UNKNOWN = -1


def positions(graph: Graph, features: Features, categories: Sequence[Any]) -> list[str]:
    """For each column the position of its value in that column's categories, int64 (n_rows, 1).

    -1 for a value that is none of them. A category NaN or None stands for a missing value.
    """
    found = []
    for i, known in enumerate(categories):
        column = features.select(graph, [i])
        if features.kinds[i] == "string":
            found.append(_text_position(graph, column.text(graph), known))
        else:
            found.append(_number_position(graph, column.matrix(graph), known))
    return found


def _text_position(graph: Graph, value: str, known: Any) -> str:
    keys = []
    for category in known:
        if category is None or is_nan(category):
            keys.append(MISSING_TEXT)
        elif isinstance(category, str):
            keys.append(str(category))
        else:
            raise NotCompilable(f"a text column with the category {category!r}")
    if len(set(keys)) != len(keys):
        raise NotCompilable("both NaN and None are categories of one column")
    return graph.op(
        "LabelEncoder",
        value,
        domain=ML,
        keys_strings=keys,
        values_int64s=list(range(len(keys))),
        default_int64=_UNKNOWN,
    )


def _number_position(graph: Graph, value: str, known: Any) -> str:
    missing = [i for i, v in enumerate(known) if v is None or is_nan(v)]
    plain = np.array([v for v in known if not (v is None or is_nan(v))], dtype=object)
    if any(isinstance(v, str) for v in plain):
        raise NotCompilable("a numeric column with text categories")
    # Equal in float64, one column a category; missing ones come last, as scikit-learn sorts them.
    same = graph.op("Equal", value, plain.astype(np.float64).reshape(1, -1))
    if missing:
        same = graph.concatenate([same, graph.op("IsNaN", value)])
    marked = graph.cast(same, "int64")
    place = graph.op("ArgMax", marked, axis=1, keepdims=1)
    any_of_them = graph.op("ReduceMax", marked, np.array([1], dtype=np.int64), keepdims=1)
    return graph.op("Where", graph.cast(any_of_them, "bool"), place, _UNKNOWN)


def group_of(estimator: Any, column: int) -> tuple[npt.NDArray[np.int64], int]:
    """Where each position of a column goes once rare categories are grouped, and an unknown one.

    A category for missing values, which scikit-learn leaves out of the grouping, keeps its place.
    """
    places = np.arange(len(estimator.categories_[column]), dtype=np.int64)
    if not getattr(estimator, "_infrequent_enabled", False):
        return places, _UNKNOWN
    rare = estimator._infrequent_indices[column]
    if rare is None:
        return places, _UNKNOWN
    mapping = np.asarray(estimator._default_to_infrequent_mappings[column], dtype=np.int64)
    places[: len(mapping)] = mapping
    known = estimator.handle_unknown in ("infrequent_if_exist", "warn")
    return places, int(mapping[rare[0]]) if known else _UNKNOWN


def looked_up(graph: Graph, place: str, values: npt.NDArray[Any], unknown: float | int) -> str:
    """``values[place]``, or ``unknown`` where the place is -1."""
    table = np.append(values, np.array([unknown], dtype=values.dtype))
    inside = graph.op("Where", graph.op("Less", place, 0), len(values), place)
    return graph.op("Gather", table, inside, axis=0)


def one_hot_encoder(c: Compilation, estimator: Any, features: Features) -> Features:
    """``OneHotEncoder``: a column a category, but those grouped or dropped."""
    g = c.graph
    drop = estimator._drop_idx_after_grouping
    parts = []
    for i, place in enumerate(positions(g, features, estimator.categories_)):
        place = looked_up(g, place, *group_of(estimator, i))
        width = estimator._n_features_outs[i]
        kept = np.arange(width + 1)
        if drop is not None and drop[i] is not None:
            kept = np.delete(kept, int(drop[i]))
        if width:
            hot = g.cast(
                g.op("Equal", place, kept[:width].astype(np.int64).reshape(1, -1)), "double"
            )
            parts.append(numbers(hot, width))
    return joined(parts, sparse=bool(estimator.sparse_output))


def ordinal_encoder(c: Compilation, estimator: Any, features: Features) -> Features:
    """``OrdinalEncoder``: the position itself, with codes of their own for missing and unknown."""
    g = c.graph
    parts = []
    for i, place in enumerate(positions(g, features, estimator.categories_)):
        missing = estimator._missing_indices.get(i)
        codes = group_of(estimator, i)[0].astype(np.float64)
        if missing is not None:
            codes[missing] = estimator.encoded_missing_value
        unknown = estimator.unknown_value
        code = looked_up(g, place, codes, np.nan if unknown is None else float(unknown))
        parts.append(numbers(code, 1))
    return joined(parts)


def target_encoder(c: Compilation, estimator: Any, features: Features) -> Features:
    """``TargetEncoder``: each category's encoding, the target's mean for unknown ones."""
    g = c.graph
    places = positions(g, features, estimator.categories_)
    means = np.atleast_1d(estimator.target_mean_)
    per_column = len(estimator.classes_) if estimator.target_type_ == "multiclass" else 1
    parts = []
    for k, encoding in enumerate(estimator.encodings_):
        unknown = float(means[k % per_column])
        value = looked_up(g, places[k // per_column], np.asarray(encoding, np.float64), unknown)
        parts.append(numbers(value, 1))
    return joined(parts)


TRANSFORMERS = {
    "sklearn.preprocessing._encoders.OneHotEncoder": one_hot_encoder,
    "sklearn.preprocessing._encoders.OrdinalEncoder": ordinal_encoder,
    "sklearn.preprocessing._target_encoder.TargetEncoder": target_encoder,
}
