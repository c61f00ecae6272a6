"""Which converter each estimator has: the tables of the modules beside this one, put together."""

from __future__ import annotations

from modelway.compilers import catboost, lightgbm, xgboost
from modelway.compilers.compilation import Converters
from modelway.compilers.sklearn import (
    boosting,
    calibration,
    cluster,
    cross_decomposition,
    decomposition,
    discriminant,
    dummy,
    encoders,
    expansions,
    forests,
    gaussian_process,
    histogram,
    imputers,
    isotonic,
    kernel_ridge,
    linear,
    meta,
    multiclass,
    naive_bayes,
    neighbors,
    neural_network,
    pipelines,
    scalers,
    selection,
    semi_supervised,
    svm,
    text,
    trees,
)

_MODULES = (
    boosting,
    calibration,
    catboost,
    cluster,
    cross_decomposition,
    decomposition,
    discriminant,
    dummy,
    encoders,
    expansions,
    forests,
    gaussian_process,
    histogram,
    imputers,
    isotonic,
    kernel_ridge,
    lightgbm,
    linear,
    meta,
    multiclass,
    naive_bayes,
    neighbors,
    neural_network,
    pipelines,
    scalers,
    selection,
    semi_supervised,
    svm,
    text,
    trees,
    xgboost,
)


def _gathered(name: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for module in _MODULES:
        found.update(getattr(module, name, {}))
    return found


CONVERTERS = Converters(
    transformers=_gathered("TRANSFORMERS"),  # type: ignore[arg-type]  # gathered by name
    classifiers=_gathered("CLASSIFIERS"),  # type: ignore[arg-type]  # gathered by name
    regressors=_gathered("REGRESSORS"),  # type: ignore[arg-type]  # gathered by name
    clusterers=_gathered("CLUSTERERS"),  # type: ignore[arg-type]  # gathered by name
)
