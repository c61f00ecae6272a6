"""The services that BentoML serves; what its guide to adaptive batching writes, with our models.

An array comes as BentoML's array. A frame comes as a list of objects: in 1.4.39 the size of a batch
of its data frames is found to be a tuple, and no request is answered.
"""

from __future__ import annotations

from typing import Any

import bentoml
import numpy as np
import pandas as pd
from loaded import load_own

SETTINGS = {"workers": "cpu_count", "logging": {"access": {"enabled": False}}}


@bentoml.service(**SETTINGS)
class Arrays:
    """A model that takes an array, or a network."""

    def __init__(self) -> None:
        """Load it, once in each worker."""
        self.model = load_own()

    @bentoml.api(batchable=True, max_batch_size=10_000)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """One prediction for each row."""
        return self.model(rows)


@bentoml.service(**SETTINGS)
class Frames:
    """A model that takes a frame."""

    def __init__(self) -> None:
        """Load it, once in each worker."""
        self.model = load_own()

    @bentoml.api(batchable=True, max_batch_size=10_000)
    def predict(self, rows: list[dict[str, Any]]) -> list[Any]:
        """One prediction for each row."""
        return self.model(pd.DataFrame(rows)).tolist()
