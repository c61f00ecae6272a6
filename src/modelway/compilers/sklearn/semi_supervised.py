"""Labels that spread from known rows to unknown ones: what near training rows came to believe.

Source: scikit-learn, semi_supervised/_label_propagation.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.arithmetic import added, first_largest
from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features
from modelway.compilers.sklearn.neighbor_search import found_neighbours
from modelway.domain.errors import NotCompilable


def spread_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``LabelPropagation``, ``LabelSpreading``: beliefs of the nearest training rows."""
    g = c.graph
    beliefs = np.asarray(estimator.label_distributions_, dtype=np.float64)
    if estimator.kernel == "rbf":
        raise NotCompilable(
            "shares by a radial kernel: for far rows quotients of numbers too small to be exact"
        )
    if estimator.kernel == "knn":
        place, _ = found_neighbours(g, estimator.nn_fit, features, beliefs)
        near = g.op("Gather", beliefs, place)
        total = g.op("ReduceSum", near, np.array([1], dtype=np.int64), keepdims=0)
    else:
        raise NotCompilable("labels that spread by a kernel of the user's own")
    shares = g.op("Div", total, added(g, total, beliefs.shape[1]))
    return Classified(first_largest(g, shares), shares)


_MODULE = "sklearn.semi_supervised._label_propagation"

CLASSIFIERS = {
    f"{_MODULE}.LabelPropagation": spread_classify,
    f"{_MODULE}.LabelSpreading": spread_classify,
}
