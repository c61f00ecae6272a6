"""Operations on labels: what turned out to be true of predictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET

from modelway.access.keys import Key, Scope
from modelway.bundles.manifest import read_manifest
from modelway.composition.confining import confine
from modelway.composition.control import Control, now
from modelway.composition.operations import Operation
from modelway.domain.errors import Forbidden, InvalidInput, LoadFailed, PredictionNotFound
from modelway.records.labelling import (
    Claim,
    Value,
    Verdict,
    check_claims,
    label_of,
    place_of,
    value_of,
)
from modelway.records.labels import Label


class AddLabels(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Claims about predictions: many as ``labels``, or one by its own fields."""

    labels: tuple[Claim, ...] | None = None
    prediction_id: str | None = None
    row: int | None = None
    value: Any = UNSET
    verdict: Verdict | None = None
    at: datetime | None = None
    source: str | None = None

    @property
    def claims(self) -> Sequence[Claim]:
        """All of them. Raises InvalidInput where there are none, or both ways were taken."""
        one = (self.prediction_id, self.row, self.verdict, self.at, self.source)
        is_one = self.value is not UNSET or any(part is not None for part in one)
        if self.labels is not None and not is_one:
            return self.labels
        if self.labels is not None or self.prediction_id is None:
            raise InvalidInput(
                "expected either labels, an array, or one label with its prediction_id"
            )
        return [Claim(self.prediction_id, self.row, self.value, self.verdict, self.at, self.source)]


class Added(msgspec.Struct, frozen=True):
    """What the store has now for each claim, in their order."""

    labels: Sequence[Label]


def _add(control: Control, of: AddLabels, actor: str) -> Added:
    claims = of.claims
    check_claims(claims)
    received_at = now()
    labels = [label_of(claim, _value(control, claim), actor, received_at) for claim in claims]
    return Added(control.store.labels.add(labels))


def _confine(control: Control, of: AddLabels, key: Key) -> None:
    """Raises Forbidden: a prediction is of an endpoint that the key is not for, or another source
    is said than the key.
    """
    claims = of.claims
    check_claims(claims)
    if Scope.ADMIN not in key.scopes and any(claim.source for claim in claims):
        raise Forbidden("source: your key says who says so", hint="leave source out")
    ids = {place_of(claim)[0] for claim in claims}
    confine(key, lambda: _endpoints(control, ids))


def _endpoints(control: Control, ids: Iterable[str]) -> Iterable[str | None]:
    """The endpoints that answered these predictions; None for one that is not recorded."""
    missing = set(ids)
    listed = ", ".join("'" + one.replace("'", "''") + "'" for one in sorted(missing))
    found = control.records.query(
        "SELECT DISTINCT prediction_id, endpoint FROM predictions "  # noqa: S608 - quoted above
        f"WHERE prediction_id IN ({listed})"
    )
    for prediction_id, endpoint in found.rows:
        missing.discard(prediction_id)
        yield endpoint
    if missing:
        yield None


def _value(control: Control, claim: Claim) -> Value:
    """The value of a claim: its own, what was predicted, or the other one of two."""
    if claim.value is not UNSET:
        return value_of(claim.value)
    prediction_id, row = place_of(claim)
    record = _answered(control, prediction_id, row)
    predicted = (record["outputs"] or {}).get("prediction")
    if not isinstance(predicted, int | float | str):
        raise InvalidInput(
            f"{prediction_id}:{row} has no single prediction to {claim.verdict}", hint="say a value"
        )
    if claim.verdict == "confirm":
        return value_of(predicted)
    return _other(control, record, predicted)


def _answered(control: Control, prediction_id: str, row: int) -> Mapping[str, Any]:
    """The record of a row as its caller was answered. Raises PredictionNotFound."""
    for record in control.records.show(prediction_id):
        if record["row"] == row and record["role"] != "shadow" and record["status"] == "ok":
            return record
    raise PredictionNotFound(f"{prediction_id}:{row}")


def _other(control: Control, record: Mapping[str, Any], predicted: Value) -> Value:
    """The class that was not predicted, of two. Raises InvalidInput where there are not two."""
    if isinstance(predicted, bool):
        return not predicted
    folder = control.registered.folder(record["digest"]) if record["digest"] else None
    classes: Sequence[Value] | None = None
    if folder is not None:
        try:
            classes = read_manifest(folder).classes
        except LoadFailed:
            classes = None
    others = [one for one in classes or () if one != predicted and str(one) != str(predicted)]
    if classes is None or len(classes) != 2 or len(others) != 1:
        raise InvalidInput(
            f"{record['prediction_id']}:{record['row']} was answered with {predicted!r}, and it is "
            "not one of two classes that are known here",
            hint="say which value is true",
        )
    return others[0]


ADD = Operation("POST", "/labels", AddLabels, _add, confine=_confine)

LABEL_OPERATIONS = (ADD,)
