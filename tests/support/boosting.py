"""A raw booster beside its compiled form: the same rows to both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd

from modelway.bundles.manifest import MISSING_TEXT, Task
from modelway.bundles.ports import Compiler, Description
from modelway.domain.names import alias_of
from modelway.domain.signature import Column, Datatype, Signature
from support.answering import Rows, assert_close, hard_rows, opened

OF_A_BOOSTER = Description(Task.REGRESSION, "matrix")


def assert_booster_same(
    compiler: Compiler,
    booster: Any,
    predict: Callable[[Any], Any],
    rows: Rows,
    *,
    tolerance: float = 0.0,
) -> None:
    """On hard rows drawn from ``rows``, what ``predict`` gives, within ``tolerance``."""
    asked = hard_rows(booster, rows, compiler)
    given = opened(booster, rows, compiler, OF_A_BOOSTER).of(asked)["prediction"]
    expected = np.asarray(predict(asked), dtype=np.float64)
    assert_close(given.reshape(expected.shape), expected, tolerance)


def compiled_on_categories(
    compiler: Compiler, booster: Any, categories: tuple[Any, ...], rows: pd.DataFrame
) -> Any:
    """What the compiled booster gives for ``rows``, whose column "kind" has these categories."""
    kind = Column("kind", alias_of("kind", 1), Datatype.CATEGORICAL, categories=categories)
    signature = Signature((Column("size", "size", Datatype.FP64), kind))
    compiled = compiler.compile(
        booster, signature, Description(Task.REGRESSION, "columns", signature=signature)
    )
    session = onnxruntime.InferenceSession(compiled.onnx)
    values = rows["kind"].astype(object)
    if signature.is_numeric:
        matrix = np.stack([rows["size"], values.astype(np.float64)], axis=1)
        return session.run(None, {"X": matrix})[0][:, 0]
    texts = values.where(values.notna(), MISSING_TEXT).to_numpy()
    size = rows["size"].to_numpy(dtype=np.float64)
    return session.run(None, {"c0": size[:, None], "c1": texts[:, None]})[0][:, 0]
