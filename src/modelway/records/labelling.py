"""Claims: what somebody says was true of a prediction, on its way to become a label.

A claim says a value, or only that the prediction was right or wrong (``confirm``, ``decline``), as
whoever looks into an alert does. ``ID:k`` means row k; a caller's own id that ends so is named with
its row beside it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from modelway.domain.errors import InvalidInput, MalformedPayload, PayloadTooLarge
from modelway.records.labels import Label

MOST_CLAIMS = 10_000
"""So many are taken by one request."""

LONGEST_ID = 255
MOST_ROWS = 2**63
_PORTION_CLAIMS = 2_000
_PORTION_BYTES = 512 * 1024
_ROW_ID = re.compile(r"(.+):([0-9]{1,18})", re.DOTALL)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")

Verdict = Literal["confirm", "decline"]
Value = int | float | str | bool


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One claim about row ``row`` of a prediction; ``at`` is since when it holds, with its zone.

    ``value`` may be of any type of JSON here and is checked by ``value_of``: what is read as text
    is to stay text.
    """

    prediction_id: str
    row: int | None = None
    value: Any = UNSET
    verdict: Verdict | None = None
    at: datetime | None = None
    source: str | None = None


class _Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    labels: tuple[Claim, ...]


def read_claims(body: bytes) -> Sequence[Claim]:
    """The claims of a JSON body: one object, an array of them, or ``{"labels": [...]}``.

    Raises:
        MalformedPayload: it is not JSON.
        InvalidInput: it says something else, or what cannot be; names which.
        PayloadTooLarge: there are more than ``MOST_CLAIMS``.
    """
    try:
        found = msgspec.json.decode(body)
    except msgspec.MsgspecError as error:
        raise MalformedPayload(f"the body cannot be read: {error}") from None
    if isinstance(found, dict) and "labels" not in found:
        found = [found]
    if isinstance(found, list):
        found = {"labels": found}
    try:
        claims = msgspec.convert(found, _Claims).labels
    except msgspec.ValidationError as error:
        known = ", ".join(Claim.__struct_fields__)
        raise InvalidInput(f"labels: {error}", hint=f"a label has {known}") from None
    check_claims(claims)
    return claims


def check_claims(claims: Sequence[Claim]) -> None:
    """Do nothing if these claims can be taken, as far as they say it themselves.

    Raises:
        InvalidInput: one of them cannot; names which.
        PayloadTooLarge: there are more than ``MOST_CLAIMS``.
    """
    if len(claims) > MOST_CLAIMS:
        raise PayloadTooLarge(
            f"{len(claims)} labels came; one request takes {MOST_CLAIMS}",
            hint="send them in several; modelway label import does",
        )
    for place, claim in enumerate(claims):
        try:
            check_claim(claim)
        except InvalidInput as error:
            raise InvalidInput(f"labels/{place}: {error.message}", hint=error.hint) from None


def check_claim(claim: Claim) -> None:
    """Do nothing if the claim can be taken. Raises InvalidInput."""
    prediction_id, row = place_of(claim)
    if not 0 < len(prediction_id) <= LONGEST_ID or "\0" in prediction_id:
        raise InvalidInput(
            f"prediction_id: expected 1 to {LONGEST_ID} characters without NUL, "
            f"got {prediction_id[:80]!r}"
        )
    if not 0 <= row < MOST_ROWS:
        raise InvalidInput(f"row: expected a whole number from 0 on, got {row}")
    if claim.at is not None and claim.at.utcoffset() is None:
        raise InvalidInput(f"at: expected a time with its zone, got {claim.at.isoformat()}")
    if claim.value is not UNSET:
        if claim.verdict == "confirm":
            raise InvalidInput("a confirmed prediction has its value already: leave value out")
        value_of(claim.value)
    elif claim.verdict is None:
        raise InvalidInput("value: expected a number, a text or a Boolean, nothing came")
    for text in (claim.prediction_id, claim.source or ""):
        _check_unicode(text)


def place_of(claim: Claim) -> tuple[str, int]:
    """The prediction and the row that a claim is about."""
    if claim.row is not None:
        return claim.prediction_id, claim.row
    prediction_id, row = split_row(claim.prediction_id)
    return prediction_id, row or 0


def split_row(text: str) -> tuple[str, int | None]:
    """``ID:k`` as the id and the row; None where no row is named."""
    found = _ROW_ID.fullmatch(text)
    return (text, None) if found is None else (found[1], int(found[2]))


def value_of(value: object) -> Value:
    """The value, if it can be that of a label.

    Raises:
        InvalidInput: it is null, an object, an array, or not finite.
    """
    is_finite = not isinstance(value, float) or math.isfinite(value)
    if not isinstance(value, int | float | str) or not is_finite:
        got = "null" if value is None else repr(value)[:80]
        raise InvalidInput(f"value: expected a finite number, a text or a Boolean, got {got}")
    if isinstance(value, str):
        _check_unicode(value)
    return value


def value_in(text: str) -> Value:
    """The value that a cell or an argument says: true, false, a number as JSON has it, or text."""
    if text in ("true", "false"):
        return text == "true"
    found = _NUMBER.fullmatch(text)
    if found is None:
        return text
    if found[2] is None and found[3] is None:
        return int(text)
    return value_of(float(text))


def label_of(claim: Claim, value: Value, actor: str, received_at: datetime) -> Label:
    """The label of a claim; who says so is whoever it names, else who sent it."""
    prediction_id, row = place_of(claim)
    source = claim.source or actor
    return Label(prediction_id, row, value, claim.at or received_at, received_at, source)


def portions(claims: Iterable[Claim]) -> Iterator[list[Claim]]:
    """The claims in their order, as many together as one request to an administration takes."""
    held: list[Claim] = []
    n_bytes = 0
    for claim in claims:
        size = len(msgspec.json.encode(claim))
        if held and (len(held) >= _PORTION_CLAIMS or n_bytes + size > _PORTION_BYTES):
            yield held
            held, n_bytes = [], 0
        held.append(claim)
        n_bytes += size
    if held:
        yield held


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"expected text without lone surrogates, got {text[:80]!r}") from None
