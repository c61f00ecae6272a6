"""What estimators of the boosting libraries were fitted on, column by column.

A search counts as what it found, a pipeline as its last step where no other changes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modelway.domain.tables import Array
from modelway.runtimes import lightgbm
from modelway.runtimes.categories import Categories, whole_or_text
from modelway.runtimes.xgboost_categories import categories_of

_UNCHANGED = (None, "passthrough")


def categories_in(model: Any) -> Mapping[int, Categories]:
    """The categories of DataFrames that an estimator was fitted on, by position of the column.

    Raises:
        LoadFailed: it was fitted on some and does not have their values.
    """
    last = _last_step(model)
    if _is_of(last, "lightgbm"):
        return lightgbm.categories_of(getattr(last, "booster_", last))
    return categories_of(last.get_booster()) if hasattr(last, "get_booster") else {}


def frame_kinds(model: Any) -> Mapping[int, Callable[[Array], Any]]:
    """How an estimator takes those columns of a DataFrame that are not numbers or text to it."""
    last = _last_step(model)
    if _is_of(last, "catboost"):
        return dict.fromkeys(last.get_cat_feature_indices(), whole_or_text)
    return {place: one.series for place, one in categories_in(model).items()}


def _last_step(model: Any) -> Any:
    """The estimator that takes a model's own columns; None where a step comes between."""
    model = getattr(model, "best_estimator_", model)
    steps = [step for _, step in getattr(model, "steps", [("", model)])]
    return steps[-1] if all(step in _UNCHANGED for step in steps[:-1]) else None


def _is_of(estimator: Any, library: str) -> bool:
    return type(estimator).__module__.partition(".")[0] == library
