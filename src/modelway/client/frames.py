"""pandas DataFrames, known by sight: pandas is never imported, only found if the caller has it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    import pandas as pd

_ABOUT = frozenset(("endpoint", "version", "prediction_id", "warnings"))
"""What an answer says that is no column of a frame of predictions."""


def is_frame(value: object) -> TypeGuard[pd.DataFrame]:
    """Whether ``value`` is a pandas DataFrame."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def columns_of(frame: pd.DataFrame) -> tuple[list[str], list[list[Any]]]:
    """The names of the columns as text, and the values of each, one list a column."""
    names = [str(name) for name in frame.columns]
    return names, [frame.iloc[:, place].tolist() for place in range(len(names))]


def frame_of(frame: pd.DataFrame, answers: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The answers for the rows of ``frame`` as a DataFrame with its index.

    What an answer holds by label becomes a column a label, ``probability_LABEL``; several values a
    row become ``prediction_0``, ``prediction_1``, ...
    """
    pandas = sys.modules["pandas"]
    spread = [_spread(answer) for answer in answers]
    names = list(spread[0]) if spread else ["prediction"]
    columns = {name: [row.get(name) for row in spread] for name in names}
    found: pd.DataFrame = pandas.DataFrame(columns, index=frame.index)
    return found


def _spread(answer: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in answer.items():
        if name in _ABOUT:
            continue
        if name == "probabilities":
            row.update({f"probability_{label}": share for label, share in value.items()})
        elif isinstance(value, list):
            row.update({f"{name}_{k}": one for k, one in enumerate(value)})
        else:
            row[name] = value
    return row
