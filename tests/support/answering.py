"""A compiled model beside its original: the same rows to both, and where the answers differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pandas as pd

from modelway.bundles.manifest import MISSING_TEXT, Task
from modelway.bundles.ports import Compiled, Compiler, Description
from modelway.compilers.sklearn.compiler import SklearnCompiler
from modelway.domain.names import alias_of
from modelway.domain.signature import Column, Datatype, Signature, columns_named
from modelway.domain.tables import Table

Rows = npt.NDArray[np.float64] | pd.DataFrame


@dataclass
class Answers:
    """A compiled model, open."""

    compiled: Compiled
    session: Any
    signature: Signature
    description: Description

    def of(self, rows: Rows) -> dict[str, Any]:
        """The graph's outputs by name."""
        if self.compiled.layout == "matrix":
            feed = {"X": np.ascontiguousarray(np.asarray(rows, dtype=np.float64))}
        else:
            assert isinstance(rows, pd.DataFrame)
            feed = {f"c{i}": _fed(rows.iloc[:, i]) for i in range(rows.shape[1])}
        names = [o.name for o in self.session.get_outputs()]
        return dict(zip(names, self.session.run(None, feed), strict=True))


def _fed(column: Any) -> Any:
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=np.float64)[:, None]
    texts = [MISSING_TEXT if pd.isna(v) else str(v) for v in column]
    return np.array(texts, dtype=object)[:, None]


def signature_of(rows: Rows) -> Signature:
    """FP64 columns for numbers, STRING for the rest."""
    if not isinstance(rows, pd.DataFrame):
        return Signature(columns_named([f"x{i}" for i in range(rows.shape[1])]))
    numeric = [pd.api.types.is_numeric_dtype(rows[n]) for n in rows.columns]
    return Signature(
        tuple(
            Column(str(n), alias_of(str(n), i), Datatype.FP64 if is_number else Datatype.STRING)
            for i, (n, is_number) in enumerate(zip(rows.columns, numeric, strict=True))
        )
    )


def described(model: Any) -> Description:
    """What the runtime would say of a scikit-learn model."""
    classes = getattr(model, "classes_", None)
    if classes is None or not len(classes):
        return Description(Task.REGRESSION, "matrix")
    has_probabilities = hasattr(model, "predict_proba")
    return Description(Task.CLASSIFICATION, "matrix", tuple(classes.tolist()), has_probabilities)


def opened(
    model: Any,
    rows: Rows,
    compiler: Compiler | None = None,
    description: Description | None = None,
) -> Answers:
    """The model compiled for the columns of ``rows``, and opened."""
    signature = signature_of(rows)
    description = description or described(model)
    compiled = (compiler or SklearnCompiler()).compile(model, signature, description)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(compiled.onnx, options)
    return Answers(compiled, session, signature, description)


def table_of(rows: Rows, signature: Signature) -> Table:
    """The rows as a table."""
    if not isinstance(rows, pd.DataFrame):
        return Table(signature, len(rows), matrix=rows)
    arrays = []
    for name in rows.columns:
        column = rows[name]
        if pd.api.types.is_numeric_dtype(column):
            arrays.append(column.to_numpy(dtype=np.float64))
        else:
            arrays.append(np.array([None if pd.isna(v) else str(v) for v in column], dtype=object))
    return Table(signature, len(rows), arrays=arrays)


def hard_rows(
    model: Any, rows: Rows, compiler: Compiler | None = None, *, n: int = 2000, seed: int = 0
) -> Rows:
    """Rows drawn from the columns of ``rows``: moved, rounded, on thresholds and beside them."""
    rng = np.random.default_rng(seed)
    signature = signature_of(rows)
    source = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
    picked = {name: rng.choice(source[name].to_numpy(), n) for name in source.columns}
    drawn = pd.DataFrame(picked).astype(source.dtypes.to_dict())
    found = (compiler or SklearnCompiler()).thresholds(model, signature, table_of(rows, signature))
    for name, thresholds in zip(source.columns, found, strict=True):
        if not pd.api.types.is_numeric_dtype(source[name]):
            continue
        values = drawn[name].to_numpy(dtype=np.float64).copy()
        moved = values + rng.normal(size=n) * (np.nanstd(values) + 0.1)
        kind = rng.integers(0, 4, n)
        values = np.where(kind == 1, moved, np.where(kind == 2, moved.round(1), values))
        if len(thresholds):
            near = neighbours(thresholds)
            values = np.where(kind == 3, rng.choice(near, n), values)
        drawn[name] = values
    return drawn if isinstance(rows, pd.DataFrame) else drawn.to_numpy(dtype=np.float64)


def neighbours(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The values, the float64 on either side, their float32 and the float32 on either side."""
    single = values.astype(np.float32)
    up, down = np.float32(np.inf), np.float32(-np.inf)
    parts: Sequence[Any] = (
        values,
        np.nextafter(values, np.inf),
        np.nextafter(values, -np.inf),
        single,
        np.nextafter(single, up),
        np.nextafter(single, down),
    )
    return np.concatenate([np.asarray(p, dtype=np.float64) for p in parts])


def assert_same(
    model: Any,
    rows: Rows,
    *,
    tolerance: float = 1e-12,
    train: Rows | None = None,
) -> None:
    """No flip, and probabilities or values within ``tolerance`` of max(1, value)."""
    answers = opened(model, rows if train is None else train)
    given = answers.of(rows)
    if answers.description.classes is None:
        expected = np.asarray(model.predict(rows))
        assert_close(given["prediction"].reshape(expected.shape), expected, tolerance)
        return
    labels = np.asarray(answers.description.classes)[given["class_index"]]
    flips = np.flatnonzero(labels != model.predict(rows))
    assert not len(flips), f"{len(flips)} of {len(rows)} labels differ, first in row {flips[0]}"
    if answers.description.probabilities:
        assert_close(given["probabilities"], model.predict_proba(rows), tolerance)


def assert_close(given: Any, expected: Any, tolerance: float) -> None:
    """Every value within ``tolerance`` of max(1, the expected value), NaN where expected."""
    assert given.shape == expected.shape
    deviation = np.abs(given - expected) / np.maximum(1.0, np.abs(expected))
    missing = np.isnan(expected)
    assert np.array_equal(np.isnan(given), missing)
    worst = float(np.max(deviation, initial=0.0, where=~missing))
    assert worst <= tolerance, f"deviates by {worst}"
