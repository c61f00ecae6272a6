"""DataFrames with a column of categories, for boosters, and the tables that hold the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from modelway.domain.signature import Signature
from modelway.domain.tables import Table

TEXTS = ("red", "green", "blue", "amber", "")
NUMBERS = (30, 10, 20, 70, 50)


def framed(categories: tuple[Any, ...], n: int = 600) -> tuple[pd.DataFrame, Any]:
    """Rows with a column of categories, a tenth of them missing, and a target that needs it."""
    rng = np.random.default_rng(4)
    codes = rng.integers(0, len(categories), n)
    codes[::10] = -1
    rows = pd.DataFrame(
        {
            "size": rng.normal(size=n).round(1),
            "kind": pd.Categorical.from_codes(codes, pd.Index(categories)),
        }
    )
    return rows, rows["size"] + np.array([5.0, -3.0, 9.0, 1.0, 0.0, 2.0])[codes]


def asked(categories: tuple[Any, ...], *more: Any) -> pd.DataFrame:
    """One row for each category, for a missing one and for ``more`` that are none of them."""
    values = [*categories, None, *more]
    kind = pd.Categorical(values, categories=[*categories, *more])
    return pd.DataFrame({"size": np.linspace(-1, 1, len(values)), "kind": kind})


def table_of(rows: pd.DataFrame, signature: Signature) -> Table:
    """The rows as a door gives them to a runtime."""
    size = rows["size"].to_numpy(dtype=np.float64)
    kind = rows["kind"].astype(object).where(rows["kind"].notna(), None).to_numpy()
    if signature.is_numeric:
        matrix = np.stack([size, kind.astype(np.float64)], axis=1)
        return Table(signature, len(rows), matrix=matrix)
    return Table(signature, len(rows), arrays=[size, kind])
