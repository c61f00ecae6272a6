"""The splits of every tree inside a model, and the way from the model's input to that tree.

A walk goes down through pipelines, searches, votes, stacks and calibrations to whatever has trees,
and notes which transforms lie in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelway.compilers.jumps import Floats, Splits, by_feature, merged

# An ensemble has its unfitted pattern as ``estimator_`` beside the fitted ``estimators_``.
_INSIDE = (
    "best_estimator_",
    "estimators_",
    "calibrated_classifiers_",
    "transformers_",
    "transformer_list",
    "regressor_",
    "estimator_",
    "base_estimator_",
    "estimator",
)
_BOOSTERS = {
    "xgboost": "modelway.compilers.xgboost",
    "lightgbm": "modelway.compilers.lightgbm",
    "catboost": "modelway.compilers.catboost",
}


@dataclass(frozen=True, eq=False)
class Route:
    """The transforms between the model's input and some tree; one route is one object."""

    steps: tuple[Callable[[Any], Any], ...] = ()

    def then(self, step: Callable[[Any], Any]) -> Route:
        """This route, and one step more."""
        return Route((*self.steps, step))

    def features(self, rows: Any) -> Any:
        """What the tree sees of ``rows``."""
        for step in self.steps:
            rows = step(rows)
        return rows


def splits_of(model: Any) -> list[tuple[Route, dict[int, Floats]]]:
    """Every route to trees of the model, with all the thresholds at its end."""
    gathered: dict[Route, list[Splits]] = {}
    for route, splits in _walk(model, Route(), depth=0):
        gathered.setdefault(route, []).append(splits)
    return [(route, merged(parts)) for route, parts in gathered.items()]


def _walk(estimator: Any, route: Route, depth: int) -> Iterator[tuple[Route, Splits]]:
    if depth > 20 or estimator is None or isinstance(estimator, str):
        return
    if hasattr(estimator, "tree_"):
        tree = estimator.tree_
        yield route, by_feature(tree.feature, tree.threshold, tree.children_left >= 0)
    elif hasattr(estimator, "_predictors"):
        if getattr(estimator, "_preprocessor", None) is not None:
            route = route.then(estimator._preprocessor.transform)
        for predictor in (p for iteration in estimator._predictors for p in iteration):
            nodes = predictor.nodes
            inner = (nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0)
            yield route, by_feature(nodes["feature_idx"], nodes["num_threshold"], inner)
    elif (borders := _borders(estimator)) is not None:
        yield route, borders
    elif type(estimator).__module__.partition(".")[0] in _BOOSTERS:
        yield route, _booster_splits(estimator)
    elif hasattr(estimator, "steps"):
        yield from _walk_pipeline(estimator, route, depth)
    else:
        yield from _walk_inside(estimator, route, depth)


def _borders(estimator: Any) -> Splits | None:
    """Where a transformer of single columns jumps; None for all that have no such borders.

    A value on a border goes to its upper side here, to its lower side in a tree: both are borders.
    """
    if hasattr(estimator, "bin_edges_"):
        found = [edges[1:-1] for edges in estimator.bin_edges_]
    elif hasattr(estimator, "quantiles_"):
        found = list(estimator.quantiles_.T)
    elif type(estimator).__name__ == "Binarizer":
        found = [np.array([float(estimator.threshold)])] * estimator.n_features_in_
    else:
        return None
    return {
        i: np.unique(np.concatenate([values, np.nextafter(values, -np.inf)]))
        for i, values in enumerate(found)
        if len(values)
    }


def _walk_pipeline(pipeline: Any, route: Route, depth: int) -> Iterator[tuple[Route, Splits]]:
    for _, step in pipeline.steps:
        yield from _walk(step, route, depth + 1)
        if hasattr(step, "transform"):
            route = route.then(step.transform)


def _walk_inside(estimator: Any, route: Route, depth: int) -> Iterator[tuple[Route, Splits]]:
    """Members of an estimator that hands its own input on, or some columns of it."""
    name = next((n for n in _INSIDE if getattr(estimator, n, None) is not None), None)
    if name is None:
        return
    found = getattr(estimator, name)
    members = list(np.ravel(found)) if isinstance(found, np.ndarray) else found
    members = members if isinstance(members, (list, tuple)) else [members]
    if getattr(estimator, "init_", None) is not None:
        members = [*members, estimator.init_]
    columns = getattr(estimator, "estimators_features_", None)
    for i, member in enumerate(members):
        there = route
        if isinstance(member, tuple):
            if name == "transformers_":
                there = route.then(_picked(estimator, member[0]))
            member = member[1]
        elif columns is not None:
            there = route.then(_chosen(columns[i]))
        for last, splits in _walk(member, there, depth + 1):
            yield last, _own(estimator, splits)
    if getattr(estimator, "passthrough", False):
        final = estimator.final_estimator_
        yield from _walk(final, route.then(_behind(estimator)), depth + 1)


def _own(estimator: Any, splits: Splits) -> Splits:
    """Splits on the estimator's own input: a member of a chain sees what came before it as well."""
    if not hasattr(estimator, "order_"):
        return splits
    return {f: values for f, values in splits.items() if f < estimator.n_features_in_}


def _behind(stack: Any) -> Callable[[Any], Any]:
    """The input of a stack behind as many empty columns as its members' answers take."""

    def behind(rows: Any) -> Any:
        own = np.asarray(rows, dtype=np.float64)
        return np.hstack([np.zeros((len(own), width - own.shape[1])), own])

    width = stack.final_estimator_.n_features_in_
    return behind


def _picked(transformer: Any, name: str) -> Callable[[Any], Any]:
    return _chosen(transformer._transformer_to_input_indices[name])


def _chosen(columns: Any) -> Callable[[Any], Any]:
    index = np.asarray(columns)

    def chosen(rows: Any) -> Any:
        return rows.iloc[:, index] if hasattr(rows, "iloc") else rows[:, index]

    return chosen


def _booster_splits(estimator: Any) -> Splits:
    from importlib import import_module

    module = import_module(_BOOSTERS[type(estimator).__module__.partition(".")[0]])
    found: Splits = module.splits(estimator)
    return found
