"""A runtime whose answers are what its manifest promises, and whose failures are ours."""

from __future__ import annotations

import numpy as np

from modelway.bundles.manifest import Manifest
from modelway.bundles.ports import Runtime
from modelway.domain.errors import ModelwayError, OutputInvalid, PredictFailed
from modelway.domain.inference import Outputs
from modelway.domain.signature import Signature
from modelway.domain.tables import Array, Table

_FEW = 64
_PER_ROW = frozenset(("class_index", "probabilities", "prediction"))


class CheckedRuntime:
    """The runtime of the model called ``name``; it may be called as the runtime itself may."""

    def __init__(
        self, name: str, runtime: Runtime, manifest: Manifest, signature: Signature
    ) -> None:
        self._name = name
        self._runtime = runtime
        self._is_tabular = signature.is_tabular
        self._n_classes = len(manifest.classes or ())
        self._has_classes = manifest.classes is not None

    def predict(self, table: Table) -> Outputs:
        """The model's outputs for the table's rows.

        Raises:
            InputRefused: the model refuses the values.
            PredictFailed: it raised anything else.
            OutputInvalid: it gave something that does not fit the table or its classes.
        """
        try:
            outputs = self._runtime.predict(table)
        except ModelwayError:
            raise
        except (Exception, SystemExit) as error:  # a model may raise anything at all
            raise PredictFailed(f"the model {self._name} failed: {error!r}") from error
        self.check(outputs, table.n_rows)
        return outputs

    def check(self, outputs: Outputs, n_rows: int) -> None:
        """Do nothing if the outputs are what the manifest promises for this many rows.

        Raises:
            OutputInvalid: they are not.
        """
        if not outputs:
            raise OutputInvalid(f"the model {self._name} gave no output")
        for name, array in outputs.items():
            per_row = self._is_tabular or name in _PER_ROW
            if per_row and array.shape[:1] != (n_rows,):
                raise OutputInvalid(
                    f"the model {self._name} gave {name} of shape {array.shape} for {n_rows} rows"
                )
        if self._has_classes:
            self._check_classes(outputs.get("class_index"), n_rows)

    def _check_classes(self, index: Array | None, n_rows: int) -> None:
        if index is None:
            raise OutputInvalid(f"the model {self._name} gave no class")
        # Python's own comparisons are the quicker ones for a few rows.
        if n_rows <= _FEW:
            found = index.tolist()
            fits = n_rows == 0 or (min(found) >= 0 and max(found) < self._n_classes)
        else:
            fits = index.min() >= 0 and index.max() < self._n_classes
        if not fits:
            raise OutputInvalid(f"the model {self._name} gave a class that it does not have")

    def close(self) -> None:
        """Release what the model holds; twice does no harm."""
        self._runtime.close()


def no_rows(manifest: Manifest) -> Outputs:
    """The outputs of a model that takes columns for a table without rows; many refuse one."""
    if manifest.classes is None:
        return {"prediction": np.empty(0)}
    outputs: dict[str, Array] = {"class_index": np.empty(0, dtype=np.int64)}
    if manifest.probabilities:
        outputs["probabilities"] = np.empty((0, len(manifest.classes)))
    return outputs
