"""Random estimators: any that has a converter, with random settings."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import PowerTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from modelway.compilers.sklearn.converters import CONVERTERS

Generator: TypeAlias = np.random.Generator
Kind = Literal["classifier", "regressor"]
Settings: TypeAlias = Callable[[Generator], dict[str, Any]]

_LEFT_OUT = frozenset(
    (
        # They need an estimator that is fitted, more targets than one, groups, or many rows.
        *("Pipeline", "FrozenEstimator", "MultiOutputClassifier", "MultiOutputRegressor"),
        *("ClassifierChain", "RegressorChain", "LGBMRanker", "XGBRanker", "CatBoostRanker"),
        *("HalvingGridSearchCV", "HalvingRandomSearchCV", "SelfTrainingClassifier"),
        *("MultiTaskLasso", "MultiTaskLassoCV", "MultiTaskElasticNet", "MultiTaskElasticNetCV"),
    )
)


def random_estimator(rng: Generator, kind: Kind) -> Any:
    """An estimator that has a converter; one in four is made of others."""
    table = CONVERTERS.classifiers if kind == "classifier" else CONVERTERS.regressors
    by_name = {path.rpartition(".")[2]: path for path in table}
    names = sorted(set(by_name).difference(_LEFT_OUT))
    made_of_others = [name for name in names if name in _MADE_OF_OTHERS]
    simple = [name for name in names if name not in _MADE_OF_OTHERS]
    name = str(rng.choice(made_of_others if rng.random() < 0.25 else simple))
    settings = _MADE_OF_OTHERS.get(name) or _SETTINGS.get(name) or (lambda rng: {})
    made = class_at(by_name[name])(**settings(rng))
    if "random_state" in made.get_params():
        made.set_params(random_state=int(rng.integers(0, 1000)))
    return made


def class_at(path: str) -> Any:
    """The class at ``module.Class``."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def required_settings(cls: Any) -> list[str]:
    """The settings without which an estimator cannot be made."""
    parameters = inspect.signature(cls).parameters.values()
    free = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in free]


def _one_of(rng: Generator, *values: Any) -> Any:
    return values[int(rng.integers(0, len(values)))]


def _few(rng: Generator) -> int:
    return int(rng.integers(1, 15))


def _tree(rng: Generator) -> dict[str, Any]:
    return {
        "max_depth": _one_of(rng, None, 1, 3, 6),
        "min_samples_leaf": int(rng.integers(1, 6)),
        "max_features": _one_of(rng, None, "sqrt", 0.7),
    }


def _forest(rng: Generator) -> dict[str, Any]:
    return {**_tree(rng), "n_estimators": _few(rng), "bootstrap": _one_of(rng, True, False)}


def _boosting(rng: Generator) -> dict[str, Any]:
    return {
        "n_estimators": _few(rng),
        "learning_rate": _one_of(rng, 0.1, 0.5, 1.0),
        "max_depth": int(rng.integers(1, 5)),
        "subsample": _one_of(rng, 1.0, 0.7),
    }


def _histogram(rng: Generator) -> dict[str, Any]:
    return {
        "max_iter": _few(rng),
        "max_bins": _one_of(rng, 8, 255),
        "min_samples_leaf": int(rng.integers(1, 10)),
        "max_leaf_nodes": _one_of(rng, 4, 31),
        "categorical_features": _one_of(rng, None, None, [0]),
    }


def _external(rng: Generator) -> dict[str, Any]:
    return {"n_estimators": _few(rng), "max_depth": int(rng.integers(1, 5)), "n_jobs": 1}


def _lightgbm(rng: Generator) -> dict[str, Any]:
    return {**_external(rng), "min_child_samples": int(rng.integers(1, 10)), "verbose": -1}


def _catboost(rng: Generator) -> dict[str, Any]:
    return {
        "iterations": _few(rng),
        "depth": int(rng.integers(1, 5)),
        "verbose": 0,
        "thread_count": 1,
        "allow_writing_files": False,
    }


