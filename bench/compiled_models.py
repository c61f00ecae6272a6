"""The models of the table of what compiles: how each is made, and the rows it is fitted on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from compiled_page import (
    BOOSTERS,
    CLASSIFIERS,
    CLUSTERERS,
    OTHER,
    PIPELINES,
    REGRESSORS,
    TRANSFORMERS,
)
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import all_estimators

from modelway.domain.names import alias_of
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Table

Target = npt.NDArray[Any]

_RNG = np.random.Generator(np.random.PCG64(7))
N_ROWS = 250

NUMBERS = pd.DataFrame(
    {
        f"x{i + 1}": (_RNG.normal(size=N_ROWS) * scale).round(2)
        for i, scale in enumerate((1, 1, 3, 10))
    }
)
_SCORE = (NUMBERS / NUMBERS.std()).to_numpy() @ np.array([1.0, -1.0, 0.5, 0.3])
_SCORE = _SCORE + _RNG.normal(size=N_ROWS) * 0.4
LABELS = np.digitize(_SCORE, np.quantile(_SCORE, [0.33, 0.66]))
VALUES = _SCORE * 3.0
COUNTS = NUMBERS.abs().round(0)
MIXED = NUMBERS.assign(
    city=_RNG.choice(np.array(["Rome", "Oslo", "Bern", np.nan], dtype=object), N_ROWS),
    note=_RNG.choice(np.array(["the quick fox", "Lazy dog", "fox and dog"], dtype=object), N_ROWS),
)
MIXED.loc[_RNG.random(N_ROWS) < 0.1, "x2"] = np.nan
GAPS = MIXED[["x1", "x2", "x3"]]
CATEGORIES = GAPS.assign(c=_RNG.integers(0, 6, N_ROWS).astype(float))


@dataclass(frozen=True)
class Example:
    """A model not yet fitted, and its rows."""

    group: str
    name: str
    make: Callable[[], Any]
    rows: pd.DataFrame
    target: Target
    framework: str = "sklearn"

    def fitted(self) -> Any:
        """The model, fitted; on an array where every column is a number."""
        model = self.make()
        seeds = {name: 0 for name in model.get_params() if name.endswith("random_state")}
        return model.set_params(**seeds).fit(_given(self.rows), self.target)

    @cached_property
    def signature(self) -> Signature:
        """Numbers and text as they are in the rows; what is missing there may be missing."""
        columns = []
        for i, name in enumerate(self.rows.columns):
            values = self.rows[name]
            datatype = Datatype.STRING if _is_text(values) else Datatype.FP64
            columns.append(Column(name, alias_of(name, i), datatype, bool(values.isna().any())))
        return Signature(tuple(columns))

    @cached_property
    def table(self) -> Table:
        """The rows as a request would bring them."""
        if not _has_text(self.rows):
            matrix = np.ascontiguousarray(_given(self.rows))
            return Table(self.signature, len(matrix), matrix=matrix)
        arrays: list[npt.NDArray[Any]] = []
        for name in self.rows.columns:
            values = self.rows[name]
            if _is_text(values):
                texts = [None if pd.isna(v) else v for v in values]
                arrays.append(np.array(texts, dtype=object))
            else:
                arrays.append(values.to_numpy(dtype=np.float64))
        return Table(self.signature, len(self.rows), arrays=arrays)


def examples() -> Iterator[Example]:
    """All models of the table, in its order."""
    for kind, group, target in (
        ("classifier", CLASSIFIERS, LABELS),
        ("regressor", REGRESSORS, VALUES),
    ):
        for name, cls in all_estimators(type_filter=kind):
            if _fits(cls, NUMBERS, target):
                yield Example(group, name, cls, NUMBERS, target)
    yield from _others()
    yield from _pipelines()
    yield from _boosters()
    yield from _transformers()
    for name, cls in all_estimators(type_filter="cluster"):
        if hasattr(cls, "predict") and _fits(cls, NUMBERS, LABELS):
            yield Example(CLUSTERERS, name, cls, NUMBERS, LABELS)


def _fits(make: Callable[[], Any], rows: pd.DataFrame, target: Target) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            make().fit(_given(rows), target).predict(_given(rows)[:1])
        except Exception:  # noqa: BLE001 - an estimator may refuse in any way
            return False
    return True


def _given(rows: pd.DataFrame) -> Any:
    """An array where every column is a number, so that the model knows no names."""
    return rows if _has_text(rows) else rows.to_numpy(dtype=np.float64)


def _has_text(rows: pd.DataFrame) -> bool:
    return any(_is_text(rows[name]) for name in rows.columns)


def _is_text(values: pd.Series[Any]) -> bool:
    return not pd.api.types.is_numeric_dtype(values)


def _others() -> Iterator[Example]:
    """What needs other rows, another target or an estimator inside."""
    is_high = (LABELS > 0).astype(int)
    two_values = np.stack([VALUES, VALUES**2], axis=1)
    two_labels = np.stack([LABELS == 0, LABELS == 1], axis=1).astype(int)
    tree, other = DecisionTreeClassifier(max_depth=3), DecisionTreeRegressor(max_depth=3)
    classifier, regressor = LogisticRegression(), LinearRegression()
    ways: dict[str, Sequence[tuple[tuple[Any, ...], pd.DataFrame, Target]]] = {
        "classifier": (
            ((), COUNTS, LABELS),
            ((classifier,), NUMBERS, LABELS),
            ((classifier,), NUMBERS, is_high),
            ((classifier,), NUMBERS, two_labels),
            (([("a", classifier), ("b", tree)],), NUMBERS, LABELS),
        ),
        "regressor": (
            ((), NUMBERS, np.abs(VALUES) + 0.1),
            ((), NUMBERS[["x1"]], VALUES),
            ((), NUMBERS, two_values),
            ((regressor,), NUMBERS, two_values),
            (([("a", regressor), ("b", other)],), NUMBERS, VALUES),
        ),
    }
    for kind, plain in (("classifier", LABELS), ("regressor", VALUES)):
        for name, cls in all_estimators(type_filter=kind):
            if _fits(cls, NUMBERS, plain):
                continue
            for settings, rows, target in ways[kind]:
                if _fits(partial(cls, *settings), rows, target):
                    yield Example(OTHER, name, partial(cls, *settings), rows, target)
                    break


def _pipelines() -> Iterator[Example]:
    mixed = MIXED[["x1", "x2", "x3", "city"]]
    yield Example(PIPELINES, "imputers, scaling, one-hot, forest on gaps", _loan, mixed, LABELS)
    for vectoriser in (CountVectorizer, TfidfVectorizer):
        name = f"{vectoriser.__name__}, LogisticRegression"
        yield Example(PIPELINES, name, partial(_words, vectoriser), MIXED[["note"]], LABELS)
    histograms = ((HistGradientBoostingClassifier, LABELS), (HistGradientBoostingRegressor, VALUES))
    for cls, target in histograms:
        name = f"{cls.__name__} on gaps and categories"
        yield Example(PIPELINES, name, partial(cls, categorical_features=[3]), CATEGORIES, target)


def _loan() -> Any:
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    texts = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    columns = make_column_transformer((numbers, ["x1", "x2", "x3"]), (texts, ["city"]))
    return make_pipeline(columns, RandomForestClassifier(30, random_state=0))


def _words(vectoriser: Any) -> Any:
    return make_pipeline(make_column_transformer((vectoriser(), "note")), LogisticRegression())


def _boosters() -> Iterator[Example]:
    import catboost
    import lightgbm
    import xgboost

    quiet = {"verbose": 0, "allow_writing_files": False, "iterations": 100}
    models: list[tuple[Any, dict[str, Any], Target]] = [
        (xgboost.XGBClassifier, {}, LABELS),
        (xgboost.XGBRegressor, {}, VALUES),
        (xgboost.XGBRFClassifier, {}, LABELS),
        (xgboost.XGBRFRegressor, {}, VALUES),
        (lightgbm.LGBMClassifier, {"verbose": -1}, LABELS),
        (lightgbm.LGBMRegressor, {"verbose": -1}, VALUES),
        (catboost.CatBoostClassifier, quiet, LABELS),
        (catboost.CatBoostRegressor, quiet, VALUES),
    ]
    for cls, settings, target in models:
        name = f"{cls.__name__} on gaps"
        yield Example(BOOSTERS, name, partial(cls, **settings), GAPS, target)


def _transformers() -> Iterator[Example]:
    texts = MIXED[["city"]].fillna({"city": "none"})
    for name, cls in all_estimators(type_filter="transformer"):
        for rows in (NUMBERS, COUNTS, NUMBERS[["x1"]], texts):
            if hasattr(cls, "transform") and _fits(partial(_before_ridge, cls), rows, VALUES):
                yield Example(TRANSFORMERS, name, partial(_before_ridge, cls), rows, VALUES)
                break


def _before_ridge(cls: Any) -> Any:
    return make_pipeline(cls(), Ridge())
