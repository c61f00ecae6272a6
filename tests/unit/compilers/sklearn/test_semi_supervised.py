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
KNOWN = np.where(np.arange(len(SPECIES)) % 3 == 0, SPECIES, -1)
MODELS = [
    LabelPropagation(kernel="knn", max_iter=3000),
    LabelSpreading(kernel="knn", n_neighbors=5),
]


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_three_classes(model: Any) -> None:
    model.fit(IRIS, KNOWN)
    assert_same(model, hard_rows(model, IRIS, n=300), tolerance=1e-9)


@pytest.mark.parametrize("model", [LabelPropagation(), LabelSpreading()], ids=str)
def test_a_radial_kernel_stays_native(model: Any) -> None:
    with pytest.raises(NotCompilable, match="too small to be exact"):
        opened(model.fit(IRIS, KNOWN), IRIS)


def test_a_kernel_of_the_users_own_stays_native() -> None:
    model = LabelSpreading(kernel=lambda a, b: np.exp(-np.abs(a @ b.T))).fit(IRIS, KNOWN)
    with pytest.raises(NotCompilable, match="user's own"):
        opened(model, IRIS)
