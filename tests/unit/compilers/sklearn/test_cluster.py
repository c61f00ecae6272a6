"""Compiled clusters are those of the originals, and so are the distances to their centres."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import (
    AffinityPropagation,
    Birch,
    BisectingKMeans,
    KMeans,
    MeanShift,
    MiniBatchKMeans,
)
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from modelway.bundles.manifest import Task
from modelway.bundles.ports import Description
from support.answering import assert_same, hard_rows, opened

IRIS, SPECIES = load_iris(return_X_y=True)
CLUSTERERS = [
    KMeans(4, random_state=0),
    MiniBatchKMeans(5, random_state=0),
    BisectingKMeans(6, random_state=0),
    Birch(n_clusters=3),
    Birch(n_clusters=None),
    MeanShift(),
    AffinityPropagation(random_state=0),
]


@pytest.mark.parametrize("model", CLUSTERERS, ids=str)
def test_the_nearest_centre(model: Any) -> None:
    both = make_pipeline(StandardScaler(), model).fit(IRIS)
    asked = hard_rows(both, IRIS)
    answers = opened(both, IRIS, description=Description(Task.CLUSTERING, "matrix"))
    np.testing.assert_array_equal(answers.of(asked)["prediction"], both.predict(asked))


@pytest.mark.parametrize("model", CLUSTERERS[:5], ids=str)
def test_distances_as_features(model: Any) -> None:
    both = make_pipeline(model, DecisionTreeClassifier(max_depth=4, random_state=0))
    both.fit(IRIS, SPECIES)
    assert_same(both, hard_rows(both, IRIS))
