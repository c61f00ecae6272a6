"""Bodies of ``/invocations``: what MLflow's clients and SageMaker's send, in every form of either.

JSON with exactly one of ``dataframe_split``, ``dataframe_records``, ``instances`` and ``inputs``,
and ``params`` beside it; the bare ``{"columns", "data"}`` of MLflow 1; an object with ``messages``,
``prompt`` or ``input``, which is one row and is answered without a wrapper; lines of JSON; CSV.

Source: MLflow, "Local Inference Server Specification"; Amazon SageMaker, "Common Data Formats for
Inference".
"""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from modelway.domain.errors import InvalidInput, MalformedPayload, UnsupportedMedia
from modelway.inference.decoding import Limits
from modelway.inference.findings import shown
from modelway.inference.loading import LoadedModel
from modelway.inference.validation import Checked
from modelway.rest.codecs import CSV_TYPE, JSON_TYPE, read_csv
from modelway.rest.invocations_rows import RowReader, tolerant_json

LINES_TYPE = "application/jsonlines"

_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_BARE_ROW = ("messages", "prompt", "input")
_FRAME_KEYS = frozenset(("columns", "index", "data"))
_EXPECTED = f"expected a JSON object with exactly one of {', '.join(_FORMS)}"
_BOM = b"\xef\xbb\xbf"

_OPEN, _CLOSE = b"{}"

_log = logging.getLogger("modelway.rest")


@dataclass(frozen=True, slots=True)
class Media:
    """What a Content-Type says: the type in small letters, and its parameters."""

    kind: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reading:
    """The rows of a body.

    ``bare``: the answer is wanted without its wrapper. ``nameless``: the rows were CSV without a
    header.
    """

    checked: Checked
    parameters: Mapping[str, object]
    bare: bool = False
    nameless: bool = False


@lru_cache(256)
def media_of(content_type: bytes | None) -> Media:
    """The media of a Content-Type; JSON where there is none.

    Raises:
        UnsupportedMedia: it is not UTF-8, or has a parameter that means nothing here.
    """
    if not content_type:
        return Media(JSON_TYPE, {})
    kind, *pairs = (part.strip() for part in content_type.decode("latin-1").split(";"))
    kind = canonical(kind.lower())
    parameters = {
        name.strip().lower(): value.strip().strip('"').lower()
        for name, _, value in (pair.partition("=") for pair in pairs if pair)
    }
    if parameters.pop("charset", "utf-8") not in ("utf-8", "utf8"):
        raise UnsupportedMedia("The scoring server only supports UTF-8")
    unknown = [
        name
        for name, value in parameters.items()
        if not _PARAMETERS.get((kind, name), _NOTHING).fullmatch(value)
    ]
    if unknown:
        names = ", ".join(name[:40] for name in unknown[:10])
        raise UnsupportedMedia(f"Unrecognized content type parameters: {names}")
    return Media(kind, parameters)


def canonical(kind: str) -> str:
    """A media type by the name it has here: that of lines of JSON was never registered."""
    return LINES_TYPE if kind in _LINES_TYPES else kind


def read_json(body: bytes, media: Media, model: LoadedModel, limits: Limits) -> Reading:
    """The rows of a JSON body.

    Raises:
        InvalidInput: it is no JSON, in none of the forms, too large, or does not fit the model.
    """
    reader = RowReader(model, limits, base64=True)
    frame_format = media.parameters.get("format")
    if frame_format is None:
        checked = _quickly(body, reader)
        if checked is not None:
            return Reading(checked, {})
    content = tolerant_json(body, limits.max_json_depth)
    if frame_format == "pandas-records":
        return Reading(_records(content, reader), {})
    if frame_format == "pandas-split":
        return Reading(_split(content, reader), {})
    if not isinstance(content, dict):
        raise MalformedPayload(f"{_EXPECTED}; got {shown(content)}")
    if any(key in content for key in _BARE_ROW):
        return Reading(reader.by_row([content]), {}, bare=True)
    parameters = _parameters(content.get("params"), model)
    there = [form for form in _FORMS if form in content]
    if not there and "columns" in content and "data" in content:
        return Reading(_split({k: content[k] for k in ("columns", "data")}, reader), parameters)
    if len(there) != 1:
        came = ", ".join(key[:40] for key in list(content)[:10]) or "none"
        raise MalformedPayload(f"{_EXPECTED}; got {came}")
    form = there[0]
    return Reading(_READERS[form](content[form], reader), parameters)


