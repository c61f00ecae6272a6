"""Single trees of scikit-learn.

They cast the input to float32 and compare it with float64 thresholds; leaves are float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features
from modelway.compilers.tree_ensemble import Tree, leaf_vectors
from modelway.domain.errors import NotCompilable


def is_single_tree(estimator: Any) -> bool:
    """Whether ``estimator`` is exactly one of scikit-learn's own trees."""
    return type(estimator).__module__ == "sklearn.tree._classes"


def sklearn_tree(
    tree: Any, leaf: npt.NDArray[np.float64] | None = None, columns: Any = None
) -> Tree:
    """A fitted ``Tree`` of scikit-learn; ``leaf`` are the values to give, one a node.

    ``columns`` are the positions of its features where it was fitted on some columns only.
    """
    missing = getattr(tree, "missing_go_to_left", None)
    feature = np.asarray(tree.feature)
    if columns is not None:
        feature = np.where(feature >= 0, np.asarray(columns)[np.maximum(feature, 0)], feature)
    return Tree(
        feature=feature,
        threshold=tree.threshold,
        left=tree.children_left,
        right=tree.children_right,
        missing_left=np.zeros(tree.node_count, bool) if missing is None else missing.astype(bool),
        leaf=np.zeros(tree.node_count) if leaf is None else leaf,
    )


def float32_rows(c: Compilation, features: Features) -> str:
    """The columns as a tree of scikit-learn takes them."""
    return c.graph.float32_rounded(features.matrix(c.graph))


def class_shares(estimator: Any) -> npt.NDArray[np.float64]:
    """The share of each class at every node, (n_nodes, n_classes).

    Raises:
        NotCompilable: the tree predicts several labels at once.
    """
    if estimator.n_outputs_ > 1:
        raise NotCompilable("a tree that predicts several labels at once")
    shares: npt.NDArray[np.float64] = estimator.tree_.value[:, 0, :]
    return shares


def target_values(estimator: Any) -> npt.NDArray[np.float64]:
    """The value of each target at every node, (n_nodes, n_outputs)."""
    values: npt.NDArray[np.float64] = estimator.tree_.value[:, :, 0]
    return values


def tree_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``DecisionTreeClassifier``, ``ExtraTreeClassifier``: the first of the largest shares."""
    tree = sklearn_tree(estimator.tree_)
    shares = leaf_vectors(c.graph, float32_rows(c, features), [tree], [class_shares(estimator)])
    return Classified(c.graph.argmax(shares), shares)


def tree_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``DecisionTreeRegressor``, ``ExtraTreeRegressor``: the value of the leaf."""
    tree = sklearn_tree(estimator.tree_)
    return leaf_vectors(c.graph, float32_rows(c, features), [tree], [target_values(estimator)])


CLASSIFIERS = {
    "sklearn.tree._classes.DecisionTreeClassifier": tree_classify,
    "sklearn.tree._classes.ExtraTreeClassifier": tree_classify,
}
REGRESSORS = {
    "sklearn.tree._classes.DecisionTreeRegressor": tree_regress,
    "sklearn.tree._classes.ExtraTreeRegressor": tree_regress,
}
