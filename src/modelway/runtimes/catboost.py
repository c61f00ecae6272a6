"""CatBoost models, answering what their own ``predict`` answers.

The file says whether it is a classifier's and which labels it has, so a classifier answers labels.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from modelway.bundles.manifest import Manifest, Task
from modelway.bundles.ports import Description, Runtime
from modelway.domain.errors import LoadFailed
from modelway.domain.inference import Outputs
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Array, Table
from modelway.runtimes.categories import whole_or_text
from modelway.runtimes.frames import class_indices, frame_of

_SEVERAL_LABELS = ("MultiLogloss", "MultiCrossEntropy")
"""Losses of classifiers that answer each of several labels with 0 or 1: no one list of classes."""


class CatboostFramework:
    """Reads ``.cbm`` files."""

    def load(self, path: Path, entry: str | None) -> object:
        """The model in the file, as a classifier if it has labels. Raises LoadFailed."""
        import catboost

        try:
            model = catboost.CatBoostClassifier().load_model(str(path))
            if len(model.classes_):
                return model
            return catboost.CatBoostRegressor().load_model(str(path))
        except catboost.CatBoostError as error:
            first = str(error).strip().splitlines()[0][:300]
            raise LoadFailed(f"CatBoost cannot read {path.name}: {first}") from error

    def describe(self, model: object) -> Description:
        """The model's features; a number may be missing, a category is text."""
        found: Any = model
        categories = set(found.get_cat_feature_indices())
        columns = tuple(
            Column(
                name,
                name,
                Datatype.CATEGORICAL if i in categories else Datatype.FP64,
                nullable=i not in categories,
            )
            for i, name in enumerate(found.feature_names_)
        )
        classes = _classes_of(found)
        return Description(
            task=_task_of(found, classes),
            layout="columns" if categories else "matrix",
            classes=classes,
            probabilities=classes is not None,
            signature=Signature(columns),
            libraries={name: version(name) for name in ("catboost", "numpy")},
        )

    def open(self, model: object, signature: Signature, manifest: Manifest) -> Runtime:
        """A runtime over the model."""
        return CatboostRuntime(model, manifest)


class CatboostRuntime:
    """The model itself, on one thread."""

    def __init__(self, model: Any, manifest: Manifest) -> None:
        self._model = model
        self._classes = manifest.classes
        self._kinds = dict.fromkeys(model.get_cat_feature_indices(), whole_or_text)

    def predict(self, table: Table) -> Outputs:
        """What the model's ``predict`` and ``predict_proba`` give for the table's rows.

        Raises:
            InputRefused: a category is missing or no whole number.
        """
        is_framed = self._kinds or not table.signature.is_numeric
        rows = frame_of(table, kinds=self._kinds) if is_framed else table.matrix
        found = np.asarray(self._model.predict(rows, thread_count=1))
        if self._classes is None:
            return {"prediction": found}
        chances = self._model.predict_proba(rows, thread_count=1)
        outputs: dict[str, Array] = {"class_index": class_indices(found, self._classes)}
        outputs["probabilities"] = np.asarray(chances, dtype=np.float64)
        return outputs

    def close(self) -> None:
        """Release the model."""
        self._model = None


def _classes_of(model: Any) -> tuple[Any, ...] | None:
    classes = getattr(model, "classes_", None)
    if classes is None or not len(classes) or _has_several_labels(model):
        return None
    return tuple(np.asarray(classes).tolist())


def _task_of(model: Any, classes: tuple[Any, ...] | None) -> Task:
    if classes is not None:
        return Task.CLASSIFICATION
    return Task.FUNCTION if _has_several_labels(model) else Task.REGRESSION


def _has_several_labels(model: Any) -> bool:
    """Whether the model answers several labels at once, each with yes or no."""
    loss = str(model.get_all_params().get("loss_function", ""))
    return loss.partition(":")[0] in _SEVERAL_LABELS
