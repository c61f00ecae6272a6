"""The quick path for answers: one row of a usual model, through a msgspec type made for the model.

A row with a single number, or with a class and its probabilities, all of them finite and nothing
unusual about it, has the same keys each time. Everything else is written by the encoder itself
(:mod:`modelway.rest.encoding`); both write the same bytes, and a test holds them to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from modelway.bundles.store import Bundle
from modelway.domain.inference import InferenceResponse
from modelway.domain.signature import Scalar

_MOST_CLASSES = 64

_COMMON = ("endpoint", "version", "prediction_id")
_encode = msgspec.json.Encoder().encode

Write = Callable[[InferenceResponse], bytes | None]
"""The answer to one row; None where it is unusual."""


def quick_answer(
    bundle: Bundle, word: str, keys: Sequence[str], labels: Sequence[str | None] | None
) -> Write | None:
    """What writes the usual answer of a bundle's model; None where there is no usual one.

    ``keys`` and ``labels`` are the texts and the names of its classes.
    """
    manifest = bundle.manifest
    if not bundle.signature.is_tabular:
        return None
    try:
        if manifest.classes is None:
            return _number(word)
        if manifest.probabilities and len(keys) <= _MOST_CLASSES and None not in (labels or ()):
            return _classified(word, manifest.classes, keys, labels)
    except ValueError:
        pass  # a label with quotes or control characters is no field's name
    return None


def _number(word: str) -> Write:
    """Writes one number."""
    answer = _type([word, *_COMMON])

    def write(response: InferenceResponse) -> bytes | None:
        outputs = response.outputs
        prediction = outputs.get("prediction")
        if prediction is None or prediction.size != 1 or prediction.dtype.kind not in "fiu":
            return None
        if prediction.ndim != 1 or len(outputs) != 1 or response.warnings:
            return None
        value = prediction.item()
        if not math.isfinite(value):
            return None
        return _encode(answer(value, response.endpoint, response.version, response.prediction_id))

    return write


def _classified(
    word: str,
    classes: Sequence[Scalar],
    keys: Sequence[str],
    labels: Sequence[str | None] | None,
) -> Write:
    """Writes a class and the probabilities of all."""
    shares = _type(keys)
    names = [word, *(["label"] if labels else []), "probabilities", *_COMMON]
    answer = _type(names)
    said: list[tuple[Any, ...]] = (
        [(value,) for value in classes]
        if labels is None
        else list(zip(classes, labels, strict=True))
    )
    usual = ["class_index", "probabilities"]

    def write(response: InferenceResponse) -> bytes | None:
        outputs = response.outputs
        if response.classes is not classes or response.warnings or list(outputs) != usual:
            return None
        index, probabilities = outputs["class_index"], outputs["probabilities"]
        if response.n_rows != 1:
            return None
        values = probabilities[0].tolist()
        if not math.isfinite(sum(values)):
            return None
        return _encode(
            answer(
                *said[index.item()],
                shares(*values),
                response.endpoint,
                response.version,
                response.prediction_id,
            )
        )

    return write


def _type(keys: Sequence[str]) -> Callable[..., Any]:
    """A type whose fields are written under these keys. Raises ValueError."""
    fields = {f"f{place}": key for place, key in enumerate(keys)}
    return msgspec.defstruct("Answer", [(name, Any) for name in fields], rename=fields)
