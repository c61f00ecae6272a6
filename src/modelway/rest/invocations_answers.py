"""Answers of ``/invocations``: the predictions and nothing else, as MLflow's server gives them.

A classifier gives the labels as its ``predict`` does, a table of results the rows as objects, an
array nested lists, a model of named tensors an object of them. NaN and infinities stand bare, as
Python's ``json`` writes and reads them; bytes are base64.

Source: MLflow, ``mlflow/pyfunc/scoring_server`` and ``NumpyEncoder``.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

import msgspec
import numpy as np

from modelway.domain.errors import OutputInvalid
from modelway.domain.inference import InferenceResponse
from modelway.domain.tables import Array
from modelway.inference.loading import LoadedModel
from modelway.rest.codecs import plain_cell

Encode = Callable[[Any], bytes]
"""How a value becomes JSON."""

_PREDICTION = "prediction"


def predictions_of(response: InferenceResponse, model: LoadedModel) -> Any:
    """The predictions as lists and objects: one element a row, but for named tensors."""
    outputs = response.outputs
    index = outputs.get("class_index")
    if index is not None:
        classes = response.classes or ()
        return [classes[i] for i in index.tolist()]
    if _PREDICTION in outputs:
        values = nested(outputs[_PREDICTION])
        name = _only_column(model)
        return values if name is None else [{name: value} for value in values]
    if not model.signature.is_tabular:
        return {name: nested(array) for name, array in outputs.items()}
    names, columns = list(outputs), [nested(array) for array in outputs.values()]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def nested(array: Array) -> Any:
    """An array as nested lists; a time as ISO 8601 without a zone, to the microsecond."""
    if array.dtype.kind == "M":
        moments = array.astype("datetime64[us]").astype(object)
        return np.frompyfunc(_moment, 1, 1)(moments).tolist()
    return array.tolist()


def json_of(value: Any, arrays: Mapping[str, Array]) -> bytes:
    """``value``, made of ``arrays``, as JSON; numbers that are not finite stand bare.

    Raises:
        OutputInvalid: the model gave something that is no JSON.
    """
    return _encoded(value, _encoder_for(arrays))


def wrapped(response: InferenceResponse, model: LoadedModel, *, bare: bool) -> bytes:
    """The body ``{"predictions": ...}``, or what stands in it where the answer is to be bare.

    Raises:
        OutputInvalid: the model gave something that is no JSON.
    """
    found = predictions_of(response, model)
    return json_of(found if bare else {"predictions": found}, response.outputs)


def lines_of(response: InferenceResponse, model: LoadedModel) -> bytes:
    """One ``{"prediction": ...}`` a line. Raises OutputInvalid."""
    found = _rows(predictions_of(response, model), response)
    encode = _encoder_for(response.outputs)
    return b"".join(_encoded({_PREDICTION: one}, encode) + b"\n" for one in found)


def csv_of(response: InferenceResponse, model: LoadedModel) -> bytes:
    """CSV without a header, a row's predictions a line.

    Source: Amazon SageMaker, "Common Data Formats for Inference".
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for one in _rows(predictions_of(response, model), response):
        cells = list(one.values()) if isinstance(one, dict) else one
        writer.writerow(map(plain_cell, cells if isinstance(cells, list) else [cells]))
    return text.getvalue().encode("utf-8", "replace")


def _encoder_for(arrays: Mapping[str, Array]) -> Encode:
    """The quicker encoder where it can write everything, else Python's own."""
    return _encode if all(map(_is_finite, arrays.values())) else _encode_bare


def _encode_bare(value: Any) -> bytes:
    return json.dumps(value, default=_plain).encode()


def _encoded(value: Any, encode: Encode) -> bytes:
    try:
        return encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise OutputInvalid(f"an output cannot be written as JSON: {error}") from error


def _only_column(model: LoadedModel) -> str | None:
    """The name of the column where MLflow's own function gives a table of one."""
    outputs = model.signature.outputs
    is_table = model.signature.is_tabular and model.manifest.original.framework == "mlflow"
    return outputs[0].name if is_table and len(outputs) == 1 else None


def _rows(found: Any, response: InferenceResponse) -> Sequence[Any]:
    """One element a row; named tensors side by side where all of them have the rows first."""
    if not isinstance(found, dict):
        return list(found)
    if any(not isinstance(v, list) or len(v) != response.n_rows for v in found.values()):
        raise OutputInvalid(f"the outputs of {response.endpoint} have no rows in common")
    rows = zip(*found.values(), strict=True)
    return [dict(zip(found, row, strict=True)) for row in rows]


def _moment(value: Any) -> str:
    return "NaT" if value is None else str(value.isoformat())


def _is_finite(array: Array) -> bool:
    """Whether JSON can hold every number of an array; what is in one of objects is not known."""
    if array.dtype.kind == "f":
        return bool(np.isfinite(array).all())
    return array.dtype.kind in "iub" or (array.dtype.kind == "O" and set(map(type, array)) <= _TEXT)


def _plain(value: Any) -> Any:
    """What JSON does not know, as MLflow writes it."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, (bytes, bytearray)):
        return base64.encodebytes(value).decode("ascii")
    if isinstance(value, (date, datetime, time)):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


_TEXT = frozenset((str,))
_encode: Encode = msgspec.json.Encoder(enc_hook=_plain).encode
