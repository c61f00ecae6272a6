"""A model that is answered natively answers as it does where it was trained, or is not built."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import modelway as modelway_api
from modelway.bundles.store import Bundle, open_bundle
from modelway.composition.frameworks import open_runtime
from modelway.domain.errors import InvalidInput, LoadFailed
from modelway.inference.validation import Validator
from support.live import modelway

STEPS = """
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

class AsText(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        if hasattr(X, "columns"):
            self.feature_names_in_ = np.array(X.columns, dtype=object)
        return self
    def transform(self, X):
        return X.astype(str)
"""


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module with a transformer that writes its columns as text."""
    (tmp_path / "text_steps.py").write_text(STEPS)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "text_steps.py"


def homes(n_rows: int = 200) -> pd.DataFrame:
    rows = range(n_rows)
    frame = pd.DataFrame(
        {"zip": [10000 + 7 * i % 10 for i in rows], "year": [2000 + i % 4 for i in rows]}
    )
    return frame.assign(y=frame["zip"] % 2)


def fitted(steps: Path, features: object, target: object) -> Path:
    """A pickle of a tree on one column a text."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.tree import DecisionTreeClassifier
    from text_steps import AsText  # type: ignore[import-not-found]  # written by the test

    model = make_pipeline(
        AsText(), OneHotEncoder(handle_unknown="ignore"), DecisionTreeClassifier(random_state=0)
    )
    path = steps.parent / "model.pickle"
    path.write_bytes(pickle.dumps(model.fit(features, target)))
    return path


def labels(bundle: Bundle, rows: list[dict[str, object]]) -> list[object]:
    runtime = open_runtime(bundle.folder, bundle.signature, bundle.manifest, allow_pickle=True)
    table = Validator(bundle.signature, strict=False).rows(rows).table
    assert bundle.manifest.classes is not None
    return [bundle.manifest.classes[i] for i in runtime.predict(table)["class_index"]]


@pytest.mark.parametrize("datatype", [None, "INT64"])
@pytest.mark.parametrize("kind", ["frame", "array"])
def test_whole_numbers_reach_the_model_as_whole_numbers(
    steps: Path, datatype: str | None, kind: str
) -> None:
    rows = homes()
    features, folder = rows.drop(columns="y"), steps.parent
    source = fitted(steps, features if kind == "frame" else features.to_numpy(), rows["y"])
    rows.to_csv(folder / "rows.csv", index=False)
    more: list[str | Path] = []
    if datatype:
        columns = [f'[[columns]]\nname = "{n}"\ndatatype = "{datatype}"\n' for n in features]
        (folder / "signature.toml").write_text("".join(columns))
        more = ["--signature", folder / "signature.toml"]
    modelway(
        *("bundle", "build", source, "--code", steps, "--data", folder / "rows.csv"),
        *("--target", "y", *more, "-o", folder / "bundle"),
    )
    bundle = open_bundle(folder / "bundle")
    sent = [{str(k): v for k, v in row.items()} for row in features.to_dict("records")]
    if datatype is None:  # a number that is not whole is still one, and spoils no other row
        sent.append({"zip": 10000.5, "year": 2000.0})
    assert labels(bundle, sent)[: len(rows)] == rows["y"].tolist()


def test_a_model_that_would_answer_otherwise_than_it_does_itself_is_not_built(steps: Path) -> None:
    rows = homes()
    whole = rows.drop(columns="y")
    # As text, float32 has other digits than float64: 0.1 and 0.10000000149011612.
    features = (whole / 10).astype("float32")
    source = fitted(steps, features, rows["y"])
    features.assign(y=rows["y"]).to_parquet(steps.parent / "rows.parquet")
    done = modelway(
        *("bundle", "build", source, "--code", steps, "--data", steps.parent / "rows.parquet"),
        *("--target", "y", "-o", steps.parent / "bundle"),
        exit_code=7,
    )
    assert "would answer otherwise than it does itself" in done.stderr
    assert "read as zip float32, year float32" in done.stderr
    assert re.search(r"to row \d+ of rows\.parquet \(zip 10\d\d\.", done.stderr)
    assert not (steps.parent / "bundle").exists()


def test_columns_that_would_be_called_alike_are_told_apart_by_an_alias_given(
    tmp_path: Path,
) -> None:
    from sklearn.linear_model import LinearRegression

    rows = pd.DataFrame({"a b": [1.0, 2.0, 4.0], "a_b": [3.0, 1.0, 2.0], "y": [4.0, 3.0, 6.0]})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    model = LinearRegression().fit(rows[["a b", "a_b"]], rows["y"])
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    (tmp_path / "rules.py").write_text("def rule(x: float, x_: float) -> float:\n    return x - x_")
    (tmp_path / "pickle.toml").write_text('[[columns]]\nname = "a b"\nalias = "first"\n')
    (tmp_path / "rules.toml").write_text('[[columns]]\nname = "x_"\nalias = "last"\n')
    for source, aliases in (("model.pickle", ["first", "a_b"]), ("rules.py:rule", ["x", "last"])):
        build = ("bundle", "build", tmp_path / source, "-o", tmp_path / "bundle")
        assert "another alias in signature.toml" in modelway(*build, exit_code=2).stderr
        toml = tmp_path / ("rules.toml" if "rule" in source else "pickle.toml")
        modelway(*build[:-1], tmp_path / aliases[0], "--signature", toml)
        signature = open_bundle(tmp_path / aliases[0]).signature
        assert [column.alias for column in signature.columns] == aliases


def boosters() -> list[object]:
    import lightgbm
    import xgboost

    rows, target = np.arange(40.0).reshape(20, 2), np.arange(20.0)
    quiet = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 1}
    return [
        xgboost.train({"nthread": 1}, xgboost.DMatrix(rows, target), 2),
        lightgbm.train(quiet, lightgbm.Dataset(rows, target), 2),
    ]


@pytest.mark.parametrize(("place", "file"), [(0, "model.json"), (1, "model.txt")])
def test_a_pickled_booster_is_refused_with_what_to_save_instead(place: int, file: str) -> None:
    with pytest.raises(LoadFailed, match="holds a Booster") as caught:
        modelway_api.bundle(boosters()[place], pd.DataFrame({"a": [1.0], "b": [2.0]}))
    assert f'save_model("{file}")' in str(caught.value.hint)


DOUBLING = """
class Doubling:
    def predict(self, rows):
        return rows[:, 0] * 2.0
"""


def of_a_notebook() -> Any:
    """A class of one's own that knows nothing of scikit-learn, as a notebook has it."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(DOUBLING, names)
    return names["Doubling"]


def test_a_class_with_predict_is_a_model(tmp_path: Path) -> None:
    rows = pd.DataFrame({"a": [1, 2, 3]})
    bundle = modelway_api.bundle(of_a_notebook()(), rows, output=tmp_path / "bundle")
    assert bundle.manifest.task == "function"


def half(x: float) -> float:
    return x / 2


@pytest.mark.parametrize(("model", "kind"), [(half, "function"), (of_a_notebook(), "class")])
def test_a_function_or_class_is_no_fitted_model(model: Any, kind: str) -> None:
    with pytest.raises(InvalidInput, match=f"no fitted model but a {kind}") as caught:
        modelway_api.bundle(model)
    assert f"rules.py:{model.__name__}" in str(caught.value.hint)
