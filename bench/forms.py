"""The forms in which rows are sent to a server and its answers read.

A form makes a body of rows and finds the predictions in an answer; it decides nothing about the
server. Predictions are labels or values, (n_rows,), or for the network (n_rows, 10).
"""

from __future__ import annotations

import csv
import io
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from compared_models import ComparedModel, Input
from fitted_models import Answers, Rows

Headers = Mapping[str, str]
ARROW = "application/vnd.apache.arrow.stream"
HEADER_LENGTH = "inference-header-content-length"

BYTE_TYPES = {"INT32": "<i4", "INT64": "<i8", "FP32": "<f4", "FP64": "<f8"}
"""Little-endian types of the binary tensor extension of the Open Inference Protocol."""


@dataclass(frozen=True)
class Form:
    """One way to ask at one path; header names of an answer are in lower case."""

    path: str
    content_type: str
    write: Callable[[Rows], bytes]
    read: Callable[[bytes, Headers], Answers]
    headers: Callable[[Rows], Headers] = field(default=lambda _: {})

    def request(self, rows: Rows, host: str) -> bytes:
        """The whole HTTP request, as a client that keeps its connection sends it."""
        body = self.write(rows)
        more = "".join(f"{name}: {value}\r\n" for name, value in self.headers(rows).items())
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {self.content_type}\r\n"
            f"{more}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def json_form(
    path: str, write: Callable[[Rows], object], read: Callable[[Any], Answers | list[Any]]
) -> Form:
    """JSON there and back, without spaces."""
    return Form(
        path,
        "application/json",
        lambda rows: json.dumps(write(rows), separators=(",", ":")).encode(),
        lambda body, _: np.asarray(read(json.loads(body))),
    )


def lists(rows: Rows) -> list[list[Any]]:
    """Every row as a list of its cells; a float32 as the shortest decimal that gives it back."""
    values = rows.to_numpy()
    if values.dtype == np.float32:
        return [[float(str(cell)) for cell in row] for row in values]
    return [list(row) for row in rows.itertuples(index=False)]


def records(rows: Rows) -> list[dict[str, Any]]:
    """Every row as an object of its cells by column."""
    return [dict(zip(rows.columns, row, strict=True)) for row in lists(rows)]


def split(rows: Rows) -> dict[str, Any]:
    """Names and cells apart, as pandas' ``orient="split"`` has them."""
    return {"columns": list(rows.columns), "data": lists(rows)}


def predictions(answer: Any) -> list[Any]:
    """The predictions of an answer such as a service written by hand gives."""
    found: list[Any] = answer["predictions"]
    return found


def plain(path: str, model: ComparedModel, read: Callable[[Any], list[Any]] = predictions) -> Form:
    """What a service written by hand would take: ``{"rows": [...]}``."""
    shape = records if model.takes is Input.FRAME else lists
    return json_form(path, lambda rows: {"rows": shape(rows)}, read)


def csv_body(rows: Rows) -> bytes:
    """The rows as CSV with a header."""
    return rows.to_csv(index=False).encode()


def csv_form(path: str, prediction: str = "prediction") -> Form:
    """CSV with a header there and back."""

    def read(body: bytes, _: Headers) -> Answers:
        lines = csv.DictReader(io.StringIO(body.decode()))
        return np.array([_cell(line[prediction]) for line in lines])

    return Form(path, "text/csv", csv_body, read)


