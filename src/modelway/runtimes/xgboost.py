"""XGBoost boosters, answering what their own ``predict`` answers."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from modelway.bundles.manifest import Layout, Manifest, Task
from modelway.bundles.ports import Description, Runtime
from modelway.domain.errors import LoadFailed, MissingExtra
from modelway.domain.inference import Outputs
from modelway.domain.signature import Datatype, Signature
from modelway.domain.tables import Table
from modelway.runtimes.categories import coded_matrix, signature_with
from modelway.runtimes.xgboost_categories import categories_of

_ESTIMATOR = re.compile(rb'_estimator_type\\?": ?\\?"(\w+)')

_BOOLEAN = "i"
"""The feature type of Booleans; whole numbers and codes of categories are float32 to XGBoost."""


class XgboostFramework:
    """Reads ``.json`` and ``.ubj`` files."""

    def load(self, path: Path, entry: str | None) -> object:
        """The booster in the file. Raises LoadFailed."""
        import xgboost

        booster = xgboost.Booster({"nthread": 1})
        try:
            booster.load_model(path)
        except xgboost.core.XGBoostError as error:
            first = str(error).strip().splitlines()[0][:300]
            raise LoadFailed(f"XGBoost cannot read {path.name}: {first}") from error
        return booster

    def describe(self, model: object) -> Description:
        """The booster's features; every one may be missing.

        Raises:
            LoadFailed: it has categories whose values are not in it.
        """
        booster: Any = model
        n_features = booster.num_features()
        names = booster.feature_names or [f"x{i + 1}" for i in range(n_features)]
        kinds = booster.feature_types or ["float"] * n_features
        columns = signature_with(names, categories_of(booster)).columns
        signature = Signature(
            tuple(
                replace(column, datatype=Datatype.BOOL) if kind == _BOOLEAN else column
                for column, kind in zip(columns, kinds, strict=True)
            )
        )
        libraries = {name: version(name) for name in ("xgboost", "numpy")}
        layout: Layout = "matrix" if signature.is_numeric else "columns"
        return Description(Task.REGRESSION, layout, signature=signature, libraries=libraries)

    def open(self, model: object, signature: Signature, manifest: Manifest) -> Runtime:
        """A runtime over the booster."""
        return XgboostRuntime(model)


def read_wrapper(path: Path) -> object:
    """The ``XGBClassifier`` or ``XGBRegressor`` that saved the file.

    Raises:
        LoadFailed: it cannot be read.
        MissingExtra: XGBoost is not installed.
    """
    try:
        import xgboost
    except ImportError:
        raise MissingExtra("xgboost", "xgboost", f"reading {path.name}") from None
    is_classifier = b"classifier" in _ESTIMATOR.findall(path.read_bytes())
    model = xgboost.XGBClassifier(n_jobs=1) if is_classifier else xgboost.XGBRegressor(n_jobs=1)
    try:
        model.load_model(path)
    except xgboost.core.XGBoostError as error:
        first = str(error).strip().splitlines()[0][:300]
        raise LoadFailed(f"XGBoost cannot read {path.name}: {first}") from error
    return model


class XgboostRuntime:
    """The booster itself, on one thread."""

    def __init__(self, booster: Any) -> None:
        self._booster = booster
        self._categories = categories_of(booster)

    def predict(self, table: Table) -> Outputs:
        """What ``Booster.predict`` gives for the table's rows, as float64.

        Raises:
            InputRefused: a category is none of those that the booster was fitted on.
        """
        import xgboost

        rows = xgboost.DMatrix(
            coded_matrix(table, self._categories),
            feature_names=self._booster.feature_names,
            feature_types=self._booster.feature_types,
            enable_categorical=True,
            nthread=1,
        )
        return {"prediction": np.asarray(self._booster.predict(rows), dtype=np.float64)}

    def close(self) -> None:
        """Release the booster."""
        self._booster = None
