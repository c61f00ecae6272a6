"""The native runtime, held to what the user's own call of the model answers.

The parity gate proves a compiled model equal to the native one. That the native one is right is
proven here: the model is asked rows of its training data directly, in the types that pandas read
them with, and the same rows through its runtime, as a request would bring them. A row to which the
model itself gives another answer in a batch than alone has no right answer and is left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.bundles.manifest import Manifest
from modelway.bundles.parity import NOISE, TOLERANCE
from modelway.bundles.ports import Runtime
from modelway.bundles.training import TrainingData, reference_rows
from modelway.domain.errors import BuildFailed
from modelway.domain.inference import Outputs
from modelway.domain.signature import Datatype, Signature
from modelway.domain.tables import NUMPY_DTYPES, Array

MOST_ROWS = 200

_NARROW = (Datatype.FP16, Datatype.FP32)
_MOST_SHOWN = 20
_MOST_CHARACTERS = 80
_HINT = (
    "a step of the model depends on the types of its columns: give the data as Parquet in the "
    "types it was trained on, say the types with --signature, or have the step convert what it is "
    "given"
)

Mask = npt.NDArray[np.bool_]


def check_faithful(
    model: Any,
    runtime: Runtime,
    training: TrainingData,
    signature: Signature,
    manifest: Manifest,
) -> str | None:
    """Ask both on at most ``MOST_ROWS`` rows; gives why they could not be compared, if so.

    ``model`` has scikit-learn's ``predict`` and, where the manifest says so, ``predict_proba``.

    Raises:
        BuildFailed: the runtime gives another label or a value that is further off than rounding,
            or refuses the rows.
    """
    found = reference_rows(training, signature, MOST_ROWS)
    if found is None:
        return f"no row of {training.origin} fits the signature, so the answers are not compared"
    table, places = found
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        frame = _as_fitted(training.frame.iloc[places], signature, manifest)
        try:
            own, right = _own_answers(model, frame, manifest)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a model may refuse rows in any way
            return (
                f"the model itself refuses the rows of {training.origin} as pandas reads them, so "
                f"its answers are not compared: {type(error).__name__}: {error}"[:500]
            )
        try:
            given = _of_outputs(runtime.predict(table), manifest)
        except (Exception, SystemExit) as error:  # a model may refuse rows in any way
            raise BuildFailed(
                f"served, the model would refuse rows of {training.origin} that it answers itself "
                f"({type(error).__name__}: {error})"[:500],
                hint=_HINT,
            ) from error
        differing = np.flatnonzero(given.differs(right, _tolerance(frame)))
        if not len(differing):
            return None
        if own.answers(slice(None)).differs(right, NOISE).any():
            return "the model answers the same rows otherwise each time: nothing can be compared"
        for row in differing.tolist():
            alone = own.answers(slice(row, row + 1))
            if not alone.differs(right.row(row), NOISE).any():
                raise _unfaithful(training, frame, row, int(places[row]), given, right)
    return None


@dataclass(frozen=True)
class _Answers:
    """Answers to rows: a label each, or ``values`` (n_rows, n_values), or both."""

    labels: Sequence[Any]
    values: npt.NDArray[np.float64]

    def differs(self, right: _Answers, tolerance: float) -> Mask:
        """Which rows have another label, or a value further off than ``tolerance``."""
        other = [a != b for a, b in zip(self.labels, right.labels, strict=True)]
        if self.values.shape != right.values.shape:
            return np.ones(len(other), dtype=bool)
        near = np.isclose(self.values, right.values, tolerance, tolerance, equal_nan=True)
        return np.asarray(np.array(other, dtype=bool) | ~near.all(axis=1))

    def row(self, row: int) -> _Answers:
        """The answer to one row."""
        return _Answers(self.labels[row : row + 1], self.values[row : row + 1])

    def shown(self, row: int) -> str:
        """The answer to a row, for a message."""
        label, values = self.labels[row], self.values[row].tolist()
        parts = [*([] if label is None else [repr(label)]), *([str(values)] if values else [])]
        return " with ".join(parts)[:_MOST_CHARACTERS]


class _OwnCall:
    """The model, asked rows of a DataFrame or an array."""

    def __init__(self, model: Any, rows: Any, manifest: Manifest) -> None:
        self._model = model
        self._rows = rows
        self._manifest = manifest

    def answers(self, index: slice) -> _Answers:
        """What the model itself answers; raises whatever it raises."""
        rows = self._rows[index]
        predicted = np.asarray(self._model.predict(rows))
        if self._manifest.classes is None:
            return _of_predictions(predicted)
        values = np.empty((len(rows), 0))
        if self._manifest.probabilities:
            values = np.asarray(self._model.predict_proba(rows), dtype=np.float64)
        return _Answers(predicted.reshape(len(rows)).tolist(), values)


def _own_answers(model: Any, frame: Any, manifest: Manifest) -> tuple[_OwnCall, _Answers]:
    """The model's answers to the DataFrame or, where it refuses one, to its array."""
    try:
        own = _OwnCall(model, frame, manifest)
        return own, own.answers(slice(None))
    except (Exception, SystemExit):  # noqa: BLE001 - a model may refuse a DataFrame in any way
        own = _OwnCall(model, frame.to_numpy(), manifest)
        return own, own.answers(slice(None))


