"""Feature selection: some columns go on as they are; a selector with an estimator also answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.compilation import Classified, Compilation
from modelway.compilers.features import Features


def selected(c: Compilation, estimator: Any, features: Features) -> Features:
    """The columns that ``estimator.get_support`` names, whatever they hold."""
    return features.select(c.graph, np.flatnonzero(estimator.get_support()).tolist())


def eliminated_classify(c: Compilation, estimator: Any, features: Features) -> Classified:
    """``RFE``, ``RFECV``: the classifier inside, on the columns that are left."""
    return c.classify(estimator.estimator_, selected(c, estimator, features))


def eliminated_regress(c: Compilation, estimator: Any, features: Features) -> str:
    """``RFE``, ``RFECV``: the regressor inside, on the columns that are left."""
    return c.regress(estimator.estimator_, selected(c, estimator, features))


_MODULE = "sklearn.feature_selection"
_ELIMINATIONS = (f"{_MODULE}._rfe.RFE", f"{_MODULE}._rfe.RFECV")
TRANSFORMERS = dict.fromkeys(
    (
        *_ELIMINATIONS,
        f"{_MODULE}._from_model.SelectFromModel",
        f"{_MODULE}._sequential.SequentialFeatureSelector",
        f"{_MODULE}._univariate_selection.GenericUnivariateSelect",
        f"{_MODULE}._univariate_selection.SelectFdr",
        f"{_MODULE}._univariate_selection.SelectFpr",
        f"{_MODULE}._univariate_selection.SelectFwe",
        f"{_MODULE}._univariate_selection.SelectKBest",
        f"{_MODULE}._univariate_selection.SelectPercentile",
        f"{_MODULE}._variance_threshold.VarianceThreshold",
    ),
    selected,
)
CLASSIFIERS = dict.fromkeys(_ELIMINATIONS, eliminated_classify)
REGRESSORS = dict.fromkeys(_ELIMINATIONS, eliminated_regress)
