"""Random pipelines, fitted on random data: what a stranger might bring."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import (
    SelectKBest,
    SelectPercentile,
    VarianceThreshold,
    f_classif,
    f_regression,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    Binarizer,
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

from modelway.compilers.sklearn.converters import CONVERTERS
from modelway.domain.names import alias_of
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Table
from support.answering import neighbours
from support.estimators import class_at, random_estimator, required_settings

Generator: TypeAlias = np.random.Generator
Kind = Literal["classifier", "regressor"]

_WORDS = (
    "red",
    "green",
    "Blue",
    "blue ",
    "",
    "größe",
    "漢字",
    "N/A",
    "a b",
    "0",
    "1.0",
    "very long" * 9,
)
_TITLES = (
    "the quick brown fox",
    "Lazy DOGS sleep",
    "fox and dog",
    "",
    "1 2 three",
    "Ünïcode, words!",
)

_OF_NUMBERS = (
    "sklearn.cross_decomposition",
    "sklearn.decomposition",
    "sklearn.feature_selection",
    "sklearn.impute",
    "sklearn.kernel_approximation",
    "sklearn.manifold",
    "sklearn.neighbors",
    "sklearn.preprocessing",
    "sklearn.random_projection",
)


@dataclass
class Drawn:
    """A fitted model and the rows that it was fitted on; ``recipe`` says how to make it again.

    A model that is ``named`` was fitted on a DataFrame, any other on an array.
    """

    recipe: str
    model: Any
    rows: pd.DataFrame
    named: bool

    def given(self, rows: pd.DataFrame) -> Any:
        """Rows as the user gives them to the model: as they were in training."""
        return rows if self.named else rows.to_numpy(dtype=np.float64)

    @property
    def signature(self) -> Signature:
        """The signature as ``bundle build`` takes it from training data."""
        columns = []
        for i, name in enumerate(self.rows.columns):
            values = self.rows[name]
            text = not pd.api.types.is_numeric_dtype(values)
            nullable = bool(values.isna().any())
            kind = Datatype.STRING if text else Datatype.FP64
            columns.append(Column(str(name), alias_of(str(name), i), kind, nullable))
        return Signature(tuple(columns))

    def table(self, rows: pd.DataFrame) -> Table:
        """Rows as the data plane would have them."""
        signature = self.signature
        arrays: list[npt.NDArray[Any]] = []
        for column in signature.columns:
            values = rows[column.name]
            if column.is_text:
                texts = [None if pd.isna(v) else v for v in values]
                arrays.append(np.array(texts, dtype=object))
            else:
                arrays.append(values.to_numpy(dtype=np.float64))
        if signature.is_numeric:
            return Table(signature, len(rows), matrix=np.stack(arrays, axis=1))
        return Table(signature, len(rows), arrays=arrays)


def draw(rng: Generator) -> Drawn:
    """A random pipeline, fitted; parts that do not go together are drawn again."""
    while True:
        kind: Kind = "classifier" if rng.random() < 0.6 else "regressor"
        absent = np.nan if rng.random() < 0.5 else None
        has_text = bool(rng.random() < 0.45)
        rows = _rows(rng, has_text, absent)
        target = _target(rng, rows, kind)
        named = has_text or bool(rng.random() < 0.3)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Random parts on random data complain of much that does not matter here.
            warnings.simplefilter("ignore")
            steps = _steps(rng, rows, kind, absent)
            model = _ending(Pipeline([*steps, ("last", random_estimator(rng, kind))]))
            recipe = f"{model!r} on {len(rows)} rows, {dict(rows.dtypes)}, {absent}"
            drawn = Drawn(" ".join(recipe.split()), model, rows, named)
            try:
                model.fit(drawn.given(rows), target)
            except Exception:  # noqa: BLE001 - the libraries' errors share no base
                continue
        return drawn


def _ending(model: Any) -> Any:
    """The model with an end to libsvm's iterations, which on such data may go on for hours."""
    endless = [n for n, v in model.get_params().items() if n.endswith("max_iter") and v == -1]
    return model.set_params(**dict.fromkeys(endless, 20_000))


