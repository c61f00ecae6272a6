"""How the models of the comparison are fitted: the data, the estimators, the rows to ask.

Everything is drawn with fixed seeds. Each model has at least 10,000 distinct rows.
"""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pandas as pd
from onnx import TensorProto, helper, numpy_helper
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler

ROOT = Path(__file__).parents[1]
N_ROWS = 10_000
N_PIXELS = 784

Rows = pd.DataFrame
Answers = npt.NDArray[Any]


@dataclass(frozen=True)
class Fitted:
    """A model's file, the rows it was fitted on, rows to ask, and its own answers to them."""

    content: bytes
    training: Rows
    rows: Rows
    expected: Answers


def iris(seed: int = 0, n_rows: int = N_ROWS, n_estimators: int = 100) -> Fitted:
    """Gradient boosting of three kinds of flowers by four numbers; a seed fits another one."""
    flowers = load_iris(as_frame=True)
    columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    training = flowers.data.set_axis(columns, axis=1)
    share = 0.8 if seed else 1.0
    boosting = GradientBoostingClassifier(
        n_estimators=n_estimators, subsample=share, random_state=seed
    )
    # Fitted on an array: a server that gives the model an array is then as fast as it can be.
    model = make_pipeline(StandardScaler(), boosting)
    model.fit(training.to_numpy(), flowers.target)
    random = np.random.default_rng(7)
    low, high = training.min().to_numpy(), training.max().to_numpy()
    drawn = random.uniform(low, high, size=(2 * n_rows, 4)).round(2)
    rows = pd.DataFrame(drawn, columns=columns).drop_duplicates().head(n_rows)
    return Fitted(pickle.dumps(model), training, rows, model.predict(rows.to_numpy()))


def linear() -> Fitted:
    """Logistic regression on the same flowers: so cheap that what counts is reading and writing."""
    flowers = iris()
    labels = load_iris().target
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(flowers.training.to_numpy(), labels)
    expected = model.predict(flowers.rows.to_numpy())
    return Fitted(pickle.dumps(model), flowers.training, flowers.rows, expected)


def data_folder() -> str:
    """The folder of the real loans where there is one, else of their synthetic twin."""
    named = Path(os.environ.get("MODELWAY_TEST_DATA", ROOT.parent / "shared" / "data"))
    real = (named if named.is_absolute() else ROOT / named) / "loan"
    return str(real if real.is_dir() else ROOT / "tests" / "twins" / "loan")


def loan() -> Fitted:
    """A forest over numbers and texts, both with missing values in the training."""
    money = ["ApplicantIncome", "CoapplicantIncome", "LoanAmount"]
    numbers = ["Loan_Amount_Term", "Credit_History"]
    texts = ["Gender", "Married", "Dependents", "Education", "Self_Employed", "Property_Area"]
    columns = [*money, *numbers, *texts]
    loans = pd.read_csv(
        Path(data_folder()) / "train.csv", dtype=dict.fromkeys([*texts, "Loan_Status"], object)
    )
    training = loans[columns].astype(dict.fromkeys([*money, *numbers], float))
    text = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    number = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    forest = RandomForestClassifier(n_estimators=100, min_samples_leaf=3, random_state=0)
    model = make_pipeline(
        ColumnTransformer([("numbers", number, [*money, *numbers]), ("texts", text, texts)]), forest
    )
    model.fit(training, loans["Loan_Status"])
    # Complete rows: the peers' protocols have no agreed word for a missing text.
    random = np.random.default_rng(7)
    drawn = {
        name: random.choice(training[name].dropna().to_numpy(), 2 * N_ROWS) for name in columns
    }
    rows = pd.DataFrame(drawn, columns=columns).drop_duplicates().head(N_ROWS)
    return Fitted(pickle.dumps(model), training, rows, model.predict(rows))


def spline() -> Fitted:
    """A pipeline without an exact ONNX form: splines of ten numbers under a ridge."""
    random = np.random.default_rng(7)
    columns = [f"x{number + 1}" for number in range(10)]
    training = pd.DataFrame(random.normal(size=(2_000, 10)).round(3), columns=columns)
    target = np.sin(training.to_numpy()).sum(axis=1) + random.normal(size=2_000) / 10
    model = make_pipeline(StandardScaler(), SplineTransformer(n_knots=8), Ridge())
    model.fit(training.to_numpy(), target)
    drawn = random.normal(size=(N_ROWS, 10)).round(3)
    drawn = drawn.clip(training.min().to_numpy(), training.max().to_numpy())
    rows = pd.DataFrame(drawn, columns=columns)
    return Fitted(pickle.dumps(model), training, rows, model.predict(rows.to_numpy()))


def network() -> Fitted:
    """784 pixels through two hidden layers to ten probabilities; weights from a seed."""
    random = np.random.default_rng(7)
    widths = (N_PIXELS, 256, 128, 10)
    nodes, weights, last = [], [], "pixels"
    for layer, (width, height) in enumerate(pairwise(widths)):
        scale = np.sqrt(2 / width)
        matrix = (random.normal(size=(width, height)) * scale).astype(np.float32)
        weights.append(numpy_helper.from_array(matrix, f"weights{layer}"))
        weights.append(numpy_helper.from_array(np.zeros(height, np.float32), f"bias{layer}"))
        terms = [last, f"weights{layer}", f"bias{layer}"]
        nodes.append(helper.make_node("Gemm", terms, [f"sum{layer}"]))
        final = height == widths[-1]
        last = "probabilities" if final else f"hidden{layer}"
        # The last axis, over which Softmax sums, is its default.
        nodes.append(helper.make_node("Softmax" if final else "Relu", [f"sum{layer}"], [last]))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", N_PIXELS])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", widths[-1]])],
        weights,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    content = made.SerializeToString()
    pixels = random.uniform(size=(N_ROWS, N_PIXELS)).round(2).astype(np.float32)
    rows = pd.DataFrame(pixels, columns=[f"x{number + 1}" for number in range(N_PIXELS)])
    return Fitted(content, rows.head(0), rows, _inferred(content, pixels))


def _inferred(content: bytes, pixels: npt.NDArray[np.float32]) -> Answers:
    from onnxruntime import InferenceSession

    session = InferenceSession(content, providers=["CPUExecutionProvider"])
    found: Answers = session.run(None, {"pixels": pixels})[0]
    return found
