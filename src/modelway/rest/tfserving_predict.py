"""Bodies and answers of TensorFlow Serving's REST API: predict, classify, regress.

``instances`` are rows and are answered with ``predictions``, an element a row; ``inputs`` are
columns and are answered with ``outputs``, an object of arrays. Where a model has one output its
name is dropped. A classifier has several, as it has at the native door: ``prediction``, ``label``
where labels are named, ``probabilities`` in the order of its classes where it gives them. So a row
of it is an object, and a client of a Keras classifier, to which the row itself is the
probabilities, finds them there under that name.

Of the results of ``classify`` each pairs a label, by its name if it has one, with its probability.

Source: TensorFlow Serving, "RESTful API"; ``util/json_tensor.cc``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec

from modelway.domain.errors import InvalidInput, MalformedPayload, OutputInvalid
from modelway.domain.inference import InferenceResponse
from modelway.inference.decoding import Limits
from modelway.inference.findings import shown
from modelway.inference.loading import LoadedModel
from modelway.inference.validation import Checked
from modelway.rest.invocations_answers import json_of, nested, predictions_of
from modelway.rest.invocations_rows import RowReader, tolerant_json

SIGNATURES = frozenset(("", "serving_default", "predict"))
"""Names of the one signature that a model has here."""

_PREDICTION = "prediction"


class _Envelope(msgspec.Struct):
    instances: msgspec.Raw = msgspec.Raw()
    inputs: msgspec.Raw = msgspec.Raw()
    signature_name: str = ""


_envelope = msgspec.json.Decoder(_Envelope).decode


def read_predict(body: bytes, model: LoadedModel, limits: Limits) -> tuple[Checked, bool]:
    """The rows of a body of ``:predict``, and whether they came row by row.

    Raises:
        InvalidInput: it is no JSON, in neither form, too large, or does not fit the model.
    """
    reader = RowReader(model, limits)
    checked = _quickly(body, reader)
    if checked is not None:
        return checked, True
    content = _object(body, limits)
    there = [key for key in ("instances", "inputs") if key in content]
    if len(there) != 1:
        came = "both" if there else "neither"
        raise MalformedPayload(f"expected either 'instances' or 'inputs', got {came}")
    value = _decoded(content[there[0]])
    if there[0] == "inputs":
        return reader.by_column(value), False
    if not isinstance(value, list):
        raise MalformedPayload(f"instances: expected an array, got {shown(value)}")
    return reader.by_row(value), True


def read_examples(body: bytes, model: LoadedModel, limits: Limits) -> Checked:
    """The rows of a body of ``:classify`` or ``:regress``; ``context`` holds for each of them.

    Raises:
        InvalidInput: it is no JSON, has no examples, is too large, or does not fit the model.
    """
    content = _object(body, limits)
    examples, context = content.get("examples"), content.get("context", {})
    if not isinstance(examples, list) or not isinstance(context, dict):
        wrong = "examples" if not isinstance(examples, list) else "context"
        expected = "an array of objects" if wrong == "examples" else "an object"
        raise MalformedPayload(f"{wrong}: expected {expected}, got {shown(content.get(wrong))}")
    for k, example in enumerate(examples):
        if not isinstance(example, dict):
            raise MalformedPayload(f"examples: number {k} is {shown(example)}, not an object")
    rows = [{**context, **example} for example in examples]
    return RowReader(model, limits).by_row([_decoded(row) for row in rows])


def predict_answer(response: InferenceResponse, model: LoadedModel, *, by_row: bool) -> bytes:
    """The answer to ``:predict``.

    Raises:
        OutputInvalid: outputs of the model have no rows in common, where rows are asked for.
    """
    outputs = outputs_by_name(response, model)
    alone = next(iter(outputs.values())) if len(outputs) == 1 else None
    found: object
    if not by_row:
        found = {"outputs": outputs if alone is None else alone}
    elif alone is not None:
        found = {"predictions": alone}
    else:
        if any(not isinstance(v, list) or len(v) != response.n_rows for v in outputs.values()):
            raise OutputInvalid(f"the outputs of {response.endpoint} have no rows in common")
        rows = zip(*outputs.values(), strict=True)
        found = {"predictions": [dict(zip(outputs, row, strict=True)) for row in rows]}
    return json_of(found, response.outputs)


def classify_answer(response: InferenceResponse, model: LoadedModel) -> bytes:
    """The answer to ``:classify``: each row's labels with their probabilities, in class order.

    Raises:
        InvalidInput: the model gives no probabilities.
    """
    probabilities = response.outputs.get("probabilities")
    if probabilities is None:
        raise InvalidInput(
            f"{response.endpoint} gives no probabilities of labels", hint="ask :predict"
        )
    names = model.signature.label_names
    labels = [names.get(str(label), str(label)) for label in response.classes or ()]
    results = [
        [list(pair) for pair in zip(labels, row, strict=True)] for row in probabilities.tolist()
    ]
    return json_of({"results": results}, response.outputs)


def regress_answer(response: InferenceResponse) -> bytes:
    """The answer to ``:regress``: a number a row.

    Raises:
        InvalidInput: the model gives something else.
    """
    values = response.outputs.get(_PREDICTION)
    if values is None or values.ndim != 1 or values.dtype.kind not in "fiu":
        raise InvalidInput(f"{response.endpoint} gives no number a row", hint="ask :predict")
    return json_of({"results": values.astype(float).tolist()}, response.outputs)


def outputs_by_name(response: InferenceResponse, model: LoadedModel) -> dict[str, Any]:
    """Every output as lists with the rows first; bytes are ``{"b64": ...}``."""
    outputs = response.outputs
    if not model.signature.is_tabular or "class_index" not in outputs:
        return {name: _encoded(nested(array)) for name, array in outputs.items()}
    labels = predictions_of(response, model)
    found = {_PREDICTION: labels}
    names = model.signature.label_names
    if any(str(label) in names for label in response.classes or ()):
        found["label"] = [names.get(str(label), str(label)) for label in labels]
    if "probabilities" in outputs:
        found["probabilities"] = outputs["probabilities"].tolist()
    return found


def _quickly(body: bytes, reader: RowReader) -> Checked | None:
    """The rows of usual ``instances``; None for anything else, which is then read in full."""
    try:
        envelope = _envelope(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    rows = bytes(envelope.instances)
    if not rows or bytes(envelope.inputs) or envelope.signature_name not in SIGNATURES:
        return None
    return reader.quickly(rows)


def _object(body: bytes, limits: Limits) -> Mapping[str, Any]:
    content = tolerant_json(body, limits.max_json_depth)
    if not isinstance(content, dict):
        raise MalformedPayload(f"expected a JSON object, got {shown(content)}")
    name = content.get("signature_name", "")
    if name is not None and not (isinstance(name, str) and name in SIGNATURES):
        raise InvalidInput(
            f"there is no signature {shown(name)}; the only one is 'serving_default'"
        )
    return content


def _decoded(value: object) -> object:
    """``value`` with every ``{"b64": text}`` in it as what it stands for."""
    if isinstance(value, list):
        return [_decoded(one) if isinstance(one, list | dict) else one for one in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and isinstance(value.get("b64"), str):
        try:
            content = base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise MalformedPayload(f"{shown(value['b64'])} is not base64: {error}") from None
        try:
            return content.decode()
        except UnicodeDecodeError:
            return content  # the validator says where bytes may stand
    return {key: _decoded(one) for key, one in value.items()}


def _encoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_encoded(one) if isinstance(one, list | bytes) else one for one in value]
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
