"""Every kind of SOURCE, from a file that its own library wrote to the answers of its bundle."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from modelway.bundles.store import Bundle, open_bundle
from modelway.composition.frameworks import open_runtime
from modelway.inference.validation import Validator
from support.live import modelway

NAMES = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
DEPENDENCIES = {"pip_requirements": ["numpy"]}

mlflow_warns = pytest.mark.filterwarnings("ignore")
"""MLflow warns of its own type hints when it is imported, and of pickles when it writes them."""


@dataclass(frozen=True)
class Trained:
    """Rows, their classes, and models fitted on them."""

    rows: pd.DataFrame
    classes: npt.NDArray[np.int64]
    logistic: Any
    xgboost: Any
    lightgbm: Any
    catboost: Any

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        return self.rows.to_numpy(dtype=np.float64)


@pytest.fixture(scope="module")
def trained() -> Trained:
    catboost = pytest.importorskip("catboost")
    lightgbm = pytest.importorskip("lightgbm")
    xgboost = pytest.importorskip("xgboost")
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    rows, classes = load_iris(return_X_y=True, as_frame=True)
    return Trained(
        rows,
        classes.to_numpy(),
        LogisticRegression(max_iter=1000).fit(rows, classes),
        xgboost.XGBClassifier(n_estimators=4, max_depth=3, n_jobs=1).fit(rows, classes),
        lightgbm.LGBMClassifier(n_estimators=4, verbose=-1, n_jobs=1).fit(rows, classes),
        catboost.CatBoostClassifier(
            iterations=4, verbose=0, thread_count=1, allow_writing_files=False
        ).fit(rows, classes),
    )


def build(source: str | Path, *options: str | Path) -> Bundle:
    folder = Path(str(source).partition(":")[0]).parent / "bundle"
    modelway("bundle", "build", source, "-o", folder, *options)
    return open_bundle(folder)


def answers(bundle: Bundle, rows: pd.DataFrame) -> Mapping[str, Any]:
    """What the bundle answers, its rows coming as JSON does."""
    runtime = open_runtime(bundle.folder, bundle.signature, bundle.manifest, allow_pickle=True)
    checked = Validator(bundle.signature, strict=False).rows(rows.to_dict("records"))
    return runtime.predict(checked.table)


def labels(bundle: Bundle, rows: pd.DataFrame) -> list[Any]:
    assert bundle.manifest.classes is not None
    return [bundle.manifest.classes[i] for i in answers(bundle, rows)["class_index"]]


def same_as_sklearn(bundle: Bundle, trained: Trained, model: Any) -> None:
    assert bundle.manifest.runtime == "onnx"
    assert bundle.record.parity is not None
    assert bundle.record.parity.passed
    assert labels(bundle, trained.rows) == model.predict(trained.rows).tolist()
    found = answers(bundle, trained.rows)["probabilities"]
    np.testing.assert_allclose(found, model.predict_proba(trained.rows), rtol=0, atol=1e-5)


def write_pickle(model: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(model))


def write_compressed(model: Any, path: Path) -> None:
    pytest.importorskip("joblib").dump(model, path, compress=("gzip", 3))


def write_cloudpickle(model: Any, path: Path) -> None:
    path.write_bytes(pytest.importorskip("cloudpickle").dumps(model))


def write_skops(model: Any, path: Path) -> None:
    pytest.importorskip("skops.io").dump(model, path)


@pytest.mark.parametrize(
    ("file", "form", "write"),
    [
        ("no_suffix", "pickle", write_pickle),
        ("model.pkl.gz", "joblib", write_compressed),
        ("model.cloudpickle", "pickle", write_cloudpickle),
        ("skops.zip", "skops", write_skops),
    ],
)
def test_scikit_learn(
    file: str, form: str, write: Callable[[Any, Path], None], trained: Trained, tmp_path: Path
) -> None:
    write(trained.logistic, tmp_path / file)
    bundle = build(tmp_path / file)
    assert bundle.manifest.original.framework == "sklearn"
    assert bundle.manifest.original.format == form
    assert [column.name for column in bundle.signature.columns] == NAMES
    same_as_sklearn(bundle, trained, trained.logistic)


def test_onnx(trained: Trained, tmp_path: Path) -> None:
    """A graph as converters write it: float32 rows, one node, a label and its probabilities."""
    onnx = pytest.importorskip("onnx")
    make, model = onnx.helper, trained.logistic
    node = make.make_node(
        "LinearClassifier",
        ["X"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        coefficients=model.coef_.ravel().tolist(),
        intercepts=model.intercept_.tolist(),
        classlabels_ints=model.classes_.tolist(),
        post_transform="SOFTMAX",
    )
    graph = make.make_graph(
        [node],
        "flowers",
        [make.make_tensor_value_info("X", onnx.TensorProto.FLOAT, [None, 4])],
        [
            make.make_tensor_value_info("label", onnx.TensorProto.INT64, [None]),
            make.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, [None, 3]),
        ],
    )
    opsets = [make.make_opsetid("", 17), make.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(make.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "flowers.onnx")
    trained.rows.to_csv(tmp_path / "rows.csv", index=False)

    bundle = build(tmp_path / "flowers.onnx", "--data", tmp_path / "rows.csv")
    assert (bundle.manifest.runtime, bundle.manifest.original.framework) == ("onnx", "onnx")
    assert not bundle.manifest.is_compiled
    assert bundle.record.why_native is None
    assert not (bundle.folder / "model.onnx").exists()
    assert [c.name for c in bundle.signature.columns] == NAMES
    assert labels(bundle, trained.rows) == model.predict(trained.rows).tolist()
    found = answers(bundle, trained.rows)["probabilities"]
    np.testing.assert_allclose(found, model.predict_proba(trained.rows), rtol=0, atol=1e-5)


@pytest.mark.parametrize("suffix", ["json", "ubj"])
def test_xgboost_boosters(suffix: str, trained: Trained, tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    booster = trained.xgboost.get_booster()
    booster.save_model(tmp_path / f"model.{suffix}")
    bundle = build(tmp_path / f"model.{suffix}")
    assert bundle.manifest.original.format == f"xgboost-{suffix}"
    assert bundle.manifest.is_compiled
    expected = booster.predict(xgboost.DMatrix(trained.rows))
    found = answers(bundle, trained.rows)["prediction"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_lightgbm_text_with_training_data(trained: Trained, tmp_path: Path) -> None:
    """LightGBM writes names in letters of its own; the data's names are known as aliases."""
    booster = trained.lightgbm.booster_
    booster.save_model(tmp_path / "model.txt")
    trained.rows.to_csv(tmp_path / "rows.csv", index=False)
    bundle = build(tmp_path / "model.txt", "--data", tmp_path / "rows.csv")
    assert bundle.manifest.original.format == "lightgbm-text"
    assert bundle.manifest.is_compiled
    assert bundle.signature.columns[0].maximum == 7.9
    rows = trained.rows.set_axis([c.alias for c in bundle.signature.columns], axis=1)
    found = answers(bundle, rows)["prediction"]
    np.testing.assert_allclose(found, booster.predict(trained.matrix), rtol=0, atol=1e-5)


