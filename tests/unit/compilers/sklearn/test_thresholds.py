"""Thresholds of trees come back to the input's own columns, to the last float before the split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    PowerTransformer,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

from modelway.compilers.sklearn.thresholds import input_thresholds
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Table
from support.answering import signature_of, table_of

IRIS, SPECIES = load_iris(return_X_y=True)
SIGNATURE = signature_of(IRIS)


def found(model: Any, rows: Any = IRIS) -> list[Any]:
    signature = signature_of(rows)
    return list(input_thresholds(model, signature, table_of(rows, signature)))


@pytest.mark.parametrize("steps", [[], [StandardScaler()], [StandardScaler(), MinMaxScaler()]])
def test_the_answer_changes_right_behind_a_threshold(steps: list[Any]) -> None:
    only = IRIS[:, 2:3]
    model = make_pipeline(*steps, DecisionTreeClassifier(max_depth=1)).fit(only, SPECIES)
    (thresholds,) = found(model, only)
    sides = [
        model.predict(np.stack([x, np.nextafter(x, np.inf)]).reshape(-1, 1)).tolist()
        for x in thresholds
    ]
    assert any(left != right for left, right in sides)


def test_only_columns_that_are_split_have_thresholds() -> None:
    model = DecisionTreeClassifier(max_depth=1, random_state=0).fit(IRIS, IRIS[:, 3] > 1)
    assert [len(t) > 0 for t in found(model)] == [False, False, False, True]


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(30, random_state=0),
        HistGradientBoostingClassifier(random_state=0),
        VotingClassifier([("a", DecisionTreeClassifier()), ("b", RandomForestClassifier(3))]),
        StackingClassifier([("a", DecisionTreeClassifier())], DecisionTreeClassifier()),
        make_pipeline(
            make_column_transformer((StandardScaler(), [0, 2])), DecisionTreeClassifier()
        ),
    ],
    ids=str,
)
def test_trees_are_found_inside_and_columns_are_capped(model: Any) -> None:
    thresholds = found(model.fit(IRIS, SPECIES))
    assert len(thresholds[2]) > 0
    assert all(len(t) <= 64 for t in thresholds)
    assert all(np.array_equal(t, np.unique(t)) for t in thresholds)


def test_the_same_model_gives_the_same_thresholds() -> None:
    model = RandomForestClassifier(30, random_state=0).fit(IRIS, SPECIES)
    for first, second in zip(found(model), found(model), strict=True):
        assert np.array_equal(first, second)


def test_features_of_several_columns_have_none() -> None:
    model = make_pipeline(PCA(2), DecisionTreeClassifier()).fit(IRIS, SPECIES)
    assert [len(t) for t in found(model)] == [0, 0, 0, 0]


def test_text_columns_have_none_and_numbers_beside_them_have() -> None:
    rows = pd.DataFrame({"kind": np.array(["a", "b", None], object)[SPECIES], "size": IRIS[:, 2]})
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["kind"]), (StandardScaler(), ["size"])),
        DecisionTreeClassifier(max_features=1, random_state=1),
    ).fit(rows, IRIS[:, 3] > 1)
    kind, size = found(model, rows)
    assert len(kind) == 0
    assert len(size) > 0


def test_whole_numbers_get_the_whole_numbers_around_a_split() -> None:
    rows = np.arange(20.0).reshape(-1, 1)
    model = DecisionTreeClassifier(max_depth=1).fit(rows, rows[:, 0] > 7)
    signature = Signature((Column("n", "n", Datatype.INT64),))
    (thresholds,) = input_thresholds(model, signature, Table(signature, 20, matrix=rows))
    assert thresholds.tolist() == [7.0, 8.0]


def test_borders_of_a_binning_behind_a_curve_are_found() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 1)).round(1)
    bins = KBinsDiscretizer(4, encode="ordinal", quantile_method="averaged_inverted_cdf")
    model = make_pipeline(PowerTransformer(), bins, Ridge()).fit(rows, rows[:, 0])
    (borders,) = found(model, rows)
    below, above = (model[:2].transform(v[:, None]) for v in (borders, np.nextafter(borders, 9)))
    assert set(below[below != above]) == {0, 1, 2}
