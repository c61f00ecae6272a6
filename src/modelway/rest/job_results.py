"""Results of jobs in the format that is asked for with them.

A result is kept in the format that was asked for with its job. Where that is JSON, which holds all
that an answer says, it is given in any other format too, with the columns that predict would have
given: prediction, label, a probability a label, prediction id, warnings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from modelway.domain.errors import NotAcceptable
from modelway.domain.jobs import Payload
from modelway.rest.codecs import JSON_TYPE, Columns, Formats, TableFormat
from modelway.rest.encoding import OUTPUTS, TAKEN
from modelway.rest.row_ids import RowIds

Row = dict[str, Any]


async def in_format(result: Payload, formats: Formats, accept: bytes | None) -> Payload:
    """A result in the format that ``accept`` likes best, where it can be had in it.

    Raises:
        NotAcceptable: it cannot, and is in none that ``accept`` takes.
    """
    kept = formats.of_body(result.media_type.encode())
    wanted = formats.wanted(accept, kept)
    if wanted is kept:
        return result
    if kept is not None:
        if formats.takes(accept, kept):
            return result
        raise NotAcceptable(
            f"the answer was asked for as {kept.media_type}, and is in no other format",
            hint=f"accept {kept.media_type}, or ask for another job in JSON",
        )
    assert wanted is not None  # noqa: S101 - it is not JSON, which is None
    return await asyncio.to_thread(_converted, result, wanted)


def _converted(result: Payload, wanted: TableFormat) -> Payload:
    """A result in JSON as a table. Raises NotAcceptable where it is of tensors."""
    found = msgspec.json.decode(result.content)
    rows = found if isinstance(found, list) else [found]
    if rows and OUTPUTS in rows[0]:
        raise NotAcceptable(
            "the outputs of the model are tensors, which have no columns",
            hint=f"accept {JSON_TYPE}",
        )
    content = wanted.write(_columns(rows))
    return Payload(content, wanted.header.decode(), result.version)


def _columns(rows: Sequence[Row]) -> Columns:
    """The columns of answers in JSON, as ``AnswerEncoder.columns`` names and orders them."""
    first = rows[0] if rows else {"prediction_id": ""}
    found: dict[str, Sequence[Any]] = {}
    for word in first:
        if word not in TAKEN:
            found |= _predictions(word, [row[word] for row in rows])
    if any("label" in row for row in rows):
        found["label"] = [row.get("label") for row in rows]
    for key in first.get("probabilities", ()):
        found[f"probability_{key}"] = [row["probabilities"][key] for row in rows]
    found["prediction_id"] = RowIds(first["prediction_id"].partition(":")[0], len(rows))
    if any("warnings" in row for row in rows):
        texts = [row.get("warnings") for row in rows]
        found["warnings"] = [text and msgspec.json.encode(text).decode() for text in texts]
    return found


def _predictions(word: str, values: Sequence[Any]) -> dict[str, Sequence[Any]]:
    """Predictions as a column, or as one for each of the numbers that all of them have."""
    widths = {len(one) if isinstance(one, list) else None for one in values}
    (width,) = widths if len(widths) == 1 else (None,)
    if width is None or any(isinstance(one, list) for value in values for one in value):
        return {word: values}
    return {f"{word}_{k}": [value[k] for value in values] for k in range(width)}
