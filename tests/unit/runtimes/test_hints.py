"""Type hints as columns."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import pytest

from modelway.domain.errors import InvalidSignature
from modelway.domain.signature import Datatype
from modelway.runtimes.hints import columns_of, takes_frame


def every(
    number: float,
    whole: int,
    flag: bool,
    text: str,
    when: datetime,
    colour: Literal["red", "blue"],
    maybe: float | None,
    optional: int = 3,
) -> bool:
    """Whatever."""
    return flag


def test_each_hint_has_its_datatype() -> None:
    columns = columns_of(every)
    assert [c.datatype for c in columns] == [
        Datatype.FP64,
        Datatype.INT64,
        Datatype.BOOL,
        Datatype.STRING,
        Datatype.DATETIME,
        Datatype.CATEGORICAL,
        Datatype.FP64,
        Datatype.INT64,
    ]
    assert [c.name for c in columns if c.nullable] == ["maybe", "optional"]
    assert columns[5].categories == ("red", "blue")
    assert columns[5].closed


def test_a_hint_that_no_request_can_hold_is_named() -> None:
    def rule(a: float, b: bytes) -> bool:
        return bool(a and b)

    with pytest.raises(InvalidSignature, match="'b' of rule is annotated <class 'bytes'>"):
        columns_of(rule)


def test_variable_parameters_are_refused() -> None:
    def rule(*numbers: float) -> float:
        return sum(numbers)

    with pytest.raises(InvalidSignature, match="numbers"):
        columns_of(rule)


def test_without_hints_there_are_no_columns() -> None:
    def rule(a, b):  # type: ignore[no-untyped-def] # that is the case
        return a + b

    assert columns_of(rule) == ()


def test_a_function_of_a_frame_takes_its_columns_from_elsewhere() -> None:
    import pandas as pd

    def rule(rows: pd.DataFrame) -> object:
        return rows

    assert takes_frame(rule)
    assert columns_of(rule) == ()
    assert not takes_frame(every)