def unseen_rows(
    rng: Generator, drawn: Drawn, thresholds: Sequence[npt.NDArray[np.float64]], n: int = 1500
) -> pd.DataFrame:
    """Rows that no gate has seen: cells drawn anew, moved, rounded, on thresholds, missing, odd.

    What is missing in a column is missing as it was in training.
    """
    columns: dict[str, Any] = {}
    for name, splits in zip(drawn.rows.columns, thresholds, strict=True):
        values = drawn.rows[name]
        cells = rng.choice(values.to_numpy(), n)
        kind = rng.integers(0, 6, n)
        if values.dtype == object:
            odd = rng.choice(np.array([*_WORDS, *_TITLES, "never seen"], dtype=object), n)
            columns[name] = np.where(kind == 0, odd, cells)
        else:
            spread = float(np.nan_to_num(values.std())) or 1.0
            moved = cells + rng.normal(size=n) * spread
            cells = np.select([kind < 2, kind == 2], [cells, moved.round(1)], moved)
            if len(splits):
                cells = np.where(kind >= 4, rng.choice(neighbours(splits), n), cells)
            columns[name] = cells
        if values.isna().any():
            absent = values[values.isna()].iloc[0]
            columns[name] = np.where(rng.random(n) < 0.1, absent, columns[name])
        columns[name] = pd.Series(columns[name], dtype=values.dtype)
    return pd.DataFrame(columns)


def _rows(rng: Generator, has_text: bool, absent: float | None) -> pd.DataFrame:
    n = int(rng.integers(30, 200))
    columns: dict[str, Any] = {}
    share = float(rng.choice([0.0, 0.0, 0.1, 0.4]))
    for i in range(int(rng.integers(1 if not has_text else 0, 7))):
        values = _numbers(rng, n)
        if columns and rng.random() < 0.1:
            values = columns[f"x{i}"].copy()
        values[rng.random(n) < share * rng.integers(0, 2)] = np.nan
        columns[f"x{i + 1}"] = values
    if has_text:
        for i in range(int(rng.integers(1, 3))):
            words = rng.choice(np.array(_WORDS, dtype=object), int(rng.integers(2, 8)))
            texts = rng.choice(words, n)
            texts[rng.random(n) < share] = absent
            columns[f"t{i + 1} (text)"] = pd.Series(texts, dtype=object)
        if rng.random() < 0.3:
            titles = rng.choice(np.array(_TITLES, dtype=object), n)
            columns["title"] = pd.Series(titles, dtype=object)
    return pd.DataFrame(columns)


def _numbers(rng: Generator, n: int) -> npt.NDArray[np.float64]:
    """One numeric column: of any scale, rounded, whole, constant, Boolean or heavy-tailed."""
    scale = 10.0 ** rng.integers(-3, 5)
    drawn = rng.normal(float(rng.normal()), 1.0, n) * scale
    shapes: Sequence[Callable[[], npt.NDArray[np.float64]]] = (
        lambda: drawn,
        lambda: np.round(drawn / scale, 1),
        lambda: rng.integers(-3, 5, n).astype(np.float64),
        lambda: rng.integers(0, 2, n).astype(np.float64),
        lambda: np.full(n, scale),
        lambda: np.round(rng.standard_cauchy(n), 3),
        lambda: np.abs(drawn),
        lambda: drawn.astype(np.float32).astype(np.float64),
    )
    return shapes[rng.choice(len(shapes), p=[0.3, 0.2, 0.15, 0.1, 0.02, 0.05, 0.1, 0.08])]()


def _target(rng: Generator, rows: pd.DataFrame, kind: Kind) -> npt.NDArray[Any]:
    """A target that depends on the columns, with noise."""
    score = rng.normal(size=len(rows)) * 0.3
    for name in rows.columns:
        codes = rows[name].rank().to_numpy() if rows[name].dtype != object else None
        codes = pd.factorize(rows[name])[0].astype(float) if codes is None else codes
        codes = np.nan_to_num(codes)
        score = score + rng.normal() * (codes - codes.mean()) / (codes.std() or 1.0)
    if kind == "regressor":
        scale = 10.0 ** rng.integers(-2, 5)
        positive = rng.random() < 0.3
        return np.asarray(np.abs(score) * scale + 0.1 if positive else score * scale)
    n_classes = int(rng.choice([2, 2, 3, 5]))
    index = np.searchsorted(np.quantile(score, np.linspace(0, 1, n_classes + 1)[1:-1]), score)
    labels = {
        0: np.arange(n_classes) * int(rng.integers(1, 3)) - 1,
        1: np.array([f"class {i}" for i in range(n_classes)], dtype=object),
        2: np.array([False, True]) if n_classes == 2 else np.arange(n_classes),
        3: np.arange(n_classes) + 0.0,
    }
    return np.asarray(labels[int(rng.integers(0, 4))][index])


