"""The JSON decoder of a model: request bytes to a table, made once when the model is loaded.

A usual request takes the quick path, one call into msgspec with a type made from the signature;
anything else takes the full path, which decodes to Python values and says every problem.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelway.domain.errors import MalformedPayload, PayloadTooLarge
from modelway.domain.signature import Signature
from modelway.inference.decoded import Decoded
from modelway.inference.findings import shown
from modelway.inference.json_text import parse_json
from modelway.inference.quick import quick_decoder
from modelway.inference.validation import Checked, Validator

_FRAME_KEYS = frozenset(("columns", "data", "index"))


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may hold: levels of nesting, and rows."""

    max_json_depth: int = 100
    max_rows: int = 1_000_000


DEFAULT_LIMITS = Limits()


class JsonDecoder:
    """Decodes the JSON requests of one signature; safe in threads."""

    def __init__(self, signature: Signature, validator: Validator) -> None:
        self._signature = signature
        self._validator = validator
        self._quick = quick_decoder(validator)

    def decode(self, body: bytes, limits: Limits = DEFAULT_LIMITS) -> Decoded:
        """One object, an array of objects, ``{"columns", "data"}``, or tensors.

        Raises:
            MalformedPayload: it is no JSON, or none of these.
            PayloadTooLarge: it is nested too deeply or has too many rows.
            SignatureMismatch: values do not fit the signature.
        """
        return self.quickly(body, limits) or self.decode_fully(body, limits)

    def quickly(self, body: bytes, limits: Limits = DEFAULT_LIMITS) -> Decoded | None:
        """What a body holds that is usual in every way; None for any other.

        Raises:
            PayloadTooLarge: it has too many rows.
        """
        return None if self._quick is None else self._quick.decode(body, limits.max_rows)

    def row(self, body: bytes) -> Decoded | None:
        """What a body holds that is a single usual row; None for any other."""
        return None if self._quick is None else self._quick.row(body)

    def decode_fully(self, body: bytes, limits: Limits = DEFAULT_LIMITS) -> Decoded:
        """The same as ``decode``, never by the quick path."""
        value = parse_json(body, limits.max_json_depth)
        if not self._signature.is_tabular:
            return self._tensors(value, limits)
        if isinstance(value, dict):
            frame = _frame_of(value)
            if frame is None:
                return _decoded(self._validator.row(value), single=True)
            names, rows = frame
            _check_count(len(rows), limits)
            return _decoded(self._validator.frame(names, rows))
        if isinstance(value, list):
            _check_count(len(value), limits)
            return _decoded(self._validator.rows(value))
        raise MalformedPayload(
            f"expected an object, an array of objects, or columns and data; got {shown(value)}"
        )

    def _tensors(self, value: object, limits: Limits) -> Decoded:
        specs = self._signature.tensors
        if isinstance(value, list) and len(specs) == 1:
            inputs: object = {specs[0].name: value}
        elif (
            isinstance(value, dict)
            and "inputs" in value
            and "inputs" not in {spec.name for spec in specs}
        ):
            inputs = value["inputs"]
            if isinstance(inputs, list) and len(specs) == 1:
                inputs = {specs[0].name: inputs}
        else:
            inputs = value
        if not isinstance(inputs, dict):
            raise MalformedPayload(
                f"expected an object with nested arrays by tensor name; got {shown(inputs)}"
            )
        decoded = _decoded(self._validator.tensors(inputs))
        _check_count(decoded.table.n_rows, limits)
        return decoded


def _decoded(checked: Checked, *, single: bool = False) -> Decoded:
    return Decoded(checked.table, single, checked.warnings)


def _frame_of(value: dict[str, object]) -> tuple[list[object], list[object]] | None:
    """Columns and data, if that is what the object holds; a column may have one of these names."""
    names, rows = value.get("columns"), value.get("data")
    if isinstance(names, list) and isinstance(rows, list) and _FRAME_KEYS.issuperset(value):
        return names, rows
    return None


def _check_count(n_rows: int, limits: Limits) -> None:
    if n_rows > limits.max_rows:
        raise PayloadTooLarge(f"{n_rows} rows are too many; at most {limits.max_rows} are taken")