def read_lines(body: bytes, model: LoadedModel, limits: Limits) -> Reading:
    """The rows of a body with one JSON value a line; empty lines are passed over.

    Raises:
        InvalidInput: a line is no JSON, or the rows are too many or do not fit the model.
    """
    reader = RowReader(model, limits)
    lines = [line.strip() for line in body.splitlines()]
    checked = _lines_quickly([line for line in lines if line], reader)
    if checked is not None:
        return Reading(checked, {})
    rows = []
    for number, line in enumerate(lines, 1):
        if line:
            try:
                rows.append(tolerant_json(line, limits.max_json_depth))
            except MalformedPayload as error:
                raise MalformedPayload(f"line {number}: {error.message}") from None
    return Reading(reader.by_row(rows), {})


def read_rows_of_csv(body: bytes, media: Media, model: LoadedModel, limits: Limits) -> Reading:
    """The rows of CSV, whose first line is a header where its fields are the columns' names.

    Half of the fields must be names, or every column must be among them: a table may have columns
    that the model does not know, and a text may be some column's name. The parameters of the media
    type decide it where they are there. Without a header the cells are in the order of the columns.

    Raises:
        InvalidInput: it is not CSV, or the rows are too many or do not fit the model.
        UnsupportedMedia: the model takes tensors.

    Source: RFC 4180, section 3 (``header``).
    """
    if not model.signature.is_tabular:
        raise UnsupportedMedia(f"{model.name} takes tensors, which CSV does not hold")
    body = body.removeprefix(_BOM)
    first = _first_record(body)
    if first is None or _is_header(first, media, model):
        return Reading(read_csv(body, model.validator, limits), {})
    names = [column.name for column in model.signature.columns]
    if len(first) != len(names):
        raise MalformedPayload(
            f"the first line names no column, so it is a row: it has {len(first)} cells, the model "
            f"{len(names)} columns"
        )
    header = io.StringIO()
    csv.writer(header).writerow(names)
    checked = read_csv(header.getvalue().encode() + body, model.validator, limits)
    return Reading(checked, {}, nameless=True)


class _Envelope(msgspec.Struct):
    """The keys of a body, each with the JSON text under it."""

    dataframe_split: msgspec.Raw = msgspec.Raw()
    dataframe_records: msgspec.Raw = msgspec.Raw()
    instances: msgspec.Raw = msgspec.Raw()
    inputs: msgspec.Raw = msgspec.Raw()
    params: msgspec.Raw = msgspec.Raw()
    messages: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()


class _Frame(msgspec.Struct, forbid_unknown_fields=True):
    columns: msgspec.Raw
    data: msgspec.Raw
    index: msgspec.Raw = msgspec.Raw()


_envelope = msgspec.json.Decoder(_Envelope).decode
_frame = msgspec.json.Decoder(_Frame).decode


def _quickly(body: bytes, reader: RowReader) -> Checked | None:
    """The rows of a usual body; None for any other, which is then read in full."""
    try:
        texts = msgspec.structs.asdict(_envelope(body))
        there = [name for name, text in texts.items() if bytes(text)]
        if len(there) != 1 or there[0] not in _FORMS:
            return None
        text = bytes(texts[there[0]])
        if there[0] == "dataframe_split":
            frame = _frame(text)
            checked = reader.frame_quickly(bytes(frame.columns), bytes(frame.data))
            if checked is not None and bytes(frame.index):
                _check_index(msgspec.json.decode(frame.index), checked)
            return checked
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if there[0] == "dataframe_records" and not text.startswith(b"[{"):
        return None
    return reader.quickly(text)


