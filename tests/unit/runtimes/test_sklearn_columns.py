"""Which columns a pipeline was fitted on as text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from modelway.runtimes.sklearn_columns import text_columns

ROWS = pd.DataFrame(
    {
        "size": [1.0, 2.0, 3.0, np.nan],
        "code": ["0", "1", "0", "2"],
        "year": [2001, 2002, 2001, 2003],
        "kind": ["a", "b", "a", None],
    }
).astype({"code": object, "kind": object})
NAMES = list(ROWS.columns)


def encoded() -> Any:
    return make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (OneHotEncoder(), {"code", "kind"}),
        (make_column_transformer((encoded(), ["kind", "code"])), {"code", "kind"}),
        (make_column_transformer((OrdinalEncoder(), [1, 2])), {"code"}),
        (make_column_transformer((OneHotEncoder(), slice(1, 3))), {"code"}),
        (make_column_transformer((OneHotEncoder(), [False, True, True, False])), {"code"}),
        (make_column_transformer((CountVectorizer(analyzer="char"), "code")), {"code"}),
        (
            make_column_transformer(
                (SimpleImputer(), ["size", "year"]),
                (OneHotEncoder(), make_column_selector(dtype_include=object)),
            ),
            {"code", "kind"},
        ),
        (make_union(OneHotEncoder(), OrdinalEncoder()), {"code", "kind"}),
    ],
)
def test_encoders_imputers_and_vectorisers_say_what_is_text(step: Any, expected: set[str]) -> None:
    assert text_columns(make_pipeline(step).fit(ROWS), NAMES) == expected


def test_a_model_of_numbers_has_no_text() -> None:
    rows = ROWS[["size", "year"]].fillna(0)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, [0, 1, 0, 1])
    assert text_columns(model, list(rows.columns)) == set()
