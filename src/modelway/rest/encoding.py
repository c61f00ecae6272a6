"""Outputs to answers, by an encoder made for one model when it is loaded.

One object gives one answer, rows give an array of them:

    {"prediction": 2, "label": "virginica", "probabilities": {"0": 0.0, "1": 0.1, "2": 0.9},
     "warnings": [{"column", "code", "received", "expected", "message"}],
     "endpoint": "iris", "version": "sha256:...", "prediction_id": "..."}

``label`` is there where labels have names, ``probabilities`` where the model gives them,
``warnings`` where there are any; the answer to row k has the id ``ID:k``. ``prediction`` may have
another word. A model of tensors gives ``{"outputs": {name: nested arrays}, "endpoint", ...}``
instead, however many rows there are. JSON has no NaN and no infinity: they become null, and a
warning says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from modelway.bundles.store import Bundle
from modelway.domain.errors import BadValue, NotAcceptable, OutputInvalid
from modelway.domain.inference import InferenceResponse, RowWarning
from modelway.domain.signature import Scalar
from modelway.domain.tables import Array
from modelway.rest.quick_answers import quick_answers
from modelway.rest.row_ids import RowIds

PREDICTION = "prediction"
OUTPUTS = "outputs"
TAKEN = frozenset(
    ("label", "probabilities", "warnings", "endpoint", "version", "prediction_id", OUTPUTS)
)
"""Words of answers that no model's prediction is called by."""

_LISTED_WARNINGS = 1000

Row = dict[str, Any]