def test_catboost_cbm(trained: Trained, tmp_path: Path) -> None:
    trained.catboost.save_model(str(tmp_path / "model.cbm"))
    bundle = build(tmp_path / "model.cbm")
    assert bundle.manifest.original.format == "catboost-cbm"
    same_as_sklearn(bundle, trained, _Flat(trained.catboost))


class _Flat:
    """CatBoost gives labels as (n_rows, 1)."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, rows: pd.DataFrame) -> Any:
        return np.ravel(self._model.predict(rows))

    def predict_proba(self, rows: pd.DataFrame) -> Any:
        return self._model.predict_proba(rows)


@mlflow_warns
def test_mlflow_scikit_learn_is_read_without_mlflow(trained: Trained, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    signature = mlflow.models.infer_signature(trained.rows, trained.classes)
    mlflow.sklearn.save_model(
        trained.logistic,
        str(tmp_path / "flowers"),
        signature=signature,
        **DEPENDENCIES,
    )
    bundle = build(tmp_path / "flowers")
    assert bundle.record.name == "flowers"
    assert bundle.manifest.original.framework == "sklearn"
    assert "mlflow" not in bundle.manifest.libraries
    assert not any(column.nullable for column in bundle.signature.columns)
    same_as_sklearn(bundle, trained, trained.logistic)


@mlflow_warns
def test_mlflow_xgboost_is_read_without_mlflow(trained: Trained, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    booster = trained.xgboost.get_booster()
    mlflow.xgboost.save_model(booster, str(tmp_path / "flowers"), **DEPENDENCIES)
    bundle = build(tmp_path / "flowers")
    assert bundle.manifest.original.framework == "xgboost"
    assert bundle.manifest.is_compiled
    xgboost = pytest.importorskip("xgboost")
    expected = booster.predict(xgboost.DMatrix(trained.rows))
    found = answers(bundle, trained.rows)["prediction"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@mlflow_warns
def test_mlflow_python_function(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    (tmp_path / "area_model.py").write_text(
        "class Area:\n"
        "    def predict(self, rows):\n"
        "        return rows['length'] * rows['width']\n"
        "def _load_pyfunc(path):\n"
        "    return Area()\n"
    )
    schema = mlflow.types.Schema(
        [mlflow.types.ColSpec("double", "length"), mlflow.types.ColSpec("long", "width")]
    )
    mlflow.pyfunc.save_model(
        str(tmp_path / "area"),
        loader_module="area_model",
        code_paths=[str(tmp_path / "area_model.py")],
        signature=mlflow.models.ModelSignature(inputs=schema),
        **DEPENDENCIES,
    )
    bundle = build(tmp_path / "area")
    assert bundle.manifest.runtime == "mlflow"
    assert [str(c.datatype) for c in bundle.signature.columns] == ["FP64", "INT64"]
    rows = pd.DataFrame({"length": [1.5, 2.0], "width": [2, 3]})
    assert answers(bundle, rows)["prediction"].tolist() == [3.0, 6.0]
    assert open_bundle(bundle.folder).digest == bundle.digest  # running it left nothing behind
    modelway("bundle", "build", tmp_path / "area", "--no-pickle", "-o", tmp_path / "n", exit_code=6)


def test_a_python_function(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text(
        "def granted(income: float, years: int, region: str | None = None) -> bool:\n"
        "    return income > 1000 and years >= 2 and region != 'north'\n"
    )
    bundle = build(f"{tmp_path / 'rules.py'}:granted", "--no-pickle")
    assert bundle.record.name == "granted"
    assert bundle.manifest.runtime == "python_function"
    assert [c.nullable for c in bundle.signature.columns] == [False, False, True]
    rows = pd.DataFrame({"income": [2000.0, 2000.0], "years": [3, 1]})
    assert answers(bundle, rows)["prediction"].tolist() == [True, False]
    modelway(
        *("bundle", "build", f"{tmp_path / 'rules.py'}:granted", "--require-compiled"),
        *("-o", tmp_path / "compiled"),
        exit_code=7,
    )
    assert not (tmp_path / "compiled").exists()


def test_a_name_that_cannot_be_called_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text("LIMIT = 3\n")
    arguments = ("bundle", "build", f"{tmp_path / 'rules.py'}:LIMIT", "-o", tmp_path / "b")
    done = modelway(*arguments, exit_code=2)
    assert "LIMIT of rules.py is a int, no function or class" in done.stderr


def test_a_column_that_comes_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text("def f(age: float) -> float:\n    return age\n")
    (tmp_path / "rows.csv").write_text("age,age,,\n1,2,3,4\n")
    arguments = ("bundle", "build", f"{tmp_path / 'rules.py'}:f", "-o", tmp_path / "b")
    done = modelway(*arguments, "--data", tmp_path / "rows.csv", exit_code=2)
    assert "rows.csv names a column twice: age [" in done.stderr


def test_a_class_that_loads_what_lies_beside_it(tmp_path: Path) -> None:
    source = tmp_path / "pricing"
    source.mkdir()
    (source / "prices.json").write_text(json.dumps({"apple": 2.0, "pear": 3.0}))
    (source / "rounding.py").write_text("def cents(x):\n    return round(x, 2)\n")
    (source / "price.py").write_text(
        "import json\n"
        "from rounding import cents\n"
        "class Price:\n"
        "    def load(self, folder):\n"
        "        self.prices = json.loads((folder / 'prices.json').read_text())\n"
        "    def predict(self, fruit: str, count: int) -> float:\n"
        "        return cents(self.prices.get(fruit, 0.0) * count)\n"
    )
    bundle = build(f"{source / 'price.py'}:Price", "--code", source)
    rows = pd.DataFrame({"fruit": ["apple", "pear"], "count": [2, 4]})
    assert answers(bundle, rows)["prediction"].tolist() == [4.0, 12.0]
    assert open_bundle(bundle.folder).digest == bundle.digest  # running it left nothing behind


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.h5", b"\x89HDF\r\n\x1a\n", "no model that is understood"),
        ("model.json", b'{"name": "something"}', "no model that is understood"),
        ("empty.pickle", b"", "no model that is understood"),
        ("rules.py", b"def f(): ...", "which function or class"),
    ],
)
def test_what_is_no_model_is_refused_with_what_is_understood(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    done = modelway("bundle", "build", tmp_path / name, "-o", tmp_path / "b", exit_code=2)
    assert said in done.stderr
    assert "hint:" in done.stderr
    assert not (tmp_path / "b").exists()
