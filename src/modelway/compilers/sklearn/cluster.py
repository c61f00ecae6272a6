"""Clusters with centres: the nearest one, or the distances to all of them.

Source: scikit-learn, cluster/_kmeans.py, _bisect_k_means.py, _birch.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features, numbers
from modelway.compilers.graph import Graph
from modelway.compilers.sklearn.distances import (
    Floats,
    expanded,
    learned_points,
    lowest,
    squared_norms,
)
from modelway.domain.errors import NotCompilable


def means_cluster(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``KMeans``, ``MiniBatchKMeans``."""
    centres = learned_points(estimator.cluster_centers_, features.width)
    return Classified(_nearest_mean(c.graph, features.matrix(c.graph), centres))


def _nearest_mean(g: Graph, rows: str, centres: Floats) -> str:
    """The nearest centre, by the expanded distance without the row's own norm."""
    crossed = g.op("MatMul", rows, np.ascontiguousarray(-2.0 * centres.T))
    return lowest(g, g.op("Add", crossed, squared_norms(centres)))


def centred_cluster(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``MeanShift``, ``AffinityPropagation``."""
    if not len(getattr(estimator, "cluster_centers_", ())):
        raise NotCompilable("clusters without centres")
    centres = learned_points(estimator.cluster_centers_, features.width)
    return Classified(lowest(c.graph, expanded(c.graph, features.matrix(c.graph), centres)))


def birch_cluster(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``Birch``: the label of the nearest subcluster."""
    centres = learned_points(estimator.subcluster_centers_, features.width)
    place = lowest(c.graph, expanded(c.graph, features.matrix(c.graph), centres))
    labels = np.asarray(estimator.subcluster_labels_, dtype=np.int64)
    return Classified(c.graph.op("Gather", labels, place))


def bisected_cluster(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``BisectingKMeans``: down the tree of halves, to the nearer centre each time."""
    g = c.graph
    rows = features.matrix(g)
    mean = getattr(estimator, "_X_mean", 0.0)

    def below(node: Any) -> str:
        if node.left is None:
            return g.constant(np.array(node.label, dtype=np.int64))
        centres = np.vstack((node.left.center, node.right.center)) + mean
        is_right = g.cast(_nearest_mean(g, rows, centres), "bool")
        return g.op("Where", is_right, below(node.right), below(node.left))

    return Classified(below(estimator._bisecting_tree))


def distances_to_centres(c: Compilation, estimator: Any, features: Features) -> Features:
    """``KMeans``, ``Birch`` and the like as transformers."""
    found = getattr(estimator, "cluster_centers_", None)
    found = estimator.subcluster_centers_ if found is None else found
    centres = learned_points(found, features.width)
    value = c.graph.op("Sqrt", expanded(c.graph, features.matrix(c.graph), centres))
    return numbers(value, len(centres))


_CENTRED = (
    "sklearn.cluster._kmeans.KMeans",
    "sklearn.cluster._kmeans.MiniBatchKMeans",
)
_BIRCH = "sklearn.cluster._birch.Birch"
_BISECTING = "sklearn.cluster._bisect_k_means.BisectingKMeans"

TRANSFORMERS = dict.fromkeys((*_CENTRED, _BIRCH, _BISECTING), distances_to_centres)
CLUSTERERS = {
    **dict.fromkeys(_CENTRED, means_cluster),
    "sklearn.cluster._mean_shift.MeanShift": centred_cluster,
    "sklearn.cluster._affinity_propagation.AffinityPropagation": centred_cluster,
    _BIRCH: birch_cluster,
    _BISECTING: bisected_cluster,
}
