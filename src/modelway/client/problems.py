"""Error answers of the service, raised again as the errors that they were.

Source: RFC 9457; ``rest/problems.py`` writes what is read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from modelway.domain.errors import (
    InvalidInput,
    ModelFailed,
    ModelwayError,
    NotFound,
    Problem,
    SignatureMismatch,
    Unavailable,
)

_ROW = re.compile(r"(/data)?/(\d+)")


class _Fault(msgspec.Struct):
    pointer: str
    column: str
    code: str
    expected: str
    received: str | None = None


class _Document(msgspec.Struct):
    code: str
    detail: str
    errors: list[_Fault] = []
    total: int | None = None
    hint: str | None = None
    request_id: str | None = None


def error_of(status: int, body: bytes, url: str, first_row: int = 0) -> ModelwayError:
    """The error that an answer other than 200 stands for.

    ``first_row`` is added to the row numbers of its pointers. An answer that is no problem
    document (a proxy's, say) becomes an error by its status.
    """
    try:
        document = msgspec.json.decode(body, type=_Document)
    except msgspec.MsgspecError:
        return _by_status(status, url)
    kind = _BY_CODE.get(document.code)
    if kind is None:
        return _by_status(status, url, document.detail)
    if kind is SignatureMismatch:
        problems = [
            Problem(_moved(f.pointer, first_row), f.column, f.code, f.received, f.expected)
            for f in document.errors
        ]
        return SignatureMismatch(problems, total=document.total)
    return _made(kind, document)


def _made(kind: type[ModelwayError], document: _Document) -> ModelwayError:
    """An error of the class with the message that came: its own is made of what did not come."""
    hint = document.hint
    if issubclass(kind, ModelFailed) and document.request_id:
        hint = hint or f"the log of the service says why, under request {document.request_id}"
    error = kind.__new__(kind)
    ModelwayError.__init__(error, document.detail, hint=hint)
    return error


def _by_status(
    status: int, url: str, detail: str = "not as a Modelway service does"
) -> ModelwayError:
    message = f"{url} answered {status}: {detail}"
    if status == 404:
        return NotFound(message)
    return InvalidInput(message) if status < 500 else Unavailable(message)


def _moved(pointer: str, rows: int) -> str:
    """The pointer with its row further down."""
    if not rows:
        return pointer
    return _ROW.sub(lambda m: f"{m[1] or ''}/{int(m[2]) + rows}", pointer, count=1)


def _tree(root: type[ModelwayError]) -> Iterator[type[ModelwayError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


_BY_CODE = {kind.code: kind for kind in _tree(ModelwayError)}
