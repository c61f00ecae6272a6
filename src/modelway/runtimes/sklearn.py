"""scikit-learn estimators and pipelines, and what speaks their language, answering natively.

A pickle runs code when it is read; who calls ``load`` has asked first.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelway.bundles.manifest import Manifest
from modelway.bundles.ports import Description, Runtime
from modelway.domain.errors import InputRefused, LoadFailed
from modelway.domain.inference import Outputs
from modelway.domain.signature import Signature
from modelway.domain.tables import Table
from modelway.runtimes.boosters import frame_kinds
from modelway.runtimes.frames import class_indices, frame_of
from modelway.runtimes.pickles import read_pickle, read_skops
from modelway.runtimes.sklearn_describing import described, last_estimator
from modelway.runtimes.threads import OneThread
from modelway.runtimes.whole_numbers import asked_apart, whole_places, with_integers
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
        library = type(model).__module__.partition(".")[0]
        if type(model).__name__ == "Booster" and library in _BOOSTER_FILES:
            file = _BOOSTER_FILES[library]
            raise LoadFailed(
                f"{path.name} holds a Booster of {library}, which is read from its own file",
                hint=f'booster.save_model("{file}"), then modelway bundle build {file}',
            )
        return model

    def describe(self, model: object) -> Description:
        """What the estimator says of its columns, task and classes."""
        return described(model)

    def open(self, model: object, signature: Signature, manifest: Manifest) -> Runtime:
        """A runtime over the estimator."""
        return SklearnRuntime(model, signature, manifest)


_BOOSTER_FILES = {"xgboost": "model.json", "lightgbm": "model.txt"}
_READERS = {".skops": read_skops, ".json": read_wrapper, ".ubj": read_wrapper}


class SklearnRuntime:
    """The estimator itself; a label is what ``predict`` gives, whatever the probabilities are."""

    def __init__(self, model: Any, signature: Signature, manifest: Manifest) -> None:
        self._before, self._model = _parted(model)
        self._manifest = manifest
        self._kinds = frame_kinds(model)
        is_matrix = manifest.layout == "matrix" and signature.is_numeric
        self._framed = bool(self._kinds) or not is_matrix
        self._is_largest = _takes_largest(last_estimator(model))
        self._threads = OneThread()
        self._missing_text = None if manifest.missing_text == "none" else np.nan
        self._whole = [i for i in whole_places(signature, manifest) if i not in self._kinds]

    def predict(self, table: Table) -> Outputs:
        """The outputs for the table's rows.

        Raises:
            InputRefused: the estimator refuses a value, as scikit-learn does with ValueError.
        """
        try:
            # Numbers too large are refused by the estimator, or answered as it answers them.
            with np.errstate(all="ignore"):
                return asked_apart(table, self._whole, self._asked)
        except ValueError as error:
            first = (str(error).splitlines() or [""])[0]
            raise InputRefused(f"the model refuses these values: {first[:200]}") from error

    def _asked(self, table: Table, whole: Sequence[int]) -> Outputs:
        self._threads.limit()
        rows = frame_of(table, self._missing_text, self._kinds) if self._framed else table.matrix
        rows = with_integers(rows, whole)
        return self._answers(rows if self._before is None else self._before.transform(rows))

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
        self._before = self._model = None


def _parted(model: Any) -> tuple[Any, Any]:
    """What transforms the rows, if anything does, and what answers them.

    A pipeline that is asked for labels and for probabilities would transform them twice.
    """
    kind = type(model)
    if kind.__module__ != "sklearn.pipeline" or kind.__name__ != "Pipeline" or len(model) < 2:
        return None, model
    return model[:-1], model[-1]


def _takes_largest(estimator: Any) -> bool:
    kind = type(estimator)
    return kind.__module__.startswith("sklearn.") and kind.__name__ in _LARGEST_SHARE
