"""Labels that spread are compiled as the originals answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.semi_supervised import LabelPropagation, LabelSpreading

from modelway.domain.errors import NotCompilable
from support.answering import assert_same, hard_rows, opened

IRIS, SPECIES = load_iris(return_X_y=True)
ROWS = IRIS + np.random.default_rng(0).normal(scale=1e-3, size=IRIS.shape)
KNOWN = np.where(np.arange(len(SPECIES)) % 3 == 0, SPECIES, -1)
MODELS = [
    LabelPropagation(),
    LabelSpreading(gamma=0.3),
    LabelPropagation(kernel="knn", max_iter=3000),
    LabelSpreading(kernel="knn", n_neighbors=5),
]


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_three_classes(model: Any) -> None:
    model.fit(ROWS, KNOWN)
    assert_same(model, hard_rows(model, ROWS, n=300), tolerance=1e-9)


def test_rows_on_a_grid_stay_native() -> None:
    with pytest.raises(NotCompilable, match="keeps to a grid"):
        opened(LabelPropagation().fit(IRIS, KNOWN), IRIS)


def test_a_kernel_of_the_users_own_stays_native() -> None:
    model = LabelSpreading(kernel=lambda a, b: np.exp(-np.abs(a @ b.T))).fit(IRIS, KNOWN)
    with pytest.raises(NotCompilable, match="user's own"):
        opened(model, IRIS)
