"""MLflow's own scoring server, asked in a process of its own.

    mlflow_scoring.py FOLDER CORPUS OUT

saves models into the folder, serves each and asks it for the bodies of a JSON file. The corpus has
``{model: {title: [content type or null, body]}}``; the answers, under the same titles, are
``[status, content type, text]``.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import xgboost
from mlflow.models import infer_signature
from mlflow.pyfunc import PythonModel, scoring_server
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LinearRegression
from starlette.testclient import TestClient

COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
TRADE = pd.DataFrame({"a": [1.0, 2.0], "b": [1, 2], "name": ["x", "y"]})
TEXT = pd.DataFrame({"prompt": ["hello"]})


class Table(PythonModel):  # type: ignore[misc] # mlflow has no types
    """A table of several columns, of several types."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        total = model_input["a"] / model_input["b"]
        when = pd.Timestamp("2024-05-17 12:30")
        return pd.DataFrame(
            {"total": total, "name": model_input["name"].str.upper(), "high": total > 1, "at": when}
        )


class Column(PythonModel):  # type: ignore[misc]
    """A table of one column."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return pd.DataFrame({"twice": model_input["a"] * 2})


class Objects(PythonModel):  # type: ignore[misc]
    """A list of objects, which say a parameter."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return [{"a": float(a), "top": (params or {}).get("top")} for a in model_input["a"]]


class Shout(PythonModel):  # type: ignore[misc]
    """A list of texts."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return [text.upper() for text in model_input["prompt"]]


def save_models(folder: Path) -> None:
    """Save one model of each kind."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(3, 2, (150, 4)), columns=COLUMNS)
    codes = (rows["petal_length"] > 2).astype(int) + (rows["petal_width"] > 3)
    names = np.array(["setosa", "versicolor", "virginica"])[codes]
    for name, labels in (("codes", codes.to_numpy()), ("names", names)):
        model = GradientBoostingClassifier(n_estimators=5, random_state=0).fit(rows, labels)
        _sklearn(folder / name, model, rows)
    two = np.c_[codes, codes * 2.5]
    _sklearn(folder / "pairs", LinearRegression().fit(rows, two), rows)
    matrix = rows.to_numpy()
    _sklearn(folder / "matrix", LinearRegression().fit(matrix, codes), matrix)
    booster = xgboost.train(
        {"objective": "binary:logistic"}, xgboost.DMatrix(rows, label=codes == 1), 5
    )
    signature = infer_signature(rows, booster.predict(xgboost.DMatrix(rows)))
    mlflow.xgboost.save_model(
        booster, str(folder / "booster"), signature=signature, pip_requirements=[]
    )
    for name, function, given, params in (
        ("table", Table(), TRADE, None),
        ("column", Column(), TRADE, None),
        ("objects", Objects(), TRADE, {"top": 3}),
        ("shout", Shout(), TEXT, None),
    ):
        signature = infer_signature(given, function.predict(None, given), params)
        mlflow.pyfunc.save_model(
            str(folder / name), python_model=function, signature=signature, pip_requirements=[]
        )


def _sklearn(path: Path, model: Any, rows: Any) -> None:
    mlflow.sklearn.save_model(
        model,
        str(path),
        signature=infer_signature(rows, model.predict(rows)),
        serialization_format="cloudpickle",
        pip_requirements=[],
    )


def answers(folder: Path, corpus: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the server answers to every body."""
    found: dict[str, dict[str, Any]] = {}
    for name, bodies in corpus.items():
        app = scoring_server.init(mlflow.pyfunc.load_model(str(folder / name)))
        client = TestClient(app, raise_server_exceptions=False)
        found[name] = {title: _answer(client, kind, body) for title, (kind, body) in bodies.items()}
        for path in ("/ping", "/health", "/version"):
            answer = client.get(path)
            kind = answer.headers["content-type"]
            found[name][path] = [answer.status_code, kind, answer.text]
    return found


def _answer(client: TestClient, kind: str | None, body: str) -> list[Any]:
    headers = {} if kind is None else {"content-type": kind}
    answer = client.post("/invocations", content=body.encode("latin-1"), headers=headers)
    return [answer.status_code, answer.headers["content-type"], answer.text]


def main() -> None:
    """Save, serve, ask."""
    warnings.simplefilter("ignore")
    folder, corpus, out = map(Path, sys.argv[1:])
    save_models(folder)
    out.write_text(json.dumps(answers(folder, json.loads(corpus.read_text()))))


if __name__ == "__main__":
    main()
