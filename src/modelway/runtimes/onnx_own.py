"""Graphs that came as ONNX: fed by their own input names in their own element types.

Source: ONNX-ML operator ZipMap, which gives probabilities as one mapping a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from modelway.bundles.manifest import Manifest
from modelway.domain.inference import Outputs
from modelway.domain.signature import Signature
from modelway.domain.tables import Array, Table, filled
from modelway.runtimes.onnx_graph import ELEMENTS


class OwnOutputs:
    """What the outputs mean: a label with its probabilities, or whatever they are named."""

    def __init__(self, session: Any, manifest: Manifest) -> None:
        self._names = [output.name for output in session.get_outputs()]
        self._classes = manifest.classes
        self._places = {label: i for i, label in enumerate(manifest.classes or ())}
        self._single = len(self._names) == 1 and manifest.layout != "tensors"

    def __call__(self, values: Sequence[Any], n_rows: int) -> Outputs:
        """The outputs for ``n_rows`` rows, from the session's values in its own order."""
        if self._classes is None:
            if not self._single:
                return dict(zip(self._names, values, strict=True))
            value = values[0]
            return {"prediction": value[:, 0] if value.shape[1:] == (1,) else value}
        labels = np.asarray(values[0]).ravel().tolist()
        outputs = {"class_index": np.array([self._places.get(v, -1) for v in labels], np.int64)}
        if len(values) > 1:
            outputs["probabilities"] = self._probabilities(values[1], n_rows)
        return outputs

    def _probabilities(self, value: Any, n_rows: int) -> Array:
        if isinstance(value, list):
            rows = [[row[label] for label in self._classes or ()] for row in value]
            return np.array(rows, dtype=np.float64).reshape(n_rows, -1)
        found = np.asarray(value, dtype=np.float64).reshape(n_rows, -1)
        if found.shape[1] == 1:
            return np.hstack([1.0 - found, found])
        return found


def own_feed(session: Any, signature: Signature) -> Callable[[Table], dict[str, Array]]:
    """How a table is given to the session: by its input names, in their element types."""
    inputs = session.get_inputs()
    dtypes = [ELEMENTS[one.type].dtype for one in inputs]
    if not signature.is_tabular:
        return lambda table: dict(
            zip([t.name for t in signature.tensors], table.arrays, strict=True)
        )
    if len(inputs) == 1:
        name, dtype = inputs[0].name, dtypes[0]
        if signature.is_numeric:
            return lambda table: {name: table.matrix.astype(dtype)}
        return lambda table: {name: np.stack(table.arrays, axis=1).astype(dtype)}
    names = [one.name for one in inputs]

    def columns(table: Table) -> dict[str, Array]:
        by_name = zip(names, dtypes, table.arrays, strict=True)
        return {name: _cell(array, dtype)[:, None] for name, dtype, array in by_name}

    return columns


def _cell(array: Array, dtype: np.dtype[Any]) -> Array:
    """A column in the element type of its input; ONNX text has no null, so it becomes empty."""
    if dtype == np.dtype(object):
        return filled(array, "")
    return array.astype(dtype)