class AnswerEncoder:
    """Encodes the answers of one model; safe in threads.

    Raises:
        BadValue: ``output_name`` is a word that answers use for something else.
    """

    def __init__(self, bundle: Bundle, output_name: str = PREDICTION) -> None:
        if not output_name or output_name in TAKEN or output_name.startswith("probability_"):
            raise BadValue(f"the output of a model cannot be called {output_name!r}")
        self._name = output_name
        self._tabular = bundle.signature.is_tabular
        self._label_names = bundle.signature.label_names
        self._classes: Sequence[Scalar] = bundle.manifest.classes or ()
        self._keys, self._labels = self._texts(self._classes)
        self._encode = msgspec.json.Encoder(enc_hook=_plain).encode
        self._quick = quick_answers(bundle, output_name, self._keys, self._labels)

    def one(self, response: InferenceResponse) -> bytes:
        """The answer to a single object, as JSON.

        Raises:
            OutputInvalid: the model gave something that is no JSON.
        """
        if self._quick is not None:
            (found,) = self._quick.each((response,))
            if found is not None:
                return found
        return self.one_fully(response)

    def each(
        self, responses: Sequence[InferenceResponse | None]
    ) -> Sequence[bytes | OutputInvalid | None]:
        """The answers to single objects, as ``one`` gives or raises; None where there is none."""
        quick = [None] * len(responses) if self._quick is None else self._quick.each(responses)
        found: list[bytes | OutputInvalid | None] = []
        for response, content in zip(responses, quick, strict=True):
            if content is not None or response is None:
                found.append(content)
                continue
            try:
                found.append(self.one_fully(response))
            except OutputInvalid as error:
                found.append(error)
        return found

    def one_fully(self, response: InferenceResponse) -> bytes:
        """The same as ``one``, never by the quick path."""
        if not self._tabular:
            return self.many(response)
        (row,) = self._rows(response)
        row["endpoint"] = response.endpoint
        row["version"] = response.version
        row["prediction_id"] = response.prediction_id
        return self._encoded(row)

    def many(self, response: InferenceResponse) -> bytes:
        """The answers to rows, as a JSON array; those of tensors, as one object.

        Raises:
            OutputInvalid: the model gave something that is no JSON.
        """
        if self._quick is not None:
            found = self._quick.many(response)
            if found is not None:
                return found
        return self.many_fully(response)

    def many_fully(self, response: InferenceResponse) -> bytes:
        """The same as ``many``, never by the quick path."""
        if not self._tabular:
            return self._encoded(self._tensors(response))
        rows = self._rows(response)
        for k, row in enumerate(rows):
            row["endpoint"] = response.endpoint
            row["version"] = response.version
            row["prediction_id"] = f"{response.prediction_id}:{k}"
        return self._encoded(rows)

    def alone(self, response: InferenceResponse) -> bytes:
        """The prediction of a single row and nothing else, as JSON.

        Raises:
            OutputInvalid: the model gave something that is no JSON.
        """
        return self._encoded({self._name: self._predictions(response)[0]})

    def columns(self, response: InferenceResponse) -> Mapping[str, Sequence[Any] | Array]:
        """The answers column by column: prediction, label, a probability a label, prediction id.

        Predictions of several values a row are ``prediction_0``, ``prediction_1``, ... Where
        anything is unusual there are ``warnings`` too: a row's own as JSON, None where it has none.

        Raises:
            NotAcceptable: the model's outputs are tensors.
        """
        if not self._tabular:
            raise NotAcceptable(
                f"the outputs of {response.endpoint} are tensors, which have no columns",
                hint="ask for application/json",
            )
        found: dict[str, Sequence[Any] | Array] = {}
        predictions = response.outputs.get(PREDICTION)
        if predictions is not None and predictions.ndim == 2:
            for k, column in enumerate(predictions.T):
                found[f"{self._name}_{k}"] = _finite(column)
        elif predictions is not None:
            found[self._name] = _finite(predictions)
        else:
            found[self._name] = self._class_column(response)
        index = response.outputs.get("class_index")
        keys, labels = self._named(response)
        if index is not None and labels is not None:
            found["label"] = [labels[i] for i in index.tolist()]
        probabilities = response.outputs.get("probabilities")
        if probabilities is not None:
            for key, column in zip(keys, probabilities.T, strict=True):
                found[f"probability_{key}"] = _finite(column)
        found["prediction_id"] = RowIds(response.prediction_id, response.n_rows)
        unusual = self._unusual(response)
        if unusual:
            texts = {k: self._encoded(warnings).decode() for k, warnings in unusual.items()}
            found["warnings"] = [texts.get(k) for k in range(response.n_rows)]
        return found

    def _rows(self, response: InferenceResponse) -> list[Row]:
        """The answers, without what all of them have in common."""
        outputs = response.outputs
        index = outputs.get("class_index")
        rows = [{self._name: value} for value in self._predictions(response)]
        keys, labels = self._named(response)
        if index is not None and labels is not None:
            for row, i in zip(rows, index.tolist(), strict=True):
                if labels[i] is not None:
                    row["label"] = labels[i]
        probabilities = outputs.get("probabilities")
        if probabilities is not None:
            for row, values in zip(rows, probabilities.tolist(), strict=True):
                row["probabilities"] = dict(zip(keys, values, strict=True))
        for k, warnings in self._unusual(response).items():
            rows[k]["warnings"] = warnings
        return rows

    def _unusual(self, response: InferenceResponse) -> Mapping[int, list[Row]]:
        """The warnings of each row that has some."""
        found: dict[int, list[Row]] = {}
        for warning in (*response.warnings, *self._not_finite(response)):
            if response.n_rows:  # a header without rows may be unusual too
                found.setdefault(warning.row, []).append(_shown(warning))
        return found

    def _predictions(self, response: InferenceResponse) -> list[Any]:
        """One JSON value a row."""
        outputs = response.outputs
        index = outputs.get("class_index")
        if index is not None:
            classes = response.classes or ()
            return [classes[i] for i in index.tolist()]
        if PREDICTION in outputs:
            values: list[Any] = _values(outputs[PREDICTION])
            return values
        names, arrays = list(outputs), [_values(array) for array in outputs.values()]
        return [dict(zip(names, row, strict=True)) for row in zip(*arrays, strict=True)]

    def _class_column(self, response: InferenceResponse) -> Sequence[Any] | Array:
        """The predictions as a column; whole numbers as an array."""
        classes, index = response.classes, response.outputs.get("class_index")
        if index is None or classes is None or {type(one) for one in classes} != {int}:
            return self._predictions(response)
        try:
            return np.array(classes, dtype=np.int64)[index]
        except OverflowError:
            return self._predictions(response)

    def _tensors(self, response: InferenceResponse) -> Row:
        answer: Row = {OUTPUTS: {name: _values(a) for name, a in response.outputs.items()}}
        warnings = [*response.warnings, *self._not_finite(response)]
        if warnings:
            answer["warnings"] = [_shown(one) for one in warnings]
        answer["endpoint"] = response.endpoint
        answer["version"] = response.version
        answer["prediction_id"] = response.prediction_id
        return answer

    def _not_finite(self, response: InferenceResponse) -> Sequence[RowWarning]:
        """A warning for each row in which a number of the answer is NaN or infinite."""
        found: list[RowWarning] = []
        for name, array in response.outputs.items():
            if array.dtype.kind != "f":
                continue
            finite = np.isfinite(array)
            if np.logical_and.reduce(finite, axis=None):
                continue
            column = self._name if name == PREDICTION else name
            rows = [0]
            if self._tabular:
                rows = np.flatnonzero(~finite.reshape(len(finite), -1).all(axis=1)).tolist()
            for row in rows[: _LISTED_WARNINGS - len(found)]:
                expected = "a finite number; null stands for it"
                found.append(RowWarning(row, column, "not-finite", "NaN or infinity", expected))
        return found

    def _named(
        self, response: InferenceResponse
    ) -> tuple[Sequence[str], Sequence[str | None] | None]:
        """The keys and the names of the labels of the version that answered."""
        if response.classes is None or response.classes is self._classes:
            return self._keys, self._labels
        return self._texts(response.classes)

    def _texts(self, classes: Sequence[Scalar]) -> tuple[list[str], list[str | None] | None]:
        keys = [str(label) for label in classes]
        names = [self._label_names.get(key) for key in keys]
        return keys, names if any(name is not None for name in names) else None

    def _encoded(self, value: Any) -> bytes:
        try:
            return self._encode(value)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise OutputInvalid(f"an output cannot be written as JSON: {error}") from error


def _shown(warning: RowWarning) -> Row:
    return {
        "column": warning.column,
        "code": warning.code,
        "received": warning.received,
        "expected": warning.expected,
        "message": f"{warning.column}: expected {warning.expected}, got {warning.received}",
    }


def _values(array: Array) -> Any:
    """An array as nested lists of JSON values; a datetime as ISO 8601 in UTC."""
    kind = array.dtype.kind
    if kind == "M":
        texts = np.datetime_as_string(array.astype("datetime64[us]"), timezone="UTC").astype(object)
        texts[np.isnat(array)] = None
        return texts.tolist()
    if kind == "m":
        return array.astype("timedelta64[us]").tolist()
    if kind == "S":
        return np.char.decode(array, "utf-8", "replace").tolist()
    return array.tolist()


def _finite(array: Array) -> Sequence[Any] | Array:
    """A column as a list, None for what is not finite; numbers without a gap stay an array."""
    if array.dtype.kind in "fi" and np.isfinite(array).all():
        return array.astype(np.float64 if array.dtype.kind == "f" else np.int64, copy=False)
    values: list[Any] = _values(array)
    if array.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(array)).tolist()
        for row in bad:
            values[row] = None
    return values


def _plain(value: Any) -> Any:
    """What msgspec does not know, in words it does."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} has no form in JSON")
