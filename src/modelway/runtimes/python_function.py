"""Python functions and classes: a rule deploys as a model does.

A function is called once a row, with the columns as keyword arguments; its type hints are the
signature. A parameter with a default may be left out of a request and then keeps it. A class has
``predict``, which is called like such a function, and may have ``load``, which is called once
before, with the folder of its file if it takes an argument. A function whose only parameter is
annotated ``DataFrame`` is given all rows at once; its columns come from elsewhere.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelway.bundles.manifest import Manifest, Task
from modelway.bundles.ports import Description, Runtime
from modelway.domain.errors import InvalidSource
from modelway.domain.inference import Outputs
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Array, Table, typed_array
from modelway.runtimes.hints import columns_of, takes_frame
from modelway.runtimes.python_source import imported, predict_of


class PythonFunctionFramework:
    """Reads a name from a Python file."""

    def load(self, path: Path, entry: str | None) -> object:
        """The function, or ``predict`` of an instance of the class.

        Raises:
            LoadFailed: it cannot be run, made or loaded.
            InvalidSource: the name is one of something that cannot be called.
        """
        found = imported(path, entry or "")
        if not callable(found):
            raise InvalidSource(
                f"{entry} of {path.name} is a {type(found).__name__}, no function or class",
                hint=f"{path.name}:NAME, where NAME answers or is a class with predict",
            )
        return predict_of(found, path) if inspect.isclass(found) else found

    def describe(self, model: object) -> Description:
        """What the type hints say. Raises InvalidSignature."""
        function: Any = model
        columns = columns_of(function)
        signature = None
        if columns:
            signature = Signature(columns, description=inspect.getdoc(function))
        return Description(Task.FUNCTION, "columns", signature=signature)

    def open(self, model: object, signature: Signature, manifest: Manifest) -> Runtime:
        """A runtime over the function."""
        function: Any = model
        if takes_frame(function):
            return FrameFunctionRuntime(function)
        return RowFunctionRuntime(function, signature)


class RowFunctionRuntime:
    """A function asked once a row."""

    def __init__(self, function: Callable[..., Any], signature: Signature) -> None:
        self._function = function
        parameters = inspect.signature(function).parameters
        self._keys = _keys(parameters, signature)
        self._optional = {
            key
            for key in self._keys
            if key in parameters and parameters[key].default is not inspect.Parameter.empty
        }

    def predict(self, table: Table) -> Outputs:
        """What the function gives for each row: one array, or one a key where it gives mappings."""
        columns = zip(table.signature.columns, table.arrays, strict=True)
        cells = [_cells(typed_array(array, column), column) for column, array in columns]
        answers = [self._answer(row) for row in zip(*cells, strict=True)]
        return {"prediction": _array(answers)}

    def close(self) -> None:
        """Nothing is held."""

    def _answer(self, row: tuple[Any, ...]) -> Any:
        given = zip(self._keys, row, strict=True)
        return self._function(
            **{k: v for k, v in given if v is not None or k not in self._optional}
        )


class FrameFunctionRuntime:
    """A function asked once, with all rows as a DataFrame."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def predict(self, table: Table) -> Outputs:
        """What the function gives for the table's rows."""
        from modelway.runtimes.frames import typed_frame_of

        return {"prediction": np.asarray(self._function(typed_frame_of(table)))}

    def close(self) -> None:
        """Nothing is held."""


def _keys(parameters: Mapping[str, Any], signature: Signature) -> list[str]:
    """The parameter of each column: its name or, where that is no parameter, its alias."""
    return [c.name if c.name in parameters else c.alias for c in signature.columns]


def _cells(array: Array, column: Column) -> list[Any]:
    """The values as Python has them, a missing one as None."""
    if array.dtype.kind == "M":
        return [None if v is None else v for v in array.astype("datetime64[us]").tolist()]
    values = [None if v != v else v for v in array.tolist()]
    if array.dtype.kind != "f" or column.datatype.is_float:
        return values
    # Beside a missing value, whole numbers and Booleans lie as floats; no row may notice that.
    kind = bool if column.datatype is Datatype.BOOL else int
    return [None if v is None else kind(v) for v in values]


def _array(answers: list[Any]) -> Array:
    """The answers as one array: of their own type where they share one, else of objects."""
    kinds = set(map(type, answers))
    if kinds <= {bool} or kinds <= {int} or kinds <= {float, int}:
        try:
            return np.array(answers)
        except OverflowError:
            pass  # whole numbers beyond 64 bits stay objects
    array = np.empty(len(answers), dtype=object)
    array[:] = answers
    return array
