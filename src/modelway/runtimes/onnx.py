"""ONNX Runtime: graphs compiled by Modelway, and ONNX models as they came.

One thread a session: with more, sums change their order and answers depend on the batch.
A compiled graph takes and gives what :class:`modelway.bundles.ports.Compiled` says; how one that
came as ONNX is fed and read is in ``onnx_own.py``.

Source: ONNX Runtime, Python API.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from modelway.bundles.manifest import MISSING_TEXT, Manifest
from modelway.bundles.ports import Description, Runtime
from modelway.domain.errors import InputRefused, LoadFailed
from modelway.domain.inference import Outputs
from modelway.domain.signature import Signature
from modelway.domain.tables import Array, Table, filled
from modelway.runtimes.onnx_graph import OnnxModel, describe
from modelway.runtimes.onnx_own import OwnOutputs, own_feed
from modelway.runtimes.onnx_session import bare, quickest, session_of

Feed = Callable[[Table], dict[str, Array]]


class OnnxFramework:
    """Reads ``.onnx`` files."""

    def load(self, path: Path, entry: str | None) -> OnnxModel:
        """A session over the graph. Raises LoadFailed."""
        try:
            session = session_of(str(path))
        except Exception as error:  # its errors share no base but Exception
            first = str(error).splitlines()[0][:300]
            raise LoadFailed(f"ONNX Runtime cannot open {path.name}: {first}") from error
        return OnnxModel(path, session)

    def describe(self, model: object) -> Description:
        """What the graph says of its inputs, outputs and classes."""
        return describe(_opened(model))

    def open(self, model: object, signature: Signature, manifest: Manifest) -> Runtime:
        """A runtime over the session."""
        session = _opened(model).session
        if manifest.is_compiled:
            run = quickest(session).run
            return OnnxRuntime(session, run, _compiled_feed(manifest), _Compiled(session))
        run = bare(session).run
        own = own_feed(session, signature)
        return OnnxRuntime(session, run, own, OwnOutputs(session, manifest))


def _opened(model: object) -> OnnxModel:
    if not isinstance(model, OnnxModel):
        raise LoadFailed(f"expected an ONNX model, got {type(model).__name__}")
    return model


class OnnxRuntime:
    """A session, how a table is fed to it, and what its outputs mean."""

    def __init__(
        self,
        session: Any,
        run: Callable[..., Any],
        feed: Feed,
        read: Callable[[Sequence[Any], int], Outputs],
    ) -> None:
        self._names = [output.name for output in session.get_outputs()]
        self._run = run
        self._feed = feed
        self._read = read

    def predict(self, table: Table) -> Outputs:
        """The outputs for the table's rows. Raises InputRefused."""
        try:
            values = self._run(self._names, self._feed(table), None)
        except InvalidArgument as error:
            # An index out of range, shapes that do not go together: it is the values' fault.
            raise InputRefused("the model refuses these values") from error
        return self._read(values, table.n_rows)

    def close(self) -> None:
        """Release the session."""
        self._run = _closed


def _closed(*_: object) -> Any:
    raise RuntimeError("the session is closed")


class _Compiled:
    """Outputs of a compiled graph: their names are the meaning."""

    def __init__(self, session: Any) -> None:
        self._names = [output.name for output in session.get_outputs()]

    def __call__(self, values: Sequence[Any], n_rows: int) -> Outputs:
        outputs = dict(zip(self._names, values, strict=True))
        prediction = outputs.get("prediction")
        if prediction is not None and prediction.ndim == 2 and prediction.shape[1] == 1:
            outputs["prediction"] = prediction[:, 0]
        return outputs


def _compiled_feed(manifest: Manifest) -> Feed:
    if manifest.layout == "matrix":
        return lambda table: {"X": table.matrix}

    def columns(table: Table) -> dict[str, Array]:
        fed = {}
        for i, (column, array) in enumerate(
            zip(table.signature.columns, table.arrays, strict=True)
        ):
            if column.is_text:
                array = filled(array, MISSING_TEXT)
            fed[f"c{i}"] = array[:, None]
        return fed

    return columns
