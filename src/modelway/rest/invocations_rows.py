"""Rows as MLflow, SageMaker and TensorFlow Serving send them, for one model.

Row by row: objects by column, arrays in column order, or bare values where there is one column.
Column by column: an object of arrays. A model of tensors takes the same, an axis longer. All end in
the model's own validator, or in its quick decoder where the body has the usual form, so a value is
judged as it is at every other door.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping, Sequence

import msgspec

from modelway.domain.errors import (
    InvalidInput,
    MalformedPayload,
    PayloadTooLarge,
    Problem,
    SignatureMismatch,
)
from modelway.domain.signature import Datatype
from modelway.inference.decoding import Limits
from modelway.inference.findings import shown
from modelway.inference.json_text import parse_json
from modelway.inference.loading import LoadedModel
from modelway.inference.validation import Checked


class RowReader:
    """Reads rows for one model; keeps nothing of them.

    Where ``base64``, the text in binary columns is base64, as MLflow's clients send it.
    """

    def __init__(self, model: LoadedModel, limits: Limits, *, base64: bool = False) -> None:
        signature = model.signature
        self._validator = model.validator
        self._decoder = model.decoder
        self._limits = limits
        self._tensors = [spec.name for spec in signature.tensors]
        self._names = [column.name for column in signature.columns]
        binary = [column for column in signature.columns if column.datatype is Datatype.BYTES]
        self._encoded = frozenset(
            name for column in binary if base64 for name in (column.name, column.alias)
        )

    def quickly(self, rows: bytes) -> Checked | None:
        """What JSON text of ``by_row`` holds, if that can be said at once; None if it cannot.

        Raises:
            PayloadTooLarge: there are too many rows.
        """
        if self._tensors or self._encoded:
            return None
        if rows.startswith(b"[["):
            return self.frame_quickly(msgspec.json.encode(self._names), rows)
        if not rows.startswith(b"[{"):
            return None
        # Only what leaves nothing to be said: rows in a wrapper would pass for unknown columns.
        decoded = self._decoder.quickly(rows, self._limits)
        return None if decoded is None else Checked(decoded.table, decoded.warnings)

    def frame_quickly(self, names: bytes, rows: bytes) -> Checked | None:
        """As ``quickly``, for the JSON texts of column names and of rows in their order."""
        if self._tensors or self._encoded:
            return None
        body = b'{"columns":' + names + b',"data":' + rows + b"}"
        try:
            decoded = self._decoder.decode(body, self._limits)
        except PayloadTooLarge:
            raise
        except InvalidInput:
            return None  # it may be right in a form that the decoder does not know
        return Checked(decoded.table, decoded.warnings)

    def by_row(self, rows: Sequence[object]) -> Checked:
        """One element a row.

        Raises:
            MalformedPayload: tensors are in no such form.
            PayloadTooLarge: there are too many rows.
            SignatureMismatch: values do not fit.
        """
        self._check_count(len(rows))
        if self._tensors:
            return self._by_tensor(_stacked(rows, self._tensors))
        plain = [_features(row) for row in rows]
        if any(isinstance(row, dict) for row in plain):
            named = [_object(self._names, row) for row in plain]
            return self._validator.rows([self._decoded_row(row) for row in named])
        return self.frame(None, plain)

    def frame(self, names: Sequence[object] | None, rows: Sequence[object]) -> Checked:
        """Arrays of cells in the order of ``names``, or of the columns where that is None.

        Names that are numbers from 0 on, as pandas gives what has no names, are none.

        Of a model of tensors, columns that are not called like them are the second axis of the
        only one.

        Raises:
            MalformedPayload: tensors are in no such form.
            PayloadTooLarge: there are too many rows.
            SignatureMismatch: values do not fit.
        """
        self._check_count(len(rows))
        if self._tensors:
            if names is not None and set(self._tensors) == set(map(str, names)):
                return self.by_row([_object(names, row) for row in rows])
            return self._by_tensor(list(rows))
        if names is None or list(names) == list(range(len(names))):
            names = self._names
        if len(names) == 1:
            rows = [row if isinstance(row, list) else [row] for row in rows]
        places = {
            k for k, name in enumerate(names) if isinstance(name, str) and name in self._encoded
        }
        if places:
            rows = [
                [_binary(v) if k in places else v for k, v in enumerate(row)]
                if isinstance(row, list)
                else row
                for row in rows
            ]
        return self._validator.frame(names, rows)

    def by_column(self, inputs: object) -> Checked:
        """An object of arrays by column or tensor; what is no object is rows or one tensor.

        An object of bare values is one row.

        Raises:
            MalformedPayload: it is in no such form.
            PayloadTooLarge: there are too many rows.
            SignatureMismatch: values do not fit, or columns are of different lengths.
        """
        if self._tensors:
            return self._by_tensor(inputs)
        if not isinstance(inputs, dict):
            return self.by_row(inputs if isinstance(inputs, list) else [inputs])
        if not any(isinstance(values, list) for values in inputs.values()):
            return self._validator.rows([self._decoded_row(inputs)])
        columns = {name: self._cells(name, values) for name, values in inputs.items()}
        lengths = {name: len(cells) for name, cells in columns.items()}
        n_rows = max(lengths.values())
        self._check_count(n_rows)
        if any(length != n_rows for length in lengths.values()):
            expected = "the same number of values in every column"
            came = ", ".join(f"{length} of {name}" for name, length in list(lengths.items())[:10])
            raise SignatureMismatch([Problem("/inputs", "inputs", "wrong-shape", came, expected)])
        return self._validator.arrays(columns, n_rows)

    def _by_tensor(self, inputs: object) -> Checked:
        if not isinstance(inputs, dict):
            if len(self._tensors) > 1:
                raise MalformedPayload(
                    f"expected an object with nested arrays for {', '.join(self._tensors)}; "
                    f"got {shown(inputs)}"
                )
            inputs = {self._tensors[0]: inputs}
        checked = self._validator.tensors(inputs)
        self._check_count(checked.table.n_rows)
        return checked

    def _decoded_row(self, row: object) -> object:
        """A row with its binary cells decoded, and cells that are arrays of one taken out."""
        if not isinstance(row, dict):
            return row
        if any(type(value) is list and len(value) == 1 for value in row.values()):
            row = {key: _alone(value) for key, value in row.items()}
        if self._encoded:
            row = {k: _binary(v) if k in self._encoded else v for k, v in row.items()}
        return row

    def _cells(self, name: str, values: object) -> list[object]:
        """The cells of a column: (n_rows,), or (n_rows, 1)."""
        cells = values if isinstance(values, list) else [values]
        if any(isinstance(cell, list) for cell in cells):
            cells = [_alone(cell) for cell in cells]
        return [_binary(cell) for cell in cells] if name in self._encoded else cells

    def _check_count(self, n_rows: int) -> None:
        most = self._limits.max_rows
        if n_rows > most:
            raise PayloadTooLarge(f"{n_rows} rows are too many; at most {most} are taken")


def tolerant_json(body: bytes, max_depth: int) -> object:
    """The value of a JSON text in which bare NaN and Infinity may stand; NaN is a missing value.

    Python's own ``json`` writes them, and with it most clients of these protocols.

    Raises:
        MalformedPayload: it is no JSON even so, or not UTF-8.
        PayloadTooLarge: it is nested deeper than ``max_depth``.
    """
    try:
        return parse_json(body, max_depth)
    except MalformedPayload:
        if b"NaN" not in body and b"Infinity" not in body:
            raise
    try:
        value = json.loads(body.decode(), parse_constant=_CONSTANTS.__getitem__)
        msgspec.json.encode(value)  # finds half surrogates, which json lets through
    except (ValueError, RecursionError) as error:
        raise MalformedPayload(f"the body cannot be read: {error}") from None
    return value


def _stacked(rows: Sequence[object], names: Sequence[str]) -> object:
    """One nested array a tensor from elements that are a row each."""
    if not any(isinstance(row, dict) for row in rows):
        return list(rows)
    found: dict[str, list[object]] = {}
    for k, row in enumerate(rows):
        if not isinstance(row, dict):
            raise MalformedPayload(f"row {k}: expected an object, got {shown(row)}")
        missing = [name for name in names if name not in row]
        if missing:
            raise MalformedPayload(f"row {k} is without {', '.join(missing[:10])}")
        for name, value in row.items():
            found.setdefault(name, []).append(value)
    return found


def _object(names: Sequence[object], row: object) -> object:
    """A row of values under their names; what is no such row stays as it is."""
    if isinstance(row, list) and len(row) == len(names):
        return dict(zip(map(str, names), row, strict=True))
    return row


def _features(row: object) -> object:
    """What a row holds in the wrappers that SageMaker's algorithms take; any other row is itself.

    Source: Amazon SageMaker, "Common Data Formats for Inference", JSON request format, dense.
    """
    found: object = row
    for key in ("data", "features", "values"):
        if isinstance(found, dict) and len(found) == 1 and key in found:
            found = found[key]
    return found if isinstance(found, list) else row


def _alone(value: object) -> object:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _binary(value: object) -> object:
    """The bytes of base64 text; anything else is the validator's to judge."""
    if not isinstance(value, str):
        return value
    try:
        return binascii.a2b_base64(value.encode())
    except ValueError as error:
        raise MalformedPayload(f"{shown(value)} is not base64: {error}") from None


_CONSTANTS: Mapping[str, float | None] = {
    "NaN": None,
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}
