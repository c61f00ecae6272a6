"""Estimators made of estimators that only pass columns on: pipelines and column transformers."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features, joined, numbers
from modelway.domain.errors import NotCompilable


def before_last(c: Compilation, pipeline: Any, features: Features) -> tuple[Any, Features]:
    """The last step of a pipeline and the features that reach it."""
    for _, step in pipeline.steps[:-1]:
        if step is not None and step != "passthrough":
            features = c.transform(step, features)
    return pipeline.steps[-1][1], features


def pipeline_transform(c: Compilation, pipeline: Any, features: Features) -> Features:
    """``Pipeline.transform``: every step in turn."""
    last, features = before_last(c, pipeline, features)
    return features if last is None or last == "passthrough" else c.transform(last, features)


def pipeline_classify(c: Compilation, pipeline: Any, features: Features) -> Classified:
    """A pipeline that ends in a classifier."""
    last, features = before_last(c, pipeline, features)
    return c.classify(last, features)


def pipeline_regress(c: Compilation, pipeline: Any, features: Features) -> str:
    """A pipeline that ends in a regressor."""
    last, features = before_last(c, pipeline, features)
    return c.regress(last, features)


def pipeline_cluster(c: Compilation, pipeline: Any, features: Features) -> Classified:
    """A pipeline that ends in a clusterer."""
    last, features = before_last(c, pipeline, features)
    return c.cluster(last, features)


def weighted(c: Compilation, features: Features, weight: float | None) -> Features:
    """Features times a transformer's weight; None is no weight."""
    if weight is None:
        return features
    value = c.graph.op("Mul", features.matrix(c.graph), float(weight))
    return numbers(value, features.width, sparse=features.sparse)


def column_transformer(c: Compilation, estimator: Any, features: Features) -> Features:
    """``ColumnTransformer``: each transformer on its columns, the results side by side."""
    weights = estimator.transformer_weights or {}
    parts = []
    for name, transformer, _ in estimator.transformers_:
        index = [int(i) for i in np.atleast_1d(estimator._transformer_to_input_indices[name])]
        # A fitted transformer of no columns adds none to the output.
        if (isinstance(transformer, str) and transformer == "drop") or not index:
            continue
        part = features.select(c.graph, index)
        if not (isinstance(transformer, str) and transformer == "passthrough"):
            part = c.transform(transformer, part)
        parts.append(weighted(c, part, weights.get(name)))
    if not parts:
        raise NotCompilable("a ColumnTransformer that gives no columns")
    return joined(parts, sparse=estimator.sparse_output_)


def feature_union(c: Compilation, estimator: Any, features: Features) -> Features:
    """``FeatureUnion``: every transformer on all columns, the results side by side."""
    weights = estimator.transformer_weights or {}
    parts = []
    for name, transformer in estimator.transformer_list:
        if isinstance(transformer, str) and transformer == "drop":
            continue
        whole = isinstance(transformer, str) and transformer == "passthrough"
        part = features if whole else c.transform(transformer, features)
        parts.append(weighted(c, part, weights.get(name)))
    if not parts:
        raise NotCompilable("a FeatureUnion that gives no columns")
    return joined(parts)


TRANSFORMERS = {
    "sklearn.pipeline.Pipeline": pipeline_transform,
    "sklearn.pipeline.FeatureUnion": feature_union,
    "sklearn.compose._column_transformer.ColumnTransformer": column_transformer,
}
CLASSIFIERS = {"sklearn.pipeline.Pipeline": pipeline_classify}
REGRESSORS = {"sklearn.pipeline.Pipeline": pipeline_regress}
CLUSTERERS = {"sklearn.pipeline.Pipeline": pipeline_cluster}
