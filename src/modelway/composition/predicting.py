"""The rows of a file, answered by a running service or by a bundle in this process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from modelway.composition.row_files import Row, format_of, read_batches, row_writer
from modelway.domain.errors import InvalidInput, SignatureMismatch, Unavailable
from modelway.domain.signature import Column, Datatype, Signature
from modelway.settings import Settings

Predict = Callable[[Sequence[Row]], list[Row]]
"""What the model says of each row: prediction, label and probabilities, as it has them."""

_ABOUT = frozenset(("endpoint", "version", "prediction_id", "warnings"))
_TIMEOUT_S = 60.0


def predict_file(
    model: str, source: Path, output: Path | None, *, batch_rows: int, settings: Settings
) -> int:
    """Write the rows of ``source`` with what ``model`` says of each; gives how many there were.

    ``model`` is the address of a service or the folder of a bundle. ``output`` None is standard
    output, in the form of the input, or CSV for Parquet.

    Raises:
        SignatureMismatch: values do not fit; the problems name the rows, counted from 1.
        ModelwayError: the file cannot be read or written, or the model cannot be asked.
    """
    form = format_of(source)
    written = format_of(output) if output else "csv" if form == "parquet" else form
    count = 0
    with _asked(model, form == "csv", settings) as predict, row_writer(output, written) as write:
        for rows in read_batches(source, batch_rows):
            try:
                answers = predict(rows)
            except SignatureMismatch as error:
                raise _with_row_numbers(error, count) from error
            write([{**row, **said} for row, said in zip(rows, answers, strict=True)])
            count += len(rows)
    return count


@contextlib.contextmanager
def _asked(model: str, as_text: bool, settings: Settings) -> Iterator[Predict]:
    if model.startswith(("http://", "https://")):
        with _service(model, as_text) as predict:
            yield predict
    else:
        with _bundle(Path(model), as_text, settings) as predict:
            yield predict


@contextlib.contextmanager
def _bundle(folder: Path, as_text: bool, settings: Settings) -> Iterator[Predict]:
    """The bundle, opened here; it answers what it would answer in a service."""
    from modelway.composition.frameworks import open_runtime
    from modelway.domain.inference import InferenceResponse
    from modelway.inference.execution import no_rows, predict
    from modelway.inference.loading import load_model
    from modelway.rest.encoding import AnswerEncoder

    model = load_model(folder.name, folder, open_runtime, strict=settings.inference.strict)
    _need_columns(model.signature, str(folder))
    encoder = AnswerEncoder(model)

    def answer(rows: Sequence[Row]) -> list[Row]:
        if as_text:
            names = list(rows[0])
            checked = model.validator.texts(names, [list(row.values()) for row in rows])
        else:
            checked = model.validator.rows(rows)
        outputs = predict(model, checked.table) if rows else no_rows(model.manifest)
        response = InferenceResponse(
            model.name, model.version, "", outputs, len(rows), classes=model.manifest.classes
        )
        return [_said(row) for row in msgspec.json.decode(encoder.many(response))]

    try:
        yield answer
    finally:
        model.runtime.close()


@contextlib.contextmanager
def _service(url: str, as_text: bool) -> Iterator[Predict]:
    """The service's default endpoint; text is sent as what its signature wants."""
    from modelway.client import Client

    columns = _columns_of(url) if as_text else {}

    def answer(rows: Sequence[Row]) -> list[Row]:
        sent = [_typed(row, columns) for row in rows] if as_text else rows
        return [_said(row) for row in client.predict(sent)]

    with Client(url, timeout_s=_TIMEOUT_S) as client:
        yield answer


def _columns_of(url: str) -> dict[str, Column]:
    """The columns of the service's default endpoint, by name and by alias."""
    from modelway.client.connections import Connections
    from modelway.client.problems import error_of

    connections = Connections(url, _TIMEOUT_S)

    def get(path: str) -> Any:
        status, content = connections.exchange("GET", path)
        if status != 200:
            raise error_of(status, content, url)
        return msgspec.json.decode(content)

    try:
        default = get("/models")["default"]
        signature = msgspec.convert(get(f"/models/{default}")["signature"], Signature)
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise Unavailable(f"{url} does not answer as a Modelway service does") from error
    finally:
        connections.close()
    _need_columns(signature, url)
    return {key: signature.columns[i] for key, i in signature.positions.items()}


def _need_columns(signature: Signature, model: str) -> None:
    if not signature.is_tabular:
        raise InvalidInput(
            f"{model} takes tensors, and a file of rows has none",
            hint="serve it, and POST JSON to /predict",
        )


def _typed(row: Row, columns: dict[str, Column]) -> Row:
    """The row with its text as values; empty cells left out, what is no such value as it is."""
    return {
        name: _value(cell, columns[name]) if name in columns else cell
        for name, cell in row.items()
        if cell != ""
    }


def _value(cell: str, column: Column) -> object:
    if not column.is_numeric:
        return cell
    if column.datatype is Datatype.BOOL:
        return {"true": True, "1": True, "false": False, "0": False}.get(cell.strip().lower(), cell)
    try:
        number = float(cell)
    except ValueError:
        return cell
    # The client has no word for NaN but null; as text the service says what is wrong with it.
    return number if number == number else cell


def _said(answer: Row) -> Row:
    return {name: value for name, value in answer.items() if name not in _ABOUT}


def _with_row_numbers(error: SignatureMismatch, before: int) -> SignatureMismatch:
    """The error with the rows of the file, counted from 1, in place of those of the batch."""
    problems = []
    for problem in error.problems:
        place = problem.pointer.split("/")[1:]
        numbers = [int(part) for part in place if part.isdecimal()]
        row = f"row {numbers[0] + before + 1}, " if numbers else ""
        problems.append(replace(problem, column=row + problem.column))
    return SignatureMismatch(problems, total=error.total)
