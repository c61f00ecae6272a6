"""What a scikit-learn estimator says of itself: task, classes, columns, libraries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np

from modelway.bundles.manifest import Task
from modelway.bundles.ports import Description
from modelway.domain.signature import Datatype, Signature, columns_named
from modelway.runtimes.sklearn_columns import text_columns


def described(model: Any) -> Description:
    """The description of a fitted estimator; one of several outputs has no list of classes."""
    classes, task = _classes_of(model), _task_of(model)
    if task is Task.CLASSIFICATION and classes is None:
        task = Task.FUNCTION
    names = getattr(model, "feature_names_in_", None)
    n_features = _width_of(model)
    signature = None
    if names is not None:
        signature = _signature_of(model, [str(name) for name in names])
    elif n_features:
        signature = Signature(columns_named([f"x{i + 1}" for i in range(n_features)]))
    libraries = {
        name: version(name) for name in ("scikit-learn", "numpy", "scipy", "pandas", "joblib")
    }
    return Description(
        task=task,
        layout="matrix" if names is None else "columns",
        classes=classes,
        probabilities=classes is not None and hasattr(model, "predict_proba"),
        signature=signature,
        libraries=libraries | _own_library(model),
    )


def _signature_of(model: Any, names: Sequence[str]) -> Signature:
    """The columns by name; text where the model was fitted on text."""
    texts = text_columns(model, names)
    return Signature(
        tuple(
            replace(column, datatype=Datatype.STRING) if column.name in texts else column
            for column in columns_named(names)
        )
    )


def _task_of(model: Any) -> Task:
    from sklearn.base import is_classifier, is_clusterer, is_regressor

    if is_classifier(model):
        return Task.CLASSIFICATION
    if is_regressor(model):
        return Task.REGRESSION
    return Task.CLUSTERING if is_clusterer(model) else Task.FUNCTION


def _classes_of(model: Any) -> tuple[Any, ...] | None:
    """The labels, if they are one list: a model of several outputs has a list for each."""
    classes = getattr(model, "classes_", None)
    if not isinstance(classes, np.ndarray) or classes.ndim != 1:
        return None
    return tuple(classes.tolist()) if _task_of(model) is Task.CLASSIFICATION else None


def _width_of(model: Any) -> int | None:
    """How many columns the model was fitted on, where it knows."""
    width = getattr(model, "n_features_in_", None)
    return int(width) if isinstance(width, (int, np.integer)) else None


def _own_library(model: Any) -> dict[str, str]:
    """The library that an estimator of another project comes from, if it is a known one."""
    estimators = [step for _, step in getattr(model, "steps", [("", model)])]
    roots = {type(one).__module__.partition(".")[0] for one in estimators}
    return {name: version(name) for name in ("xgboost", "lightgbm", "catboost") if name in roots}
