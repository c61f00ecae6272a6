"""What building and serving a bundle need from the frameworks: reading, answering, compiling.

``runtimes/`` implements :class:`Framework`, one framework a file; ``compilers/`` implements
:class:`Compiler`. Only ``composition`` knows which there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from modelway.bundles.manifest import Layout, Manifest, Task
from modelway.domain.inference import Outputs
from modelway.domain.signature import Scalar, Signature
from modelway.domain.tables import Table


@dataclass(frozen=True, slots=True)
class Description:
    """What a model says of itself.

    ``signature`` is as much as the model knows of its columns or tensors, None where it knows
    nothing; an alias in it counts for nothing, and is the name. ``layout`` is how its own runtime
    wants a table. ``libraries`` are versions by distribution name.
    """

    task: Task
    layout: Layout
    classes: tuple[Scalar, ...] | None = None
    probabilities: bool = False
    signature: Signature | None = None
    missing_text: Literal["nan", "none"] = "nan"
    libraries: Mapping[str, str] = field(default_factory=dict)


class Runtime(Protocol):
    """One opened model.

    ``predict`` answers every row of a table, in order, changing nothing it is given.
    ``predict`` may be called from any thread, one call at a time; that of the ``onnx`` runtime by
    several threads at once.
    ``close`` releases what the model holds; calling it twice does no harm.
    """

    def predict(self, table: Table) -> Outputs:
        """The outputs for the table's rows, as ``domain.inference.Outputs`` says."""
        ...

    def close(self) -> None:
        """Release what the model holds."""
        ...


class Framework(Protocol):
    """How models of one framework are read, described and answered with natively.

    ``load`` reads a file or folder and may run code in it; callers ask first.
    ``describe`` needs nothing but the model.
    ``open`` gives a runtime over a loaded model for the signature and manifest of its bundle.
    """

    def load(self, path: Path, entry: str | None) -> object:
        """The model in the file at ``path``. Raises LoadFailed, MissingExtra."""
        ...

    def describe(self, model: object) -> Description:
        """What the model says of itself."""
        ...

    def open(self, model: object, signature: Signature, manifest: Manifest) -> Runtime:
        """A runtime over the model."""
        ...


@dataclass(frozen=True, slots=True)
class Compiled:
    """An ONNX model and how it takes a table.

    Inputs of a ``matrix`` layout: ``X`` double (n_rows, n_columns). Of a ``columns`` layout:
    ``c0``, ``c1``, ... in signature order, each (n_rows, 1), double for what a float64 holds,
    string for text with ``manifest.MISSING_TEXT`` for a missing one. Outputs are named as
    ``domain.inference.Outputs`` says.
    """

    onnx: bytes
    layout: Layout


class Compiler(Protocol):
    """How models of one framework become ONNX with the same answers.

    ``compile`` gives an ONNX graph of ONNX Runtime's own operators, or says why there is none.
    ``compile`` gives the same bytes for the same model, whatever the machine or hash seed.
    ``thresholds`` gives the values at which the model may jump, column by column of its input.
    """

    def compile(self, model: object, signature: Signature, description: Description) -> Compiled:
        """The model as ONNX. Raises NotCompilable with the reason."""
        ...

    def thresholds(
        self, model: object, signature: Signature, rows: Table
    ) -> Sequence[npt.NDArray[np.float64]]:
        """For each column, the values where a split lies; ``rows`` are ordinary rows to work from.

        Empty arrays where the model has no splits or the column is text.
        """
        ...
