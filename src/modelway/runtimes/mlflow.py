"""MLflow models whose flavour only MLflow itself can read, through ``mlflow.pyfunc``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from modelway.bundles.manifest import Manifest, Task
from modelway.bundles.ports import Description, Runtime
from modelway.domain.errors import InputRefused, LoadFailed
from modelway.domain.inference import Outputs
from modelway.domain.signature import Signature
from modelway.domain.tables import Table
from modelway.runtimes.frames import typed_frame_of

_REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")
"""Codes of MLflow's own exception that are the caller's fault."""


class MlflowFramework:
    """Reads model folders of MLflow; their signature is read from ``MLmodel``, not from here."""

    def load(self, path: Path, entry: str | None) -> object:
        """The folder's Python function. Raises LoadFailed."""
        import mlflow

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return mlflow.pyfunc.load_model(str(path))
        except Exception as error:  # the model's own code may raise anything at all
            raise LoadFailed(
                f"MLflow cannot load {path.name}: {type(error).__name__}: {error}",
                hint="give the environment that logged the model with --python",
            ) from error

    def describe(self, model: object) -> Description:
        """A function of the columns that the signature names."""
        return Description(Task.FUNCTION, "columns", libraries={"mlflow": version("mlflow")})

    def open(self, model: object, signature: Signature, manifest: Manifest) -> Runtime:
        """A runtime over the function."""
        return MlflowRuntime(model)


class MlflowRuntime:
    """The function itself; of a table of results, the only column or all of them; of several arrays
    by name, all.

    A request's parameters are its ``params``: MLflow holds them to what the model was logged with.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, table: Table) -> Outputs:
        """What ``predict`` gives for the table's rows. Raises InputRefused."""
        if table.signature.is_tabular:
            given: Any = typed_frame_of(table)
        else:
            names = [spec.name for spec in table.signature.tensors]
            arrays = dict(zip(names, table.arrays, strict=True))
            given = arrays if len(arrays) > 1 else next(iter(arrays.values()))
        said = {"params": dict(table.parameters)} if table.parameters else {}
        try:
            found = self._model.predict(given, **said)
        except Exception as error:
            if getattr(error, "error_code", "") in _REFUSALS:
                first = str(error).splitlines()[0]
                raise InputRefused(f"the model refuses the request: {first[:300]}") from error
            raise
        if isinstance(found, Mapping):
            return {str(name): np.asarray(values) for name, values in found.items()}
        if hasattr(found, "columns") and found.shape[1] != 1:
            return {str(name): found[name].to_numpy() for name in found.columns}
        values = np.asarray(found)
        single = values.ndim == 2 and values.shape[1] == 1
        return {"prediction": values[:, 0] if single else values}

    def close(self) -> None:
        """Release the model."""
        self._model = None
