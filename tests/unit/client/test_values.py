"""Values on their way to the service: what is missing is null, what is infinite is not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelway.client.values import encode
from modelway.domain.errors import InvalidInput


@pytest.mark.parametrize(
    "value",
    [None, float("nan"), np.nan, np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT")],
)
def test_what_stands_for_nothing_is_null(value: Any) -> None:
    assert encode({"a": value}) == b'{"a":null}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float64(0.1), "0.1"),
        (np.int8(-3), "-3"),
        (np.uint64(2**63), str(2**63)),
        (np.bool_(True), "true"),
        (np.str_("ä"), '"ä"'),
        (Decimal("1.5"), "1.5"),
        (datetime(2024, 5, 17, 12, 30, tzinfo=UTC), '"2024-05-17T12:30:00Z"'),
        (pd.Timestamp("2024-05-17 12:30", tz="UTC"), '"2024-05-17T12:30:00+00:00"'),
        (np.datetime64("2024-05-17T12:30"), '"2024-05-17T12:30:00.000000Z"'),
        (np.array([[1.0, np.nan]]), "[[1.0,null]]"),
        (pd.Series([1, 2]), "[1,2]"),
    ],
)
def test_values_are_what_they_were(value: Any, text: str) -> None:
    assert encode({"a": value}).decode() == f'{{"a":{text}}}'


@pytest.mark.parametrize("value", [float("inf"), -np.inf, np.float32("inf"), [np.inf]])
def test_an_infinite_number_is_not_taken_for_a_missing_one(value: Any) -> None:
    (found,) = json.loads(encode([{"a": value}]))
    assert found["a"] in (float("inf"), [float("inf")])


@pytest.mark.parametrize("value", [object(), pd.Timedelta(1), "\ud800", {(1, 2): 3}, b"\xff"])
def test_what_no_column_takes_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput):
        encode({"a": value})