def _kernel(rng: Generator) -> dict[str, Any]:
    return {
        "kernel": _one_of(rng, "linear", "rbf", "poly", "sigmoid"),
        "gamma": _one_of(rng, "scale", "auto", 0.1),
    }


def _classifying_kernel(rng: Generator) -> dict[str, Any]:
    shape = _one_of(rng, "ovr", "ovo")
    return {**_kernel(rng), "decision_function_shape": shape, "break_ties": rng.random() < 0.2}


def _neighbours(rng: Generator) -> dict[str, Any]:
    return {
        "n_neighbors": int(rng.integers(1, 8)),
        "weights": _one_of(rng, "uniform", "distance"),
        "algorithm": _one_of(rng, "auto", "brute", "kd_tree"),
        "p": _one_of(rng, 1, 2, 3),
    }


def _layers(rng: Generator) -> dict[str, Any]:
    return {
        "hidden_layer_sizes": _one_of(rng, (3,), (8, 4)),
        "activation": _one_of(rng, "identity", "logistic", "tanh", "relu"),
        "max_iter": 30,
    }


_SETTINGS: Mapping[str, Settings] = {
    "DecisionTreeClassifier": lambda rng: {
        **_tree(rng),
        "criterion": _one_of(rng, "gini", "entropy"),
    },
    "DecisionTreeRegressor": _tree,
    "ExtraTreeClassifier": _tree,
    "ExtraTreeRegressor": _tree,
    "RandomForestClassifier": _forest,
    "RandomForestRegressor": _forest,
    "ExtraTreesClassifier": _forest,
    "ExtraTreesRegressor": _forest,
    "GradientBoostingClassifier": lambda rng: {
        **_boosting(rng),
        "loss": _one_of(rng, "log_loss", "log_loss", "exponential"),
        "init": _one_of(rng, None, "zero"),
    },
    "GradientBoostingRegressor": lambda rng: {
        **_boosting(rng),
        "loss": _one_of(rng, "squared_error", "absolute_error", "huber", "quantile"),
    },
    "HistGradientBoostingClassifier": _histogram,
    "HistGradientBoostingRegressor": lambda rng: {
        **_histogram(rng),
        "loss": _one_of(rng, "squared_error", "absolute_error", "gamma", "poisson"),
    },
    "AdaBoostRegressor": lambda rng: {"n_estimators": _few(rng)},
    "XGBClassifier": _external,
    "XGBRegressor": _external,
    "XGBRFClassifier": _external,
    "XGBRFRegressor": _external,
    "LGBMClassifier": _lightgbm,
    "LGBMRegressor": _lightgbm,
    "CatBoostClassifier": _catboost,
    "CatBoostRegressor": _catboost,
    "LogisticRegression": lambda rng: {"C": _one_of(rng, 0.1, 1.0, 100.0)},
    "LogisticRegressionCV": lambda rng: {"Cs": 3, "cv": 3},
    "SGDClassifier": lambda rng: {
        "loss": _one_of(rng, "hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron")
    },
    "SVC": lambda rng: {**_classifying_kernel(rng), "C": _one_of(rng, 0.1, 1.0, 10.0)},
    "NuSVC": lambda rng: {**_classifying_kernel(rng), "nu": 0.2},
    "SVR": _kernel,
    "NuSVR": _kernel,
    "KNeighborsClassifier": _neighbours,
    "KNeighborsRegressor": _neighbours,
    "MLPClassifier": _layers,
    "MLPRegressor": _layers,
    "DummyClassifier": lambda rng: {"strategy": _one_of(rng, "prior", "most_frequent", "constant")},
    "TweedieRegressor": lambda rng: {"power": _one_of(rng, 0, 1, 1.5, 2)},
    "TheilSenRegressor": lambda rng: {"max_subpopulation": 100},
}


def _inner_classifier(rng: Generator) -> Any:
    return _one_of(rng, DecisionTreeClassifier(max_depth=3), LogisticRegression(), None) or (
        random_simple(rng, "classifier")
    )


