"""Columns of categories in front of a booster: each value becomes the code it had in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from modelway.bundles.manifest import MISSING_TEXT
from modelway.bundles.ports import Description
from modelway.compilers.features import Features, joined, numbers
from modelway.compilers.graph import ML, Graph
from modelway.domain.errors import NotCompilable
from modelway.domain.signature import Datatype

Categories = Mapping[int, Sequence[str | int]]
"""The categories by code, by position of the column."""


def categories_of(description: Description, n_expected: int) -> Categories:
    """The categories of the columns that a raw booster describes as categorical.

    Raises:
        NotCompilable: the booster was fitted on other than ``n_expected`` such columns: some have
            categories that are neither text nor whole numbers, or nobody has described it.
    """
    columns = description.signature.columns if description.signature else ()
    found = {
        i: column.categories
        for i, column in enumerate(columns)
        if column.datatype is Datatype.CATEGORICAL and column.categories
    }
    if len(found) != n_expected:
        raise NotCompilable("categories of a DataFrame, whose codes only the booster itself knows")
    return found


def coded(
    g: Graph, features: Features, categories: Categories, *, is_closed: bool = False
) -> Features:
    """The columns with codes for categories; NaN for a missing value or one that is none of them.

    ``is_closed``: ONNX Runtime refuses rows with a value that is none of them.

    Raises:
        NotCompilable: a column of text has categories that are numbers, or the reverse.
    """
    parts: list[Features] = []
    start = 0
    for i in sorted(categories):
        parts.append(features.select(g, range(start, i)))
        parts.append(_codes(g, features.select(g, [i]), categories[i], is_closed))
        start = i + 1
    parts.append(features.select(g, range(start, features.width)))
    return joined(parts, sparse=features.sparse) if categories else features


def _codes(
    g: Graph, column: Features, categories: Sequence[str | int], is_closed: bool
) -> Features:
    from onnx import helper, numpy_helper

    if isinstance(categories[0], str):
        value = column.text(g)
        missing = g.op("Equal", value, np.array(MISSING_TEXT, dtype=object))
        texts = [str(category).encode() for category in categories]
        keys = helper.make_tensor("keys", helper.TensorProto.STRING, [len(texts)], texts)
    else:
        value = column.matrix(g)
        missing = g.op("IsNaN", value)
        keys = numpy_helper.from_array(np.array(categories, dtype=np.float64), "keys")
    n = len(categories)
    known = np.arange(n, dtype=np.float64)
    code = g.op(
        "LabelEncoder",
        value,
        domain=ML,
        keys_tensor=keys,
        values_tensor=numpy_helper.from_array(known, "values"),
        default_tensor=numpy_helper.from_array(np.array([n + 1.0 if is_closed else np.nan]), "no"),
    )
    if is_closed:
        # Behind the codes there is one place for a missing value; a place beyond is refused.
        place = g.cast(g.op("Where", missing, float(n), code), "int64")
        code = g.op("Gather", np.append(known, np.nan), place, axis=0)
    return numbers(code, 1)
