"""scikit-learn estimators and pipelines, and what speaks their language, answering natively.

A pickle runs code when it is read; who calls ``load`` has asked first.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from modelway.bundles.manifest import Manifest
from modelway.bundles.ports import Description, Runtime
from modelway.domain.errors import InputRefused, LoadFailed
from modelway.domain.inference import Outputs
from modelway.domain.signature import Signature
from modelway.domain.tables import Table
from modelway.runtimes.frames import class_indices, frame_of
from modelway.runtimes.pickles import read_pickle, read_skops
from modelway.runtimes.sklearn_describing import described
from modelway.runtimes.xgboost import read_wrapper

_LARGEST_SHARE = ("RandomForestClassifier", "ExtraTreesClassifier")
"""Whose ``predict`` asks ``predict_proba`` and takes the largest: asking both is twice the work."""


class SklearnFramework:
    """Reads pickles (joblib's and cloudpickle's too), skops files, files of XGBoost's wrappers."""

    def load(self, path: Path, entry: str | None) -> object:
        """The estimator in the file. Raises LoadFailed, UnsafeFormat, MissingExtra."""
        with warnings.catch_warnings():
            # Another version of the library is said by whoever compares the recorded versions.
            warnings.simplefilter("ignore")
            model = _READERS.get(path.suffix, read_pickle)(path)
        if not hasattr(model, "predict"):
            raise LoadFailed(
                f"{path.name} holds a {type(model).__name__}, which has no predict",
                hint="save the fitted model or the whole pipeline, not a part of it",
            )
        return model

    def describe(self, model: object) -> Description:
        """What the estimator says of its columns, task and classes."""
        return described(model)

    def open(self, model: object, signature: Signature, manifest: Manifest) -> Runtime:
        """A runtime over the estimator."""
        return SklearnRuntime(model, signature, manifest)


_READERS = {".skops": read_skops, ".json": read_wrapper, ".ubj": read_wrapper}


class SklearnRuntime:
    """The estimator itself; a label is what ``predict`` gives, whatever the probabilities are."""

    def __init__(self, model: Any, signature: Signature, manifest: Manifest) -> None:
        self._model = model
        self._manifest = manifest
        self._framed = manifest.layout != "matrix" or not signature.is_numeric
        self._is_largest = _last_step(model) in _LARGEST_SHARE
        self._missing_text = None if manifest.missing_text == "none" else np.nan

    def predict(self, table: Table) -> Outputs:
        """The outputs for the table's rows.

        Raises:
            InputRefused: the estimator refuses a value, as scikit-learn does with ValueError.
        """
        rows = frame_of(table, self._missing_text) if self._framed else table.matrix
        try:
            # Numbers too large are refused by the estimator, or answered as it answers them.
            with np.errstate(all="ignore"):
                return self._answers(rows)
        except ValueError as error:
            first = (str(error).splitlines() or [""])[0]
            raise InputRefused(f"the model refuses these values: {first[:200]}") from error

    def _answers(self, rows: Any) -> Outputs:
        classes = self._manifest.classes
        if classes is None:
            values = np.asarray(self._model.predict(rows))
            single = values.ndim == 2 and values.shape[1] == 1
            return {"prediction": values[:, 0] if single else values}
        if not self._manifest.probabilities:
            return {"class_index": class_indices(self._model.predict(rows), classes)}
        probabilities = np.asarray(self._model.predict_proba(rows), dtype=np.float64)
        if self._is_largest:
            return {"class_index": probabilities.argmax(axis=1), "probabilities": probabilities}
        index = class_indices(self._model.predict(rows), classes)
        return {"class_index": index, "probabilities": probabilities}

    def close(self) -> None:
        """Release the model."""
        self._model = None


def _last_step(model: Any) -> str:
    """The name of scikit-learn's class that gives the label; empty for any other."""
    last = type(model.steps[-1][1] if hasattr(model, "steps") else model)
    return last.__name__ if last.__module__.startswith("sklearn.") else ""
