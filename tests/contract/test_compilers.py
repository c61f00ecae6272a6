"""The contract of ``Compiler``, over every compiler with a real model of each.

That hash seeds and folders change no byte is shown on whole bundles, in processes of their own, by
``tests/integration/test_determinism.py``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from modelway.bundles.ports import Compiled, Compiler
from modelway.composition.frameworks import compiler, framework
from modelway.domain.errors import NotCompilable
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Table

X, Y = load_iris(return_X_y=True)
SIGNATURE = Signature(tuple(Column(f"x{i}", f"x{i}", Datatype.FP64) for i in range(4)))
TABLE = Table(SIGNATURE, len(X), matrix=X)
OWN_DOMAINS = {"", "ai.onnx", "ai.onnx.ml"}
"""Operators of ONNX itself, all of which ONNX Runtime brings."""


def sklearn_model() -> Any:
    return make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=5)).fit(X, Y)


def xgboost_model() -> Any:
    import xgboost

    return xgboost.train({"objective": "binary:logistic", "nthread": 1}, _matrix(xgboost), 5)


def _matrix(xgboost: Any) -> Any:
    return xgboost.DMatrix(X, Y > 0)


def lightgbm_model() -> Any:
    import lightgbm

    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1}
    return lightgbm.train(settings, lightgbm.Dataset(X, Y > 0), 5)


def catboost_model() -> Any:
    import catboost

    model = catboost.CatBoostClassifier(iterations=5, verbose=0, allow_writing_files=False)
    return model.fit(X, Y)


MODELS: dict[str, Callable[[], Any]] = {
    "sklearn": sklearn_model,
    "xgboost": xgboost_model,
    "lightgbm": lightgbm_model,
    "catboost": catboost_model,
}


@pytest.fixture(scope="module", params=MODELS)
def case(request: pytest.FixtureRequest) -> tuple[str, Compiler, Any]:
    """The framework's name, its compiler, and a fitted model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MODELS[request.param]()
    found = compiler(request.param)
    assert found is not None
    return request.param, found, model


def compiled(name: str, found: Compiler, model: Any) -> Compiled:
    return found.compile(model, SIGNATURE, framework(name).describe(model))


def test_compile_gives_an_onnx_graph_of_onnx_runtimes_own_operators(
    case: tuple[str, Compiler, Any],
) -> None:
    graph = onnx.load_from_string(compiled(*case).onnx)
    onnx.checker.check_model(graph)
    assert {one.domain for one in graph.opset_import} <= OWN_DOMAINS
    assert {node.domain for node in graph.graph.node} <= OWN_DOMAINS
    assert list(graph.functions) == []


def test_compile_says_why_there_is_none() -> None:
    model = make_pipeline(FunctionTransformer(np.sinc), GradientBoostingClassifier(n_estimators=2))
    with pytest.raises(NotCompilable, match="FunctionTransformer"):
        found = compiler("sklearn")
        assert found is not None
        compiled("sklearn", found, model.fit(X, Y))


def test_compile_gives_the_same_bytes_for_the_same_model(case: tuple[str, Compiler, Any]) -> None:
    assert compiled(*case).onnx == compiled(*case).onnx


def test_thresholds_gives_the_values_at_which_the_model_may_jump_column_by_column(
    case: tuple[str, Compiler, Any],
) -> None:
    _, found, model = case
    values = found.thresholds(model, SIGNATURE, TABLE)
    assert len(values) == len(SIGNATURE.columns)
    assert sum(map(len, values)) > 0
    for column, jumps in zip(X.T, values, strict=True):
        assert jumps.dtype == np.float64
        assert ((jumps >= column.min()) & (jumps <= column.max())).all()
