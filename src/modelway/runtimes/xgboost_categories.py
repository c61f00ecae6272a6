"""Categories in XGBoost models: the lists that version 3.1 and later keep of DataFrames.

XGBoost means to refuse a value that is in no list. Up to 3.2 it does so only behind the last one in
order, and takes any other for the category that follows it; all are refused here.

Source: XGBoost, src/data/cat_container.h, include/xgboost/json.h (types of arrays).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from modelway.domain.errors import LoadFailed
from modelway.runtimes.categories import Categories, categories

_DTYPES = {
    9: np.int8,
    10: np.uint8,
    11: np.int16,
    12: np.uint16,
    13: np.int32,
    14: np.uint32,
    15: np.int64,
    16: np.uint64,
}
"""By XGBoost's number of a typed array: a DataFrame must have the very type that was fitted on."""


def categories_of(booster: Any) -> Mapping[int, Categories]:
    """The categories of DataFrames that the booster was fitted on, by position of the column.

    None where codes were given to it as numbers, as they are then its columns' own values.

    Raises:
        LoadFailed: it was fitted on categories whose values it does not have.
    """
    kinds = booster.feature_types or []
    if "c" not in kinds:
        return {}
    learner = json.loads(bytes(booster.save_raw("json")).decode())["learner"]
    gradient = learner["gradient_booster"]
    kept = gradient.get("gbtree", gradient)["model"].get("cats", {}).get("enc", [])
    if not kept and booster.feature_names is None:
        return {}
    names = booster.feature_names or [f"x{i + 1}" for i in range(len(kinds))]
    if not kept:
        raise LoadFailed(
            "XGBoost has columns of categories and not which values they had",
            hint="fit it on a DataFrame with XGBoost 3.1 or later; for codes of your own, give no "
            "feature names",
        )
    return {
        i: categories(names[i], _listed(names[i], one), is_closed=True)
        for i, one in enumerate(kept)
        if one.get("values") or len(one.get("offsets", ())) > 1
    }


def _listed(name: str, kept: Mapping[str, Any]) -> list[str] | pd.Index[Any]:
    """One column's list: text as the bytes of all of it and where each begins, or numbers."""
    if "offsets" not in kept:
        numbers: pd.Index[Any] = pd.Index(kept["values"], dtype=_DTYPES.get(kept["type"]))
        return numbers
    whole = np.array(kept["values"], dtype=np.int8).tobytes()
    if not whole.isascii():
        # XGBoost counts letters where it should count bytes, and so cuts them.
        raise LoadFailed(
            f"XGBoost has lost the categories of column {name!r}, which have letters beyond ASCII",
            hint="fit it on categories in ASCII",
        )
    return [whole[start:stop].decode() for start, stop in pairwise(kept["offsets"])]