def _cell(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def arrow_form(path: str) -> Form:
    """An Arrow stream there and back."""

    def write(rows: Rows) -> bytes:
        table = pa.Table.from_pandas(rows, preserve_index=False)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        content: bytes = sink.getvalue().to_pybytes()
        return content

    def read(body: bytes, _: Headers) -> Answers:
        column = pa.ipc.open_stream(body).read_all().column("prediction")
        return np.array(column.to_pylist())

    return Form(path, ARROW, write, read)


def oip_json(path: str, model: ComparedModel, *, output: int = 0) -> Form:
    """The Open Inference Protocol: one tensor of numbers, or one tensor for each column."""
    return json_form(
        path,
        lambda rows: {**_codec(model), "inputs": [t.as_json() for t in tensors(rows, model)]},
        lambda answer: _of_tensor(answer["outputs"][output]),
    )


def oip_binary(path: str, model: ComparedModel) -> Form:
    """The Open Inference Protocol with its binary tensor extension in both directions."""

    def head(rows: Rows) -> bytes:
        inputs = [tensor.as_header() for tensor in tensors(rows, model)]
        return json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()

    def write(rows: Rows) -> bytes:
        return head(rows) + b"".join(tensor.as_bytes() for tensor in tensors(rows, model))

    def read(body: bytes, headers: Headers) -> Answers:
        length = int(headers[HEADER_LENGTH])
        first = json.loads(body[:length])["outputs"][0]
        size = first["parameters"]["binary_data_size"]
        content = body[length : length + size]
        if first["datatype"] == "BYTES":
            return np.array(_texts(content))
        found = np.frombuffer(content, BYTE_TYPES[first["datatype"]]).reshape(first["shape"])
        return single(found)

    return Form(
        path,
        "application/octet-stream",
        write,
        read,
        lambda rows: {HEADER_LENGTH: str(len(head(rows)))},
    )


@dataclass(frozen=True)
class Tensor:
    """One input of a request, row-major."""

    name: str
    datatype: str
    values: npt.NDArray[Any]

    def as_json(self) -> dict[str, Any]:
        """With its values in it."""
        flat = self.values.ravel()
        data = [float(str(v)) for v in flat] if flat.dtype == np.float32 else flat.tolist()
        return {**self._head(), "data": data}

    def as_header(self) -> dict[str, Any]:
        """With the size of its values, which follow."""
        return {**self._head(), "parameters": {"binary_data_size": len(self.as_bytes())}}

    def as_bytes(self) -> bytes:
        """The values as the binary extension has them."""
        if self.datatype == "BYTES":
            texts = [text.encode() for text in self.values]
            return b"".join(struct.pack("<I", len(text)) + text for text in texts)
        return self.values.astype(BYTE_TYPES[self.datatype]).tobytes()

    def _head(self) -> dict[str, Any]:
        shape = [*self.values.shape, 1] if self.values.ndim == 1 else list(self.values.shape)
        return {"name": self.name, "datatype": self.datatype, "shape": shape}


def tensors(rows: Rows, model: ComparedModel) -> list[Tensor]:
    """The rows as the protocol's tensors."""
    if model.takes is Input.TENSOR:
        return [Tensor("pixels", "FP32", rows.to_numpy())]
    if model.takes is Input.ARRAY:
        return [Tensor("predict", "FP64", rows.to_numpy())]
    return [_column(str(name), rows[name]) for name in rows.columns]


def _column(name: str, values: pd.Series[Any]) -> Tensor:
    if pd.api.types.is_float_dtype(values):
        return Tensor(name, "FP64", values.to_numpy())
    return Tensor(name, "BYTES", values.to_numpy(dtype=object))


def _codec(model: ComparedModel) -> dict[str, Any]:
    """Tells MLServer that the tensors are columns of a frame; other servers pass over it."""
    return {"parameters": {"content_type": "pd"}} if model.takes is Input.FRAME else {}


def _of_tensor(tensor: Mapping[str, Any]) -> Answers:
    return single(np.array(tensor["data"]).reshape(tensor["shape"]))


def single(values: Answers) -> Answers:
    """One value a row as (n_rows,): some servers give it as a column."""
    return values[:, 0] if values.shape[1:] == (1,) else values


def _texts(content: bytes) -> list[str]:
    texts, place = [], 0
    while place < len(content):
        (size,) = struct.unpack_from("<I", content, place)
        texts.append(content[place + 4 : place + 4 + size].decode())
        place += 4 + size
    return texts


def at(form: Form, path: str) -> Form:
    """The same form at another path."""
    return replace(form, path=path)
