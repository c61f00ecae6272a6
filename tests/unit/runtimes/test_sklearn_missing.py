"""What fitted pipelines take for a missing text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from modelway.domain.errors import BuildFailed
from modelway.runtimes.sklearn_describing import described
from modelway.runtimes.sklearn_missing import missing_text_of

N = 40
Y = np.arange(N) % 4 // 2


def rows(absent: float | None) -> pd.DataFrame:
    """Two columns of text with gaps, one of them without, and numbers with gaps."""
    kind = np.resize(np.array(["a", "b", absent, "c"], dtype=object), N)
    area = np.resize(np.array(["x", absent, "y"], dtype=object), N)
    return pd.DataFrame(
        {
            "kind": pd.Series(kind, dtype=object),
            "area": pd.Series(area, dtype=object),
            "full": pd.Series(np.resize(np.array(["p", "q"], dtype=object), N), dtype=object),
            "size": np.resize([1.0, np.nan, 3.0], N),
        }
    )


def imputed(absent: float | None, fill: str = "most_frequent") -> Any:
    imputer = SimpleImputer(missing_values=absent, strategy=fill)
    return make_pipeline(imputer, OneHotEncoder(handle_unknown="ignore"))


def columns(step: Any) -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return make_column_transformer((step, ["kind", "area"]), (numbers, ["size"]))


def classifier(step: Any) -> Any:
    return make_pipeline(columns(step), LogisticRegression())


@pytest.mark.parametrize(("absent", "expected"), [(np.nan, "nan"), (None, "none")])
@pytest.mark.parametrize(
    "made",
    [
        lambda _: classifier(OneHotEncoder()),
        lambda _: classifier(OrdinalEncoder(encoded_missing_value=-1)),
        lambda _: classifier(TargetEncoder(cv=2)),
        lambda _: classifier(OneHotEncoder(min_frequency=5, handle_unknown="infrequent_if_exist")),
        lambda absent: classifier(imputed(absent)),
        lambda absent: classifier(imputed(absent, "constant")),
        lambda absent: classifier(make_union(imputed(absent), OneHotEncoder())),
        lambda _: VotingClassifier([("a", classifier(OneHotEncoder()))]),
        lambda _: StackingClassifier([("a", classifier(OneHotEncoder()))], cv=2),
        lambda _: CalibratedClassifierCV(classifier(OneHotEncoder()), cv=2),
        lambda _: make_pipeline(columns(OrdinalEncoder()), BaggingClassifier(max_features=0.9)),
        lambda absent: GridSearchCV(
            classifier(imputed(absent)), {"logisticregression__C": [1, 2]}, cv=2
        ),
    ],
)
def test_it_is_what_the_model_was_fitted_on(made: Any, absent: Any, expected: str) -> None:
    model = made(absent).fit(rows(absent), Y)
    assert described(model).missing_text == expected


def test_an_indicator_says_what_it_looks_for() -> None:
    step = MissingIndicator(missing_values=None).fit(rows(None)[["kind"]])
    assert missing_text_of(step) == "none"


@pytest.mark.parametrize(
    "step", [make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), "passthrough"]
)
def test_it_is_nan_where_nothing_was_missing(step: Any) -> None:
    model = make_column_transformer((step, ["full"]), (CountVectorizer(analyzer="char"), "full"))
    assert missing_text_of(model.fit(rows(None))) == "nan"


def test_categories_decide_over_an_imputer_that_found_nothing() -> None:
    """An imputer of NaN leaves None as it is: the encoder behind it has learnt None."""
    model = classifier(imputed(np.nan)).fit(rows(None), Y)
    assert missing_text_of(model) == "none"


def test_what_a_search_tried_and_left_says_nothing() -> None:
    grid = {"columntransformer__pipeline-1": [imputed(np.nan)]}
    model = GridSearchCV(classifier(imputed(None)), grid, cv=2).fit(rows(np.nan), Y)
    assert missing_text_of(model) == "nan"


@pytest.mark.parametrize(
    "mixed",
    [
        make_column_transformer((OneHotEncoder(), ["kind", "area"])),
        make_column_transformer((imputed(None), ["kind"]), (OneHotEncoder(), ["area"])),
        make_column_transformer((imputed(None), ["kind"]), (imputed(np.nan), ["area"])),
    ],
)
def test_both_at_once_are_refused(mixed: Any) -> None:
    both = rows(None).assign(area=rows(np.nan)["area"])
    with pytest.raises(BuildFailed, match="NaN for a missing text and others None") as failed:
        described(mixed.fit(both))
    assert "numpy.nan" in str(failed.value.hint)
