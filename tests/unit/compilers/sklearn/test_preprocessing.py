"""Compiled scalers, imputers, encoders and expansions give scikit-learn's own numbers.

``EXACT`` ones to the last bit; the others go through logarithms or sums whose last bit depends on
the library, and are compared within 1e-14.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from modelway.domain.errors import NotCompilable
from support.transforming import compiled_transform, original_transform

N_ROWS = 400

EXACT = [
    StandardScaler(),
    MinMaxScaler(clip=True),
    MaxAbsScaler(),
    RobustScaler(),
    Normalizer("max"),
    Binarizer(threshold=0.3),
    KBinsDiscretizer(encode="ordinal", quantile_method="averaged_inverted_cdf"),
    KBinsDiscretizer(encode="onehot-dense", strategy="uniform"),
    PolynomialFeatures(2),
    PolynomialFeatures(4, include_bias=False),
    PolynomialFeatures(3, interaction_only=True),
    PolynomialFeatures((2, 3)),
    QuantileTransformer(n_quantiles=50),
    FunctionTransformer(),
    make_union(StandardScaler(), MinMaxScaler()),
    make_column_transformer((StandardScaler(), ["c", "a"]), remainder="passthrough"),
]
CLOSE = [
    Normalizer("l1"),
    Normalizer("l2"),
    PowerTransformer(),
    PowerTransformer(standardize=False),
]
WITH_MISSING = [
    StandardScaler(),
    MinMaxScaler(),
    RobustScaler(),
    QuantileTransformer(n_quantiles=20),
    SimpleImputer(),
    SimpleImputer(strategy="median", add_indicator=True),
    SimpleImputer(strategy="constant", fill_value=-1),
    MissingIndicator(features="all"),
]
ENCODERS = [
    OneHotEncoder(handle_unknown="ignore"),
    OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=10),
    OneHotEncoder(handle_unknown="ignore", drop="first"),
    OneHotEncoder(handle_unknown="ignore", drop="if_binary"),
    OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=3, drop="first"),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=-7
    ),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-5, min_frequency=10),
]


@pytest.fixture
def numeric() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(N_ROWS, 4)) * 3, columns=list("abcd"))


@pytest.fixture
def categories() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    words = rng.choice(["x", "y", "z", "rare", "rarer"], N_ROWS, p=[0.4, 0.3, 0.28, 0.01, 0.01])
    frame = pd.DataFrame(
        {
            "word": words.astype(object),
            "number": rng.integers(0, 4, N_ROWS).astype(float),
            "pair": rng.choice(["p", "q"], N_ROWS).astype(object),
        }
    )
    return frame.mask(rng.random(frame.shape) < 0.1)


def with_unseen(categories: pd.DataFrame) -> pd.DataFrame:
    unseen = categories.copy()
    unseen.loc[:20, "word"] = "never seen"
    unseen.loc[:9, "number"] = 99.0
    return unseen


@pytest.mark.parametrize("transformer", EXACT, ids=str)
def test_gives_the_same_bits(transformer: Any, numeric: pd.DataFrame) -> None:
    transformer.fit(numeric)
    wider = numeric * 1.5 + 0.1
    np.testing.assert_array_equal(
        compiled_transform(transformer, wider), original_transform(transformer, wider)
    )


@pytest.mark.parametrize("transformer", CLOSE, ids=str)
def test_gives_the_same_numbers(transformer: Any, numeric: pd.DataFrame) -> None:
    transformer.fit(numeric)
    np.testing.assert_allclose(
        compiled_transform(transformer, numeric),
        original_transform(transformer, numeric),
        rtol=1e-13,
        atol=1e-14,
    )


@pytest.mark.parametrize("function", [np.log1p, np.log, np.sqrt, np.exp, np.square, np.abs])
def test_plain_functions_are_operators(function: Any, numeric: pd.DataFrame) -> None:
    positive = numeric.abs() + 0.1
    transformer = FunctionTransformer(function).fit(positive)
    np.testing.assert_allclose(
        compiled_transform(transformer, positive),
        original_transform(transformer, positive),
        rtol=1e-14,
        atol=1e-15,
    )


def test_a_python_function_is_refused_by_name(numeric: pd.DataFrame) -> None:
    def doubled(rows: Any) -> Any:
        return rows * 2

    transformer = FunctionTransformer(doubled).fit(numeric)
    with pytest.raises(NotCompilable, match="doubled"):
        compiled_transform(transformer, numeric)


@pytest.mark.parametrize("transformer", WITH_MISSING, ids=str)
def test_missing_numbers_stay_where_they_are_or_are_filled(
    transformer: Any, numeric: pd.DataFrame
) -> None:
    holes = numeric.mask(np.random.default_rng(2).random(numeric.shape) < 0.1)
    transformer.fit(holes)
    np.testing.assert_array_equal(
        compiled_transform(transformer, holes), original_transform(transformer, holes)
    )


@pytest.mark.filterwarnings("ignore:Found unknown categories")
@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_encoders_agree_on_missing_rare_and_unseen(encoder: Any, categories: pd.DataFrame) -> None:
    encoder.fit(categories)
    rows = with_unseen(categories)
    np.testing.assert_array_equal(
        compiled_transform(encoder, rows), original_transform(encoder, rows)
    )


@pytest.mark.parametrize("n_classes", [0, 2, 3], ids=["continuous", "binary", "multiclass"])
def test_target_encoder_gives_the_same_bits(n_classes: int, categories: pd.DataFrame) -> None:
    rng = np.random.default_rng(3)
    target = rng.integers(0, n_classes, N_ROWS) if n_classes else rng.normal(size=N_ROWS)
    encoder = TargetEncoder(random_state=0).fit(categories, target)
    rows = with_unseen(categories)
    np.testing.assert_array_equal(
        compiled_transform(encoder, rows), original_transform(encoder, rows)
    )


def test_text_is_imputed_before_it_is_encoded(categories: pd.DataFrame) -> None:
    transformer = make_column_transformer(
        (
            make_pipeline(
                SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
            ),
            ["pair", "word"],
        ),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["number"]),
    ).fit(categories)
    rows = with_unseen(categories)
    np.testing.assert_array_equal(
        compiled_transform(transformer, rows), original_transform(transformer, rows)
    )


def test_equal_quantiles_behind_a_power_stay_native() -> None:
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 2)), columns=["a", "b"])
    rows.loc[:60, "a"] = 0.25  # several quantiles are this value
    both = make_pipeline(PowerTransformer(), QuantileTransformer(n_quantiles=20)).fit(rows)
    with pytest.raises(NotCompilable, match="equal quantiles"):
        compiled_transform(both, rows)
    alone = QuantileTransformer(n_quantiles=20).fit(rows)
    assert np.array_equal(compiled_transform(alone, rows), original_transform(alone, rows))
