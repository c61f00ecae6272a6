"""The contract of ``Framework`` and ``Runtime``, over every framework with a real model of each.

The reference is the library itself, asked as its users ask it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelway.bundles.manifest import FORMAT_VERSION, Manifest, OriginalModel, Task
from modelway.bundles.ports import Description, Framework
from modelway.composition.frameworks import framework
from modelway.domain.inference import Outputs
from modelway.domain.signature import Signature
from modelway.domain.tables import Table

X, Y = load_iris(return_X_y=True)
COLUMNS = ("sepal length (cm)", "sepal_width", "petal_length", "petal_width")
FRAME = pd.DataFrame(X, columns=list(COLUMNS))
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]


@dataclass(frozen=True)
class Case:
    """A saved model: which framework reads it, and what its own library answers to rows of X."""

    framework: str
    path: Path
    entry: str | None
    task: Task
    expected: Callable[[slice], Outputs]


def sklearn_case(folder: Path) -> Case:
    import joblib

    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, NAMES)
    joblib.dump(model, folder / "model.joblib")

    def expected(rows: slice) -> Outputs:
        labels = np.searchsorted(model.classes_, model.predict(FRAME[rows]))
        return {"class_index": labels, "probabilities": model.predict_proba(FRAME[rows])}

    return Case("sklearn", folder / "model.joblib", None, Task.CLASSIFICATION, expected)


def skops_case(folder: Path) -> Case:
    from skops import io

    case = sklearn_case(folder)
    import joblib

    io.dump(joblib.load(case.path), folder / "model.skops")
    return Case("sklearn", folder / "model.skops", None, case.task, case.expected)


def xgboost_case(folder: Path) -> Case:
    import xgboost

    data = xgboost.DMatrix(X, Y, feature_names=["sl", "sw", "pl", "pw"])
    booster = xgboost.train({"objective": "multi:softprob", "num_class": 3, "nthread": 1}, data, 5)
    booster.save_model(folder / "model.ubj")

    def expected(rows: slice) -> Outputs:
        part = xgboost.DMatrix(X[rows], feature_names=["sl", "sw", "pl", "pw"])
        return {"prediction": booster.predict(part)}

    return Case("xgboost", folder / "model.ubj", None, Task.REGRESSION, expected)


def xgboost_wrapper_case(folder: Path) -> Case:
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(X, Y)
    model.save_model(folder / "model.json")

    def expected(rows: slice) -> Outputs:
        return {
            "class_index": model.predict(X[rows]),
            "probabilities": model.predict_proba(X[rows]).astype(np.float64),
        }

    return Case("sklearn", folder / "model.json", None, Task.CLASSIFICATION, expected)


def forest_case(folder: Path) -> Case:
    import joblib
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(10, random_state=0).fit(X, NAMES)
    joblib.dump(model, folder / "forest.pickle")

    def expected(rows: slice) -> Outputs:
        labels = np.searchsorted(model.classes_, model.predict(X[rows]))
        return {"class_index": labels, "probabilities": model.predict_proba(X[rows])}

    return Case("sklearn", folder / "forest.pickle", None, Task.CLASSIFICATION, expected)


def lightgbm_case(folder: Path) -> Case:
    import lightgbm

    parameters = {"objective": "regression", "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(X, Y), 10)
    booster.save_model(folder / "model.txt")

    def expected(rows: slice) -> Outputs:
        return {"prediction": booster.predict(X[rows])}

    return Case("lightgbm", folder / "model.txt", None, Task.REGRESSION, expected)


def catboost_case(folder: Path) -> Case:
    import catboost

    model = catboost.CatBoostClassifier(
        iterations=10, verbose=False, allow_writing_files=False, thread_count=1
    ).fit(X, NAMES)
    model.save_model(folder / "model.cbm")

    def expected(rows: slice) -> Outputs:
        labels = np.searchsorted(model.classes_, model.predict(X[rows]).ravel())
        return {"class_index": labels, "probabilities": model.predict_proba(X[rows])}

    return Case("catboost", folder / "model.cbm", None, Task.CLASSIFICATION, expected)


def onnx_case(folder: Path) -> Case:
    import onnx
    from onnx import helper

    weights = np.array([[0.5], [-1.0], [2.0], [0.25]], dtype=np.float32)
    node = helper.make_node("MatMul", ["features", "w"], ["value"])
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("value", onnx.TensorProto.FLOAT, ["n", 1])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "model.onnx").write_bytes(model.SerializeToString())

    def expected(rows: slice) -> Outputs:
        return {"prediction": (X[rows].astype(np.float32) @ weights)[:, 0]}

    return Case("onnx", folder / "model.onnx", None, Task.REGRESSION, expected)


def function_case(folder: Path) -> Case:
    (folder / "rules.py").write_text(
        "def is_big(a: float, b: float, c: float, d: float | None = 9.0) -> bool:\n"
        '    """Whether a flower is big."""\n'
        "    return a + b + c + d > 12\n"
    )

    def expected(rows: slice) -> Outputs:
        return {"prediction": X[rows].sum(axis=1) > 12}

    return Case("python_function", folder / "rules.py", "is_big", Task.FUNCTION, expected)


def class_case(folder: Path) -> Case:
    (folder / "limit.txt").write_text("12")
    (folder / "kinds.py").write_text(
        "class Kind:\n"
        "    def load(self, folder):\n"
        "        self.limit = float((folder / 'limit.txt').read_text())\n"
        "    def predict(self, a: float, b: float, c: float, d: float) -> str:\n"
        "        return 'big' if a + b + c + d > self.limit else 'small'\n"
    )

    def expected(rows: slice) -> Outputs:
        return {"prediction": np.where(X[rows].sum(axis=1) > 12, "big", "small")}

    return Case("python_function", folder / "kinds.py", "Kind", Task.FUNCTION, expected)


def mlflow_case(folder: Path) -> Case:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow

        class Summed(mlflow.pyfunc.PythonModel):  # type: ignore[misc] # mlflow is not typed
            def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def] # hints change what mlflow does
                return model_input.sum(axis=1).to_numpy()

        mlflow.pyfunc.save_model(folder / "summed", python_model=Summed())

    def expected(rows: slice) -> Outputs:
        return {"prediction": FRAME[rows].sum(axis=1).to_numpy()}

    return Case("mlflow", folder / "summed", None, Task.FUNCTION, expected)


CASES = (
    sklearn_case,
    skops_case,
    forest_case,
    xgboost_case,
    xgboost_wrapper_case,
    lightgbm_case,
    catboost_case,
    onnx_case,
    function_case,
    class_case,
    mlflow_case,
)


@pytest.fixture(scope="module", params=CASES, ids=lambda make: make.__name__)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    made: Case = request.param(tmp_path_factory.mktemp("model"))
    return made


@pytest.fixture(scope="module")
def kind(case: Case) -> Framework:
    return framework(case.framework)


def manifest_of(case: Case, description: Description) -> Manifest:
    return Manifest(
        format_version=FORMAT_VERSION,
        task=description.task,
        runtime=case.framework,
        original=OriginalModel(case.framework, case.path.name, "any", case.entry),
        layout=description.layout,
        classes=description.classes,
        probabilities=description.probabilities,
        missing_text=description.missing_text,
    )


def signature_for(description: Description) -> Signature:
    from modelway.domain.signature import columns_named

    return description.signature or Signature(columns_named(COLUMNS))


def same(found: Outputs, expected: Outputs) -> None:
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].shape == array.shape
        if array.dtype.kind == "f":
            np.testing.assert_allclose(found[name], array, rtol=1e-6, atol=1e-7)
        else:
            assert found[name].tolist() == array.tolist()


def test_describe_needs_nothing_but_the_model(case: Case, kind: Framework) -> None:
    description = kind.describe(kind.load(case.path, case.entry))
    assert description.task is case.task
    if description.signature is not None:
        assert len(description.signature.columns) == 4
    assert all(description.libraries.values())


def test_predict_answers_every_row_of_a_table_in_order(case: Case, kind: Framework) -> None:
    model = kind.load(case.path, case.entry)
    description = kind.describe(model)
    signature = signature_for(description)
    runtime = kind.open(model, signature, manifest_of(case, description))
    for rows in (slice(0, 150, 7), slice(60, 61), slice(149, 140, -1)):
        part = np.ascontiguousarray(X[rows])
        same(runtime.predict(Table(signature, len(part), matrix=part)), case.expected(rows))


def test_predict_changes_nothing_it_is_given(case: Case, kind: Framework) -> None:
    model = kind.load(case.path, case.entry)
    description = kind.describe(model)
    signature = signature_for(description)
    runtime = kind.open(model, signature, manifest_of(case, description))
    given = X.copy()
    runtime.predict(Table(signature, len(given), matrix=given))
    assert np.array_equal(given, X)


def test_close_twice_does_no_harm(case: Case, kind: Framework) -> None:
    model = kind.load(case.path, case.entry)
    description = kind.describe(model)
    runtime = kind.open(model, signature_for(description), manifest_of(case, description))
    runtime.close()
    runtime.close()


def test_a_value_that_scikit_learn_refuses_is_the_callers_fault(tmp_path: Path) -> None:
    from modelway.domain.errors import InputRefused

    case, kind = forest_case(tmp_path), framework("sklearn")
    model = kind.load(case.path, case.entry)
    description = kind.describe(model)
    signature = signature_for(description)
    runtime = kind.open(model, signature, manifest_of(case, description))
    with pytest.raises(InputRefused, match="too large"):
        runtime.predict(Table(signature, 1, matrix=np.full((1, 4), 1e300)))


def test_a_file_that_is_none_of_theirs_is_refused_with_its_name(
    kind: Framework, tmp_path: Path
) -> None:
    from modelway.domain.errors import LoadFailed

    path = tmp_path / "garbage.bin"
    path.write_bytes(b"\x00garbage\xff" * 20)
    with pytest.raises(LoadFailed, match=r"garbage\.bin"):
        kind.load(path, "entry")
