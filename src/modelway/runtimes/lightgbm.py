"""LightGBM boosters, answering what their own ``predict`` answers.

A booster that was fitted on category columns of pandas keeps the lists of their categories, in the
order of the columns, and nowhere says which columns they are of. Where LightGBM found its
categorical features itself they are those.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from modelway.bundles.manifest import Layout, Manifest, Task
from modelway.bundles.ports import Description, Runtime
from modelway.domain.errors import LoadFailed
from modelway.domain.inference import Outputs
from modelway.domain.signature import Signature
from modelway.domain.tables import Table
from modelway.runtimes.categories import Categories, categories, coded_matrix, signature_with

_FEATURES = re.compile(r"^\[categorical_feature: ([\d,]*)\]$", re.MULTILINE)
_INFOS = re.compile(r"^feature_infos=(.*)$", re.MULTILINE)


class LightgbmFramework:
    """Reads text files written by ``Booster.save_model``."""

    def load(self, path: Path, entry: str | None) -> object:
        """The booster in the file. Raises LoadFailed."""
        import lightgbm

        try:
            return lightgbm.Booster(model_file=str(path))
        except lightgbm.basic.LightGBMError as error:
            raise LoadFailed(f"LightGBM cannot read {path.name}: {error}") from error

    def describe(self, model: object) -> Description:
        """The booster's features; every one may be missing.

        Raises:
            LoadFailed: it cannot be known which columns its categories are of.
        """
        booster: Any = model
        signature = signature_with(booster.feature_name(), categories_of(booster))
        libraries = {name: version(name) for name in ("lightgbm", "numpy")}
        layout: Layout = "matrix" if signature.is_numeric else "columns"
        return Description(Task.REGRESSION, layout, signature=signature, libraries=libraries)

    def open(self, model: object, signature: Signature, manifest: Manifest) -> Runtime:
        """A runtime over the booster."""
        return LightgbmRuntime(model)


class LightgbmRuntime:
    """The booster itself, on one thread."""

    def __init__(self, booster: Any) -> None:
        self._booster = booster
        self._categories = categories_of(booster)

    def predict(self, table: Table) -> Outputs:
        """What ``Booster.predict`` gives for the table's rows."""
        found = self._booster.predict(coded_matrix(table, self._categories), num_threads=1)
        return {"prediction": np.asarray(found, dtype=np.float64)}

    def close(self) -> None:
        """Release the booster."""
        self._booster = None


def categories_of(booster: Any) -> Mapping[int, Categories]:
    """The categories of pandas that the booster was fitted on, by position of the column.

    Raises:
        LoadFailed: it cannot be known which columns they are of, or no request can hold them.
    """
    lists = booster.pandas_categorical
    if not lists:
        return {}
    text = booster.model_to_string()
    found, infos = _FEATURES.search(text), _INFOS.search(text)
    positions = [int(place) for place in found[1].split(",") if place] if found else []
    seen = infos[1].split() if infos else []
    if len(positions) != len(lists) or not all(
        _may_be_of(seen[place], len(listed)) for place, listed in zip(positions, lists, strict=True)
    ):
        raise LoadFailed(
            f"LightGBM has the categories of {len(lists)} columns of pandas and does not say of "
            "which",
            hint="fit it with unordered category columns and without naming categorical features",
        )
    names = booster.feature_name()
    return {
        place: categories(names[place], listed, is_closed=False)
        for place, listed in zip(positions, lists, strict=True)
    }


def _may_be_of(info: str, n_categories: int) -> bool:
    """Whether a feature with these values in training can have had so many categories."""
    if info == "none":
        return True
    return "[" not in info and all(-1 <= int(code) < n_categories for code in info.split(":"))
