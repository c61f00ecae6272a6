"""A raw booster beside its compiled form: the same rows to both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from modelway.bundles.manifest import Task
from modelway.bundles.ports import Compiler, Description
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
