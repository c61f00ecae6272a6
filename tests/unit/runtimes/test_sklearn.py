"""scikit-learn's runtime: what it asks of a pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from modelway.bundles.manifest import FORMAT_VERSION, Manifest, OriginalModel, Task
from modelway.domain.signature import Signature, columns_named
from modelway.domain.tables import Table
from modelway.runtimes.sklearn import SklearnRuntime

MANIFEST = Manifest(
    FORMAT_VERSION,
    Task.CLASSIFICATION,
    "sklearn",
    OriginalModel("sklearn", "original/model.pickle", "pickle"),
    "matrix",
    classes=(0, 1),
    probabilities=True,
)


def test_a_pipeline_transforms_its_rows_once_and_answers_what_it_answers() -> None:
    calls: list[int] = []

    def counted(rows: Any) -> Any:
        calls.append(len(rows))
        return np.cbrt(rows)

    random = np.random.default_rng(0)
    rows = random.normal(size=(60, 2))
    steps = [("counted", FunctionTransformer(counted)), ("as", "passthrough")]
    pipeline = Pipeline([*steps, ("last", LogisticRegression())]).fit(rows, rows[:, 0] > 0)
    signature = Signature(columns_named(["a", "b"]))
    calls.clear()
    given = SklearnRuntime(pipeline, signature, MANIFEST).predict(
        Table(signature, len(rows), matrix=rows)
    )
    assert calls == [len(rows)]
    assert given["class_index"].tolist() == pipeline.predict(rows).astype(int).tolist()
    assert given["probabilities"].tobytes() == pipeline.predict_proba(rows).tobytes()
