"""The quick path for answers: rows of a usual model, through a msgspec type made for the model.

Rows with a single number, or with a class and its probabilities, all of them finite and nothing
unusual about any, have the same keys each time. Everything else is written by the encoder itself
(:mod:`modelway.rest.encoding`); both write the same bytes, and a test holds them to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np

from modelway.bundles.store import Bundle
from modelway.domain.inference import InferenceResponse
from modelway.domain.parts import single_row
from modelway.domain.signature import Scalar
from modelway.domain.tables import Array

_MOST_CLASSES = 64

_COMMON = ("endpoint", "version", "prediction_id")
_USUAL = ["class_index", "probabilities"]
_encode = msgspec.json.Encoder().encode


class QuickAnswers(Protocol):
    """Writes the usual answers of one model; None for what is unusual."""

    def each(self, responses: Sequence[InferenceResponse | None]) -> list[bytes | None]:
        """The answer to the only row of each."""
        ...

    def many(self, response: InferenceResponse) -> bytes | None:
        """The answers to all rows, as an array."""
        ...


def quick_answers(
    bundle: Bundle, word: str, keys: Sequence[str], labels: Sequence[str | None] | None
) -> QuickAnswers | None:
    """What writes the usual answers of a bundle's model; None where there are no usual ones.

    ``keys`` and ``labels`` are the texts and the names of its classes.
    """
    manifest = bundle.manifest
    if not bundle.signature.is_tabular:
        return None
    try:
        if manifest.classes is None:
            return _Numbers(word)
        if manifest.probabilities and len(keys) <= _MOST_CLASSES and None not in (labels or ()):
            return _Classes(word, manifest.classes, keys, labels)
    except ValueError:
        pass  # a label with quotes or control characters is no field's name
    return None


class _Numbers:
    """A number a row."""

    def __init__(self, word: str) -> None:
        self._answer = _type([word, *_COMMON])

    def each(self, responses: Sequence[InferenceResponse | None]) -> list[bytes | None]:
        """The answer to the only row of each."""
        found: list[bytes | None] = []
        for response in responses:
            prediction = None if response is None else self._usual(response)
            if (
                response is None
                or prediction is None
                or len(prediction) != 1
                or not math.isfinite(prediction.item())
            ):
                found.append(None)
                continue
            endpoint, version, own = response.endpoint, response.version, response.prediction_id
            found.append(_encode(self._answer(prediction.item(), endpoint, version, own)))
        return found

    def many(self, response: InferenceResponse) -> bytes | None:
        """The answers to all rows."""
        prediction = self._usual(response)
        if prediction is None or not np.isfinite(prediction).all():
            return None
        endpoint, version, own = response.endpoint, response.version, response.prediction_id
        answer = self._answer
        return _encode(
            [
                answer(value, endpoint, version, f"{own}:{k}")
                for k, value in enumerate(prediction.tolist())
            ]
        )

    def _usual(self, response: InferenceResponse) -> Array | None:
        outputs = response.outputs
        prediction = outputs.get("prediction")
        if prediction is None or prediction.ndim != 1 or prediction.dtype.kind not in "fiu":
            return None
        return None if len(outputs) != 1 or response.warnings else prediction


class _Classes:
    """A class and the probabilities of all, a row."""

    def __init__(
        self,
        word: str,
        classes: Sequence[Scalar],
        keys: Sequence[str],
        labels: Sequence[str | None] | None,
    ) -> None:
        self._shares = _type(keys)
        self._answer = _type([word, *(["label"] if labels else []), "probabilities", *_COMMON])
        self._classes = classes
        self._said: list[tuple[Any, ...]] = (
            [(value,) for value in classes]
            if labels is None
            else list(zip(classes, labels, strict=True))
        )

    def each(self, responses: Sequence[InferenceResponse | None]) -> list[bytes | None]:
        """The answer to the only row of each."""
        answer, said, shares = self._answer, self._said, self._shares
        found: list[bytes | None] = []
        known, usual = None, False
        for response in responses:
            content = None
            if response is not None and self._is_single(response):
                lists, row = single_row(response.outputs)
                if lists is not known:  # as many share what one call gave
                    known, usual = lists, list(lists) == _USUAL
                values = lists["probabilities"][row] if usual else (math.nan,)
                if math.isfinite(sum(values)):
                    one = said[lists["class_index"][row]]
                    own = response.prediction_id
                    content = _encode(
                        answer(*one, shares(*values), response.endpoint, response.version, own)
                    )
            found.append(content)
        return found

    def many(self, response: InferenceResponse) -> bytes | None:
        """The answers to all rows."""
        outputs = response.outputs
        if not self._is_usual(response) or not np.isfinite(outputs["probabilities"]).all():
            return None
        endpoint, version, own = response.endpoint, response.version, response.prediction_id
        answer, said, shares = self._answer, self._said, self._shares
        rows = zip(outputs["class_index"].tolist(), outputs["probabilities"].tolist(), strict=True)
        return _encode(
            [
                answer(*said[i], shares(*values), endpoint, version, f"{own}:{k}")
                for k, (i, values) in enumerate(rows)
            ]
        )

    def _is_single(self, response: InferenceResponse) -> bool:
        return response.n_rows == 1 and not response.warnings and response.classes is self._classes

    def _is_usual(self, response: InferenceResponse) -> bool:
        return (
            response.classes is self._classes
            and not response.warnings
            and list(response.outputs) == _USUAL
        )


def _type(keys: Sequence[str]) -> Callable[..., Any]:
    """A type whose fields are written under these keys. Raises ValueError."""
    fields = {f"f{place}": key for place, key in enumerate(keys)}
    return msgspec.defstruct("Answer", [(name, Any) for name in fields], rename=fields, gc=False)