def _of_outputs(outputs: Outputs, manifest: Manifest) -> _Answers:
    if manifest.classes is None:
        return _of_predictions(outputs["prediction"])
    known = dict(enumerate(manifest.classes))
    labels = [known.get(i) for i in outputs["class_index"].tolist()]
    values = outputs.get("probabilities", np.empty((len(labels), 0)))
    return _Answers(labels, values)


def _of_predictions(predicted: Array) -> _Answers:
    n_rows = len(predicted)
    if predicted.dtype.kind in "fiub":
        values = predicted.reshape(n_rows, -1).astype(np.float64)
        return _Answers([None] * n_rows, values)
    return _Answers(predicted.reshape(n_rows, -1).tolist(), np.empty((n_rows, 0)))


def _as_fitted(frame: Any, signature: Signature, manifest: Manifest) -> Any:
    """The rows with what no file keeps: float32 that the signature has, None for missing text."""
    narrow = {c.name: NUMPY_DTYPES[c.datatype] for c in signature.columns if c.datatype in _NARROW}
    frame = frame.astype(narrow)
    if manifest.missing_text == "none":
        for column in signature.columns:
            if column.is_text:
                texts = frame[column.name].astype(object)
                frame[column.name] = texts.where(texts.notna(), None)
    # Files keep no category type; a booster fitted on one takes bare numbers for its own codes.
    for column in signature.columns:
        if column.datatype is Datatype.CATEGORICAL and frame[column.name].dtype.kind in "iuf":
            numbers = frame[column.name].astype("category")
            frame[column.name] = numbers.cat.rename_categories(int)
    return frame


def _tolerance(frame: Any) -> float:
    """Of a model that is given float32 no more can be asked than its own rounding."""
    is_narrow = any(str(dtype).lower() in ("float16", "float32") for dtype in frame.dtypes)
    return TOLERANCE if is_narrow else NOISE


def _unfaithful(
    training: TrainingData, frame: Any, row: int, place: int, given: _Answers, right: _Answers
) -> BuildFailed:
    types = _listed({name: str(dtype) for name, dtype in frame.dtypes.items()})
    inputs = _listed({name: str(value) for name, value in frame.iloc[row].items()})
    return BuildFailed(
        f"served, the model would answer otherwise than it does itself: to row {place + 1} of "
        f"{training.origin} ({inputs}) it answers {right.shown(row)}, and would answer "
        f"{given.shown(row)}; {training.origin} was read as {types}",
        hint=_HINT,
    )


def _listed(words: Mapping[Any, str]) -> str:
    shown = [f"{name} {word[:_MOST_CHARACTERS]}" for name, word in words.items()]
    more = len(shown) - _MOST_SHOWN
    return ", ".join(shown[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
