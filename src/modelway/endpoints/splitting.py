"""Which requests a canary answers: those whose key falls into its share of a circle.

A key is a header, a column of the first row, or the prediction's id; its hash is a number within
[0, 1) that is the same in every process and on every host. So a caller stays with one version, and
when a canary's weight grows those that it had already stay with it. The salt is the endpoint's own,
so that not always the same callers meet the canaries of all endpoints.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from modelway.domain.errors import InvalidInput
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.inference import InferenceRequest
from modelway.domain.signature import Signature

HEADER, FIELD = "header:", "field:"

_TWO_64 = 2.0**64

Key = Callable[[InferenceRequest], str]
"""What keeps a request's caller with one version."""


def share(salt: str, key: str) -> float:
    """Where a key falls, within [0, 1)."""
    hashed = hashlib.blake2b(f"{salt}\0{key}".encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(hashed, "big") / _TWO_64


def place(at: float, weights: Sequence[float]) -> int | None:
    """Which of the shares ``at`` falls into, None for what none of them takes."""
    upto = 0.0
    for number, weight in enumerate(weights):
        upto += weight
        if at < upto:
            return number
    return None


def check_weights(weights: Sequence[float]) -> None:
    """Raises InvalidInput where a weight is not a share, or they leave the live version none."""
    for weight in weights:
        if not 0.0 < weight < 1.0:
            raise InvalidInput(f"a weight of {weight:g} is not between 0 and 1 (or 0% and 100%)")
    if sum(weights) >= 1.0:
        raise InvalidInput(
            f"the canaries' weights add up to {sum(weights):g}; the live version must have a share"
        )


def check_split(split_by: str) -> None:
    """Raises InvalidInput unless it is one of ``header:NAME``, ``field:COLUMN`` and nothing."""
    kind, colon, name = split_by.partition(":")
    if split_by and not (colon and name and kind + colon in (HEADER, FIELD)):
        raise InvalidInput(
            f"requests cannot be split by {split_by!r}",
            hint="say header:NAME or field:COLUMN, or nothing for the prediction's id",
        )


def key_of(split_by: str, signature: Signature) -> Key:
    """What gives a request's key, for an endpoint of this signature.

    Raises:
        InvalidInput: ``split_by`` is none of ``header:NAME``, ``field:COLUMN`` and nothing, or
            there is no such column.
    """
    check_split(split_by)
    if not split_by:
        return _prediction_id
    if split_by.startswith(HEADER):
        name = split_by[len(HEADER) :].lower()
        return lambda request: request.headers.get(name) or _prediction_id(request)
    column = split_by[len(FIELD) :]
    position = signature.positions.get(column) if signature.is_tabular else None
    if position is None:
        raise InvalidInput(
            f"requests cannot be split by the column {column!r}, which is not in the signature",
            hint=f"its columns are {', '.join(one.name for one in signature.columns)}",
        )
    return lambda request: _cell(request, position)


def _prediction_id(request: InferenceRequest) -> str:
    if request.prediction_id is None:
        request.prediction_id = new_prediction_id()
    return request.prediction_id


def _cell(request: InferenceRequest, position: int) -> str:
    table = request.table
    if not table.n_rows:
        return _prediction_id(request)
    cell = table.arrays[position][0]
    # One number is one key, whatever width a protocol gives it.
    return repr(float(cell)) if isinstance(cell, np.number | np.bool_) else str(cell)
