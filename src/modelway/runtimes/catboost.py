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
from modelway.domain.names import alias_of
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Array, Table
from modelway.runtimes.frames import class_indices, frame_of


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
                alias_of(name, i),
                Datatype.CATEGORICAL if i in categories else Datatype.FP64,
                nullable=i not in categories,
            )
            for i, name in enumerate(found.feature_names_)
        )
        classes = _classes_of(found)
        return Description(
            task=Task.REGRESSION if classes is None else Task.CLASSIFICATION,
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

    def predict(self, table: Table) -> Outputs:
        """What the model's ``predict`` and ``predict_proba`` give for the table's rows."""
        rows = table.matrix if table.signature.is_numeric else frame_of(table)
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
    if classes is None or not len(classes):
        return None
    return tuple(np.asarray(classes).tolist())
