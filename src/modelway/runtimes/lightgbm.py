"""LightGBM boosters, answering what their own ``predict`` answers."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from modelway.bundles.manifest import Manifest, Task
from modelway.bundles.ports import Description, Runtime
from modelway.domain.errors import LoadFailed
from modelway.domain.inference import Outputs
from modelway.domain.names import alias_of
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Table


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
        """The booster's features; every one may be missing."""
        booster: Any = model
        columns = tuple(
            Column(name, alias_of(name, i), Datatype.FP64, nullable=True)
            for i, name in enumerate(booster.feature_name())
        )
        libraries = {name: version(name) for name in ("lightgbm", "numpy")}
        return Description(
            Task.REGRESSION, "matrix", signature=Signature(columns), libraries=libraries
        )

    def open(self, model: object, signature: Signature, manifest: Manifest) -> Runtime:
        """A runtime over the booster."""
        return LightgbmRuntime(model)


class LightgbmRuntime:
    """The booster itself, on one thread."""

    def __init__(self, booster: Any) -> None:
        self._booster = booster

    def predict(self, table: Table) -> Outputs:
        """What ``Booster.predict`` gives for the table's rows."""
        found = self._booster.predict(table.matrix, num_threads=1)
        return {"prediction": np.asarray(found, dtype=np.float64)}

    def close(self) -> None:
        """Release the booster."""
        self._booster = None
