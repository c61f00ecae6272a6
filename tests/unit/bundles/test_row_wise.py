"""A model counts as row-wise only if no row's answer depends on the rows beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from modelway.bundles.manifest import FORMAT_VERSION, Manifest, OriginalModel, Task
from modelway.bundles.row_wise import MOST_ROWS, RowWise, row_wise
from modelway.domain.inference import Outputs
from modelway.domain.signature import Signature, columns_named
from modelway.domain.tables import Table

SIGNATURE = Signature(columns_named(["a", "b"]))
EXACT, NEAR, APART = RowWise(True, True), RowWise(True, False), RowWise(False, False)
VALUES = np.random.default_rng(3).normal(size=(500, 2))


class Answering:
    """A runtime over a function of the matrix."""

    def __init__(self, answer: Callable[[Any], Any], name: str = "prediction") -> None:
        self.answer = answer
        self.name = name
        self.asked: list[int] = []

    def predict(self, table: Table) -> Outputs:
        self.asked.append(table.n_rows)
        return {self.name: np.asarray(self.answer(table.matrix))}

    def close(self) -> None:
        """Nothing is held."""


def measured(
    answer: Callable[[Any], Any], rows: Any = VALUES, *, runtime: str = "sklearn"
) -> RowWise:
    original = OriginalModel(runtime, "m", "pickle")
    manifest = Manifest(FORMAT_VERSION, Task.REGRESSION, runtime, original, "matrix")
    return row_wise(Answering(answer), Table(SIGNATURE, len(rows), matrix=rows), manifest)


def refusing(x: Any) -> Any:
    if (x[:, 0] > 1).any():
        raise ValueError
    return x[:, 0]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (lambda x: x[:, 0] * 2, EXACT),
        (lambda x: x[:, 0] > 0, EXACT),
        (lambda x: np.where(x[:, 0] > 0, "long name", "b"), EXACT),
        (lambda x: np.where(x[:, 0] > 0, np.nan, 1.0), EXACT),
        (lambda x: x[:, 0] + len(x) * 1e-9, NEAR),
        (lambda x: x[:, 0] + len(x) * 1e-6, APART),
        (lambda x: x[:, 0] - x[:, 0].mean(), APART),
        (lambda x: x[:, 0] > np.median(x[:, 0]), APART),
        (lambda x: np.argsort(np.argsort(x[:, 0])), APART),
        (lambda x: x[:, 0] + (np.arange(len(x)) > 100), APART),
        (lambda x: np.where(len(x) > 200, np.inf, x[:, 0]), APART),
        (lambda x: x[:, 0].astype(int) if len(x) == 1 else x[:, 0].astype(int) * 1.0, APART),
        (lambda x: x[:1, 0], APART),
        (lambda x: np.float64(1.0), APART),
        (refusing, EXACT),
    ],
)
def test_what_depends_on_other_rows_is_found(answer: Callable[[Any], Any], found: RowWise) -> None:
    assert measured(answer) == found


def test_a_model_that_refuses_batches_is_not_row_wise() -> None:
    def one_only(x: Any) -> Any:
        if len(x) > 1:
            raise ValueError
        return x[:, 0]

    assert measured(one_only) == APART


@pytest.mark.parametrize("n_rows", [0, 1])
def test_of_one_row_nothing_can_be_said(n_rows: int) -> None:
    assert measured(lambda x: x[:, 0], VALUES[:n_rows]) == APART


@pytest.mark.parametrize("runtime", ["mlflow", "python_function"])
def test_code_of_ones_own_is_never_taken_for_row_wise(runtime: str) -> None:
    assert measured(lambda x: x[:, 0], runtime=runtime) == RowWise(False, True)
    assert measured(lambda x: x[:, 0] - x[:, 0].mean(), runtime=runtime) == APART


def test_a_model_is_asked_a_bounded_number_of_times() -> None:
    runtime = Answering(lambda x: x[:, 0])
    original = OriginalModel("sklearn", "m", "pickle")
    manifest = Manifest(FORMAT_VERSION, Task.REGRESSION, "sklearn", original, "matrix")
    row_wise(runtime, Table(SIGNATURE, len(VALUES), matrix=VALUES), manifest)
    assert runtime.asked[:MOST_ROWS] == [1] * MOST_ROWS
    assert len(runtime.asked) < 2 * MOST_ROWS