def _inner_regressor(rng: Generator) -> Any:
    return _one_of(rng, DecisionTreeRegressor(max_depth=3), LinearRegression(), None) or (
        random_simple(rng, "regressor")
    )


def _ranking(rng: Generator) -> Any:
    """An estimator that says how important its columns are."""
    return _one_of(rng, DecisionTreeClassifier(max_depth=3), DecisionTreeRegressor(max_depth=3))


def random_simple(rng: Generator, kind: Kind) -> Any:
    """A random estimator that is not made of others."""
    while True:
        made = random_estimator(rng, kind)
        if type(made).__name__ not in _MADE_OF_OTHERS:
            return made


def _members(rng: Generator, kind: Kind) -> list[tuple[str, Any]]:
    return [(f"m{i}", random_simple(rng, kind)) for i in range(int(rng.integers(1, 4)))]


_MADE_OF_OTHERS: Mapping[str, Settings] = {
    "AdaBoostClassifier": lambda rng: {
        "estimator": DecisionTreeClassifier(max_depth=int(rng.integers(1, 4))),
        "n_estimators": _few(rng),
    },
    "BaggingClassifier": lambda rng: {
        "estimator": _inner_classifier(rng),
        "n_estimators": _few(rng),
        "max_features": _one_of(rng, 1.0, 0.6),
    },
    "BaggingRegressor": lambda rng: {
        "estimator": _inner_regressor(rng),
        "n_estimators": _few(rng),
        "max_features": _one_of(rng, 1.0, 0.6),
    },
    "CalibratedClassifierCV": lambda rng: {
        "estimator": _inner_classifier(rng),
        "method": _one_of(rng, "sigmoid", "isotonic", "temperature"),
        "cv": 3,
        "ensemble": _one_of(rng, True, False),
    },
    "OneVsRestClassifier": lambda rng: {"estimator": _inner_classifier(rng)},
    "OneVsOneClassifier": lambda rng: {"estimator": _inner_classifier(rng)},
    "OutputCodeClassifier": lambda rng: {"estimator": _inner_classifier(rng)},
    "FixedThresholdClassifier": lambda rng: {
        "estimator": _inner_classifier(rng),
        "threshold": _one_of(rng, "auto", 0.3, 0.5),
    },
    "TunedThresholdClassifierCV": lambda rng: {"estimator": _inner_classifier(rng), "cv": 3},
    "VotingClassifier": lambda rng: {
        "estimators": _members(rng, "classifier"),
        "voting": _one_of(rng, "soft", "hard"),
    },
    "VotingRegressor": lambda rng: {"estimators": _members(rng, "regressor")},
    "StackingClassifier": lambda rng: {
        "estimators": _members(rng, "classifier"),
        "final_estimator": _inner_classifier(rng),
        "passthrough": _one_of(rng, True, False),
        "cv": 3,
    },
    "StackingRegressor": lambda rng: {
        "estimators": _members(rng, "regressor"),
        "final_estimator": _inner_regressor(rng),
        "passthrough": _one_of(rng, True, False),
        "cv": 3,
    },
    "GridSearchCV": lambda rng: {
        "estimator": DecisionTreeClassifier() if rng.random() < 0.5 else DecisionTreeRegressor(),
        "param_grid": {"max_depth": [2, 4]},
        "cv": 3,
    },
    "RandomizedSearchCV": lambda rng: {
        "estimator": DecisionTreeClassifier() if rng.random() < 0.5 else DecisionTreeRegressor(),
        "param_distributions": {"max_depth": [2, 4, 6]},
        "n_iter": 2,
        "cv": 3,
    },
    "RFE": lambda rng: {"estimator": _ranking(rng)},
    "RFECV": lambda rng: {"estimator": _ranking(rng), "cv": 3},
    "TransformedTargetRegressor": lambda rng: {
        "regressor": _inner_regressor(rng),
        "transformer": _one_of(rng, StandardScaler(), PowerTransformer()),
    },
}