def _steps(
    rng: Generator, rows: pd.DataFrame, kind: Kind, absent: float | None
) -> list[tuple[str, Any]]:
    text = [c for c in rows.columns if rows[c].dtype == object and c != "title"]
    numeric = [c for c in rows.columns if rows[c].dtype != object]
    gaps = bool(rows[numeric].isna().any().any()) if numeric else False
    gaps_in_text = bool(rows[text].isna().any().any()) if text else False
    if not text:
        return _numeric_steps(rng, gaps, kind)
    parts: list[tuple[str, Any, Any]] = [
        ("text", Pipeline(_text_steps(rng, gaps_in_text, absent)), text)
    ]
    if numeric:
        steps = _numeric_steps(rng, gaps, kind)
        parts.append(("numbers", Pipeline(steps) if steps else "passthrough", numeric))
    if "title" in rows.columns:
        vectoriser = CountVectorizer if rng.random() < 0.5 else TfidfVectorizer
        parts.append(("title", vectoriser(binary=bool(rng.random() < 0.3)), "title"))
    order = rng.permutation(len(parts))
    columns = ColumnTransformer(
        [parts[i] for i in order], sparse_threshold=float(rng.choice([0, 0.3]))
    )
    return [("columns", columns)]


def _text_steps(rng: Generator, gaps: bool, absent: float | None) -> list[tuple[str, Any]]:
    steps: list[tuple[str, Any]] = []
    if gaps and rng.random() < 0.7:
        fill = SimpleImputer(strategy="most_frequent")
        if rng.random() < 0.5:
            fill = SimpleImputer(strategy="constant", fill_value="missing")
        if rng.random() < 0.8:
            # The others look for NaN where there is None, as a user who forgets it has them do.
            fill.set_params(missing_values=absent)
        steps.append(("fill", fill))
    encoders: Sequence[Any] = (
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5, sparse_output=False),
        OneHotEncoder(handle_unknown="ignore", drop="if_binary", sparse_output=False),
        OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
        ),
        TargetEncoder(),
    )
    steps.append(("encode", encoders[int(rng.integers(0, len(encoders)))]))
    return steps


def _numeric_steps(rng: Generator, gaps: bool, kind: Kind) -> list[tuple[str, Any]]:
    steps: list[tuple[str, Any]] = []
    if gaps and rng.random() < 0.8:
        strategy = str(rng.choice(["mean", "median", "most_frequent", "constant"]))
        steps.append(("fill", SimpleImputer(strategy=strategy, add_indicator=rng.random() < 0.3)))
    score = f_classif if kind == "classifier" else f_regression
    pool: Sequence[Any] = (
        StandardScaler(),
        StandardScaler(with_mean=False),
        MinMaxScaler(clip=bool(rng.random() < 0.5)),
        MaxAbsScaler(),
        RobustScaler(),
        Normalizer(str(rng.choice(["l1", "l2", "max"]))),
        Binarizer(threshold=0.5),
        KBinsDiscretizer(
            4,
            encode=str(rng.choice(["onehot-dense", "ordinal"])),
            quantile_method="averaged_inverted_cdf",
        ),
        PolynomialFeatures(2, interaction_only=bool(rng.random() < 0.5)),
        QuantileTransformer(n_quantiles=20),
        PowerTransformer(),
        VarianceThreshold(),
        SelectKBest(score, k=1),
        FeatureUnion([("scaled", StandardScaler()), ("binned", Binarizer())]),
        PCA(1),
        PCA(whiten=True),
        TruncatedSVD(1),
        SelectPercentile(score, percentile=50),
    )
    known = [one for one in pool if _path(type(one)) in CONVERTERS.transformers]
    for i in range(int(rng.integers(0, 3))):
        is_usual = rng.random() < 0.8
        step = known[int(rng.integers(0, len(known)))] if is_usual else _any_transformer(rng)
        steps.append((f"step{i}", clone(step)))
    return steps


def _any_transformer(rng: Generator) -> Any:
    """A transformer that has a converter, with its defaults."""
    paths = [path for path in CONVERTERS.transformers if path.startswith(_OF_NUMBERS)]
    while True:
        found = class_at(str(rng.choice(paths)))
        if not required_settings(found):
            return found()


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
