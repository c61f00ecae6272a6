"""The reference profile of training data."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from modelway.bundles.profile import profile_of
from modelway.bundles.training import TrainingColumn, TrainingData
from modelway.domain.signature import Datatype
from modelway.domain.tables import Array


def numbers(*values: float) -> Array:
    return np.array(values, dtype=np.float64)


def texts(*values: str | None) -> Array:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def data(**columns: Array) -> TrainingData:
    kinds = {"O": Datatype.STRING, "f": Datatype.FP64, "M": Datatype.DATETIME}
    return TrainingData(
        "rows.csv",
        {n: TrainingColumn(n, kinds[values.dtype.kind], values) for n, values in columns.items()},
    )


def test_the_profile_of_numbers_is_that_of_other_libraries() -> None:
    values = np.random.default_rng(0).normal(50, 20, 999)
    profile = profile_of(data(a=np.append(values, np.nan)), ["a"]).columns["a"]
    assert (profile.count, profile.missing) == (999, 1)
    assert profile.numbers is not None
    assert profile.numbers.mean == pytest.approx(statistics.fmean(values))
    assert profile.numbers.std == pytest.approx(statistics.pstdev(values))
    for share, found in profile.numbers.quantiles.items():
        assert found == pytest.approx(np.quantile(values, float(share)))


def test_the_profile_does_not_depend_on_the_order_of_the_rows() -> None:
    values = np.random.default_rng(1).normal(size=500) * 10.0 ** (np.arange(500) % 20)
    words = texts(*(str(int(v) % 7) for v in values))
    one = profile_of(data(a=values, b=words), ["a", "b"])
    other = profile_of(data(a=values[::-1], b=words[::-1]), ["a", "b"])
    assert one == other


def test_the_profile_of_enormous_numbers_is_finite() -> None:
    profile = profile_of(data(a=numbers(-1.7e308, 1.7e308)), ["a"]).columns["a"]
    assert profile.numbers is not None
    assert profile.numbers.mean == 0.0
    assert profile.numbers.std == pytest.approx(1.7e308)
    assert all(np.isfinite(v) for v in profile.numbers.quantiles.values())


def test_the_profile_of_texts_and_dates() -> None:
    dates = np.array(["2024-05-01", "NaT", "2023-01-31"], dtype="datetime64[us]")
    words = texts("b", "a", None)
    found = profile_of(data(when=dates, word=words), ["when", "word"]).columns
    assert (found["when"].count, found["when"].missing) == (2, 1)
    assert found["when"].earliest == "2023-01-31T00:00:00.000000"
    assert (found["word"].distinct, found["word"].counts) == (2, {"a": 1, "b": 1})
