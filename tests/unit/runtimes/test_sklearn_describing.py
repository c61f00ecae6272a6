"""What estimators say of themselves: their task, and their classes if they are one list."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from catboost import CatBoostClassifier
from lightgbm import LGBMRanker
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier, XGBRanker

from modelway.bundles.manifest import Task
from modelway.compilers.sklearn.compiler import SklearnCompiler
from modelway.domain.errors import NotCompilable
from modelway.runtimes.sklearn_describing import described

X = np.random.default_rng(3).normal(size=(60, 3))
LABELS = (X > 0).astype(int)
PLAIN = LABELS[:, 0]
MLP = MLPClassifier((3,), max_iter=2000, tol=1.0)


@pytest.mark.parametrize(
    "model",
    [
        MLP,
        OneVsRestClassifier(LogisticRegression()),
        RidgeClassifier(),
        RandomForestClassifier(3),
        MultiOutputClassifier(LogisticRegression()),
        XGBClassifier(n_estimators=2, n_jobs=1),
        CatBoostClassifier(
            iterations=2, loss_function="MultiLogloss", verbose=0, allow_writing_files=False
        ),
        make_pipeline(StandardScaler(), MLP),
        GridSearchCV(make_pipeline(StandardScaler(), RidgeClassifier()), {}, cv=2),
    ],
    ids=lambda model: type(model).__name__,
)
def test_several_labels_a_row_are_a_function(model: Any) -> None:
    description = described(model.fit(X, LABELS))
    assert (description.task, description.classes) == (Task.FUNCTION, None)
    assert not description.probabilities


@pytest.mark.parametrize("model", [MLP, RidgeClassifier(), RandomForestClassifier(3)])
def test_one_label_a_row_is_a_classification(model: Any) -> None:
    description = described(model.fit(X, PLAIN))
    assert (description.task, description.classes) == (Task.CLASSIFICATION, (0, 1))


def test_a_classifier_of_text_has_its_classes() -> None:
    model = make_pipeline(CountVectorizer(), MultinomialNB())
    assert described(model.fit(["good", "bad"], ["yes", "no"])).classes == ("no", "yes")


def test_a_classifier_that_refuses_zeros_has_its_classes() -> None:
    class Wary(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # they have no stubs
        classes_ = np.array(["a", "b"])
        n_features_in_ = 2

        def predict(self, rows: Any) -> Any:
            raise ValueError("no zeros")

    assert described(Wary()).classes == ("a", "b")


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("ranker", "groups"),
    [
        (XGBRanker(n_estimators=2, n_jobs=1), {"qid": np.repeat(np.arange(6), 10)}),
        (LGBMRanker(n_estimators=2, n_jobs=1, verbose=-1), {"group": [10] * 6}),
    ],
    ids=["xgboost", "lightgbm"],
)
def test_a_ranker_gives_a_value(ranker: Any, groups: dict[str, Any], wrapped: bool) -> None:
    ranker.fit(X, PLAIN, **groups)
    model = make_pipeline(StandardScaler().fit(X), ranker) if wrapped else ranker
    description = described(model)
    assert (description.task, description.classes) == (Task.REGRESSION, None)
    assert description.signature is not None
    SklearnCompiler().compile(model, description.signature, description)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (RidgeClassifier(), "RidgeClassifier gives several labels a row"),
        (IsolationForest(n_estimators=3), "IsolationForest is an outlier detector"),
        (make_pipeline(IsolationForest(n_estimators=3)), "IsolationForest is an outlier detector"),
        (StandardScaler(), "StandardScaler is no classifier, regressor or clusterer"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_onnx_form_is_named(model: Any, reason: str) -> None:
    description = described(model.fit(X, LABELS))
    assert description.signature is not None
    with pytest.raises(NotCompilable, match=reason):
        SklearnCompiler().compile(model, description.signature, description)
