"""Imputers: what stands in for a missing value, of numbers and of text."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.bundles.manifest import MISSING_TEXT
from modelway.compilers.compilation import Compilation
from modelway.compilers.features import Block, Features, joined, numbers
from modelway.compilers.graph import Graph
from modelway.domain.errors import NotCompilable


def is_nan(value: object) -> bool:
    """Whether a fitted attribute is a floating-point NaN."""
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def missing_mask(graph: Graph, block: Block, marker: object) -> str:
    """Where a block's values are missing, bool; ``marker`` is scikit-learn's ``missing_values``."""
    if block.kind == "string":
        if marker is None or is_nan(marker):
            return graph.op("Equal", block.value, np.array(MISSING_TEXT))
        if isinstance(marker, str):
            return graph.op("Equal", block.value, np.array(marker))
        raise NotCompilable(f"{marker!r} marks missing text")
    if marker is None or is_nan(marker):
        return graph.op("IsNaN", block.value)
    if isinstance(marker, str):
        raise NotCompilable(f"{marker!r} marks missing numbers")
    return graph.op("Equal", block.value, float(marker))  # type: ignore[arg-type]  # a number


def simple_imputer(c: Compilation, estimator: Any, features: Features) -> Features:
    """``SimpleImputer``: the column's statistic; columns that have none are left out."""
    g = c.graph
    parts = []
    statistics = estimator.statistics_
    start = 0
    for block in features.blocks:
        fill = statistics[start : start + block.width]
        start += block.width
        known = np.array([not (is_nan(v) or v is None) for v in fill])
        if estimator.keep_empty_features:
            known[:] = True
        if not known.any():
            continue
        kept = Features((block,)).select(g, np.flatnonzero(known).tolist()).blocks[0]
        mask = missing_mask(g, kept, estimator.missing_values)
        if block.kind == "string":
            values = np.array([str(v) for v in fill[known]], dtype=object)
        else:
            values = fill[known].astype(np.float64)
        parts.append(
            Features((Block(g.op("Where", mask, values, kept.value), kept.width, kept.kind),))
        )
    if not parts:
        raise NotCompilable("an imputer of columns that had no value at all")
    if estimator.add_indicator:
        parts.append(missing_indicator(c, estimator.indicator_, features, estimator.missing_values))
    return joined(parts)


def missing_indicator(
    c: Compilation, estimator: Any, features: Features, marker: object = None
) -> Features:
    """``MissingIndicator``: 1 where a value is missing, of the columns it was fitted to watch."""
    marker = estimator.missing_values if marker is None else marker
    masks = [c.graph.cast(missing_mask(c.graph, b, marker), "double") for b in features.blocks]
    watched = [int(i) for i in estimator.features_]
    if not watched:
        return Features(())
    mask = numbers(c.graph.concatenate(masks), features.width)
    return mask.select(c.graph, watched)


TRANSFORMERS = {
    "sklearn.impute._base.SimpleImputer": simple_imputer,
    "sklearn.impute._base.MissingIndicator": missing_indicator,
}