def _lines_quickly(lines: Sequence[bytes], reader: RowReader) -> Checked | None:
    """The rows of lines that are an object each, read as one array; None for any other.

    Cells are no objects and texts hold no line break, so a line that begins and ends like an object
    is one or several; as many rows as lines are one a line.
    """
    if not all(line[0] == _OPEN and line[-1] == _CLOSE for line in lines):
        return None
    checked = reader.quickly(b"[" + b",\n".join(lines) + b"]")
    return checked if checked is not None and checked.table.n_rows == len(lines) else None


def _split(content: object, reader: RowReader) -> Checked:
    if not isinstance(content, dict):
        raise MalformedPayload(f"dataframe_split: expected an object, got {shown(content)}")
    names, rows = content.get("columns"), content.get("data")
    if "data" not in content or not _FRAME_KEYS.issuperset(content):
        came = ", ".join(key[:40] for key in list(content)[:10]) or "none"
        raise MalformedPayload(
            f"dataframe_split: expected 'data' and perhaps 'columns' and 'index', got {came}"
        )
    if not isinstance(rows, list) or not isinstance(names, list | None):
        wrong = "data" if not isinstance(rows, list) else "columns"
        raise MalformedPayload(
            f"dataframe_split: expected an array as {wrong!r}, got {shown(content[wrong])}"
        )
    checked = reader.frame(names, rows)
    _check_index(content.get("index"), checked)
    return checked


def _check_index(index: object, checked: Checked) -> None:
    """Do nothing if there is no index or it names each row; what it names them is of no use."""
    n_rows = checked.table.n_rows
    if index is not None and not (isinstance(index, list) and len(index) == n_rows):
        came = f"{len(index)} entries" if isinstance(index, list) else shown(index)
        raise MalformedPayload(f"dataframe_split: the index has {came}, the data {n_rows} rows")


def _records(content: object, reader: RowReader) -> Checked:
    if not isinstance(content, list):
        raise MalformedPayload(f"dataframe_records: expected an array, got {shown(content)}")
    for k, row in enumerate(content):
        if not isinstance(row, dict):
            raise MalformedPayload(f"dataframe_records: row {k} is {shown(row)}, not an object")
    return reader.by_row(content)


def _instances(content: object, reader: RowReader) -> Checked:
    return reader.by_row(content) if isinstance(content, list) else reader.by_column(content)


def _inputs(content: object, reader: RowReader) -> Checked:
    return reader.by_column(content)


_READERS = dict(zip(_FORMS, (_split, _records, _instances, _inputs), strict=True))


def _parameters(content: object, model: LoadedModel) -> Mapping[str, object]:
    """The parameters for the model; none, and a line in the log, for one that cannot take any."""
    if content is None:
        return {}
    if model.manifest.original.framework != "mlflow":
        _log.warning("%s takes no params; those of a request were ignored", model.name)
        return {}
    if not isinstance(content, dict):
        raise InvalidInput(f"params: expected an object, got {shown(content)}")
    return content


def _first_record(body: bytes) -> list[str] | None:
    """The first line's cells; None where there is none that can be read."""
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(body), "utf-8", newline=""), strict=True)
    try:
        return next((cells for cells in reader if cells), None)
    except (csv.Error, UnicodeDecodeError):
        return None  # whoever reads the whole says what is wrong


def _is_header(cells: list[str], media: Media, model: LoadedModel) -> bool:
    header = media.parameters.get("header")
    if header is not None or "label_size" in media.parameters:
        return header == "present"
    positions = model.signature.positions
    known = [positions[cell] for cell in cells if cell in positions]
    return 2 * len(known) >= len(cells) or len(set(known)) == len(model.signature.columns)


_NOTHING = re.compile("(?!)")
_PARAMETERS: Mapping[tuple[str, str], re.Pattern[str]] = {
    (JSON_TYPE, "format"): re.compile("pandas-(split|records)"),
    (CSV_TYPE, "header"): re.compile("present|absent"),
    (CSV_TYPE, "label_size"): re.compile("0"),
}
"""Parameters beside the charset: of MLflow 1, of RFC 4180, of SageMaker's algorithms."""

_LINES_TYPES = ("application/x-jsonlines", "application/jsonl", "application/x-ndjson")
