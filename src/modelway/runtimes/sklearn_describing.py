"""What a scikit-learn estimator says of itself: task, classes, columns, libraries."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from modelway.bundles.manifest import Task
from modelway.bundles.ports import Description
from modelway.domain.signature import Column, Datatype, Signature, columns_named
from modelway.runtimes.boosters import categories_in
from modelway.runtimes.sklearn_columns import text_columns
from modelway.runtimes.sklearn_missing import missing_text_of

_RANKERS = ("XGBRanker", "LGBMRanker")
"""Which give a score a row, and call themselves neither regressors nor anything else."""


def described(model: Any) -> Description:
    """The description of a fitted estimator; one of several outputs has no list of classes.

    Raises:
        BuildFailed: one null cannot stand for what its steps take for a missing text.
    """
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
        missing_text=missing_text_of(model),
        libraries=libraries | _own_library(model),
    )


def _signature_of(model: Any, names: Sequence[str]) -> Signature:
    """The columns by name; text or categories where the model was fitted on such."""
    texts = text_columns(model, names)
    kinds = [Datatype.STRING if name in texts else Datatype.FP64 for name in names]
    columns = list(map(Column, names, names, kinds))
    for i, categories in categories_in(model).items():
        columns[i] = categories.column(names[i], i)
    return Signature(tuple(columns))


def _task_of(model: Any) -> Task:
    from sklearn.base import is_classifier, is_clusterer, is_regressor

    if not hasattr(model, "__sklearn_tags__"):
        return Task.FUNCTION  # a class of one's own with predict, which scikit-learn does not know
    if is_classifier(model):
        return Task.CLASSIFICATION
    if is_regressor(model) or type(last_estimator(model)).__name__ in _RANKERS:
        return Task.REGRESSION
    return Task.CLUSTERING if is_clusterer(model) else Task.FUNCTION


def _classes_of(model: Any) -> tuple[Any, ...] | None:
    """The labels, if they are one list: a model of several outputs has a list for each.

    A multilabel one may have a single list all the same, of its outputs or of what each may be.
    """
    classes = getattr(model, "classes_", None)
    if not isinstance(classes, np.ndarray) or classes.ndim != 1:
        return None
    if _task_of(model) is not Task.CLASSIFICATION or _gives_several(last_estimator(model)):
        return None
    return tuple(classes.tolist())


def _gives_several(estimator: Any) -> bool:
    """Whether the estimator gives more than one label a row.

    Each library marks it in a way of its own; so the estimator is asked a row of zeros.
    """
    width = _width_of(estimator)
    if width is None:
        return False
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            shape = np.shape(estimator.predict(np.zeros((1, width))))
    except Exception:  # noqa: BLE001 - one that takes no such row is asked a real one by the build
        return False
    return len(shape) == 2 and shape[1] > 1


def last_estimator(model: Any) -> Any:
    """The estimator that gives the answers, inside searches and pipelines."""
    while True:
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif hasattr(model, "steps"):
            model = model.steps[-1][1]
        else:
            return model


def _width_of(model: Any) -> int | None:
    """How many columns the model was fitted on, where it knows."""
    width = getattr(model, "n_features_in_", None)
    return int(width) if isinstance(width, (int, np.integer)) else None


def _own_library(model: Any) -> dict[str, str]:
    """The library that an estimator of another project comes from, if it is a known one."""
    estimators = [step for _, step in getattr(model, "steps", [("", model)])]
    roots = {type(one).__module__.partition(".")[0] for one in estimators}
    return {name: version(name) for name in ("xgboost", "lightgbm", "catboost") if name in roots}
