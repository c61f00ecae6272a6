"""Neighbours: the nearest so many training rows vote, or all of those within a radius.

Source: scikit-learn, neighbors/_classification.py, _regression.py, _nearest_centroid.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.arithmetic import (
    added,
    first_largest,
    pairwise_sum,
    posterior,
)
from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features
from modelway.compilers.graph import Graph
from modelway.compilers.sklearn.distances import direct, expanded, learned_points, lowest
from modelway.compilers.sklearn.neighbor_search import found_neighbours, measured
from modelway.domain.errors import NotCompilable


def nearest_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``KNeighborsClassifier``: a count of the labels, or a sum of inverse distances."""
    if estimator.outputs_2d_:
        raise NotCompilable("neighbours that predict several labels at once")
    g = c.graph
    n_classes = len(estimator.classes_)
    labels = np.asarray(estimator._y, dtype=np.int64).ravel()
    place, distance = found_neighbours(g, estimator, features, labels)
    label = g.op("Gather", labels, place)
    hit = g.op("Equal", g.op("Unsqueeze", label, _FIRST), np.arange(n_classes)[None, :, None])
    weight = _weights(g, estimator, distance)
    if not weight:
        votes = g.op("ReduceSum", g.cast(hit, "double"), _LAST, keepdims=0)
        return Classified(g.argmax(votes), g.op("Div", votes, float(estimator.n_neighbors)))
    weighted = g.op("Where", hit, g.op("Unsqueeze", weight, _FIRST), 0.0)
    total = g.op("Squeeze", pairwise_sum(g, weighted, estimator.n_neighbors), _LAST)
    votes = g.op("Squeeze", added(g, weighted, estimator.n_neighbors), _LAST)
    return Classified(g.argmax(total), g.op("Div", votes, added(g, votes, n_classes)))


def nearest_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``KNeighborsRegressor``: the mean of the targets, or one weighted by inverse distances."""
    g = c.graph
    targets = np.asarray(estimator._y, dtype=np.float64)
    targets = targets[:, None] if targets.ndim == 1 else targets
    place, distance = found_neighbours(g, estimator, features, targets)
    value = g.op("Gather", targets, place)
    weight = _weights(g, estimator, distance)
    if not weight:
        return g.op(
            "Div", g.op("ReduceSum", value, _FIRST, keepdims=0), float(estimator.n_neighbors)
        )
    crossed = g.op("MatMul", g.op("Unsqueeze", weight, _FIRST), value)
    return g.op("Div", g.op("Squeeze", crossed, _FIRST), added(g, weight, estimator.n_neighbors))


def _weights(g: Graph, estimator: Any, distance: str) -> str:
    """Inverse distances, 1 and 0 where some are 0; nothing where all count alike."""
    if estimator.weights in (None, "uniform"):
        return ""
    if not isinstance(estimator.weights, str):
        raise NotCompilable("weights of neighbours by a function of the user's own")
    inverse = g.op("Div", 1.0, distance)
    is_infinite = g.op("IsInf", inverse)
    some = g.op("ReduceMax", g.cast(is_infinite, "double"), np.array([1]), keepdims=1)
    return g.op("Where", g.cast(some, "bool"), g.cast(is_infinite, "double"), inverse)


def within_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``RadiusNeighborsClassifier``: a row without neighbours fails, or has the outlier's label."""
    if estimator.outputs_2d_:
        raise NotCompilable("neighbours that predict several labels at once")
    g = c.graph
    weight = _within(g, estimator, features)
    classes = np.asarray(estimator.classes_).tolist()
    labels = np.asarray(estimator._y, dtype=np.int64).ravel()
    votes = g.op("MatMul", weight, (labels[:, None] == np.arange(len(classes))).astype(float))
    total = added(g, votes, len(classes))
    alone = g.op("Equal", total, 0.0)
    shares = g.op("Div", votes, g.op("Where", alone, 1.0, total))
    if estimator.outlier_label_ is None:
        # A position behind the last class: the graph fails, as the original does.
        place = g.op("Where", g.flatten(alone), len(classes), g.argmax(shares))
        return Classified(g.op("Gather", np.arange(len(classes)), place), shares)
    outlier = np.asarray(estimator.outlier_label_).tolist()[0]
    if outlier not in classes:
        raise NotCompilable("a label for outliers that no training row has")
    one = (np.arange(len(classes)) == classes.index(outlier)).astype(float)
    shares = g.op("Where", alone, one[None, :], shares)
    return Classified(g.argmax(shares), shares)


def within_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``RadiusNeighborsRegressor``: NaN for a row without neighbours."""
    g = c.graph
    weight = _within(g, estimator, features)
    targets = np.asarray(estimator._y, dtype=np.float64)
    targets = targets[:, None] if targets.ndim == 1 else targets
    return g.op("Div", g.op("MatMul", weight, targets), added(g, weight, len(targets)))


def _within(g: Graph, estimator: Any, features: Features) -> str:
    """What each training row counts for, 0 beyond the radius, double (n_rows, n_points)."""
    powered, distance = measured(g, estimator, features)
    reach = _powered_radius(estimator)
    is_near = g.op("LessOrEqual", powered, reach)
    if estimator.weights in (None, "uniform"):
        return g.cast(is_near, "double")
    infinite = float(np.inf)
    return _weights(g, estimator, g.op("Where", is_near, distance, infinite))


def _powered_radius(estimator: Any) -> float:
    radius = float(estimator.radius)
    metric = estimator.effective_metric_
    if metric == "euclidean":
        return radius * radius
    if metric == "minkowski":
        return float(radius ** float(estimator.effective_metric_params_["p"]))
    return radius


def centroid_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``NearestCentroid``: the nearest centroid, or the likeliest by its share of rows."""
    g = c.graph
    rows = features.matrix(g)
    centroids = learned_points(estimator.centroids_, features.width)
    n_classes = len(centroids)
    spread = np.asarray(estimator.within_class_std_dev_, dtype=np.float64)
    spread = np.where(spread != 0, spread, 1.0)
    is_euclidean = estimator.metric == "euclidean"
    scaled = g.op("Div", rows, spread)
    if is_euclidean:
        distance = g.op("Sqrt", expanded(g, scaled, centroids / spread))
    else:
        distance = direct(g, scaled, centroids / spread, 1)
    distance = g.op("Mul", distance, distance)
    prior = np.asarray(estimator.class_prior_, dtype=np.float64)
    score = g.op("Add", g.op("Neg", distance), 2.0 * np.log(prior))
    if not np.isclose(prior, 1 / n_classes).all():
        index = first_largest(g, score)
    elif is_euclidean:
        index = lowest(g, expanded(g, rows, centroids))
    else:
        index = lowest(g, direct(g, rows, centroids, 1))
    if not is_euclidean:
        return Classified(index)
    decision = score
    if n_classes == 2:
        decision = g.op("Sub", g.columns(score, [1]), g.columns(score, [0]))
    return Classified(index, posterior(g, score, n_classes), decision)


_FIRST = np.array([1], dtype=np.int64)
_LAST = np.array([2], dtype=np.int64)
_MODULE = "sklearn.neighbors"

CLASSIFIERS = {
    f"{_MODULE}._classification.KNeighborsClassifier": nearest_classify,
    f"{_MODULE}._classification.RadiusNeighborsClassifier": within_classify,
    f"{_MODULE}._nearest_centroid.NearestCentroid": centroid_classify,
}
REGRESSORS = {
    f"{_MODULE}._regression.KNeighborsRegressor": nearest_regress,
    f"{_MODULE}._regression.RadiusNeighborsRegressor": within_regress,
}
