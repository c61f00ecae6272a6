"""Operations on one past prediction: where it comes from, and making it again."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from modelway.access.keys import Key
from modelway.bundles.record import Record, read_record
from modelway.bundles.store import Bundle, open_bundle
from modelway.composition.confining import confine
from modelway.composition.control import Control
from modelway.composition.operations import Operation
from modelway.composition.recorded_predictions import RecordedPredictions, answer_of
from modelway.domain.errors import ModelwayError
from modelway.lineage.replay import Replayed, Replaying
from modelway.lineage.tracing import Trace, Tracing, recorded_of


class OfPrediction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prediction, or row k of it: ``ID:k``; of an ``endpoint``, where several have such an id."""

    id: str
    endpoint: str | None = None


def _trace(control: Control, of: OfPrediction, _: str) -> Trace:
    store = control.store

    def record(digest: str) -> Record | None:
        folder = control.registered.folder(digest)
        return None if folder is None else read_record(folder)

    tracing = Tracing(
        _predictions(control), store.endpoints, store.ledger, control.registry, record
    )
    return tracing.trace(of.id, of.endpoint)


def _replay(control: Control, of: OfPrediction, _: str) -> Replayed:
    predictions = _predictions(control)
    recorded, _row = recorded_of(predictions, of.id, of.endpoint)
    replaying = Replaying(predictions, _bundles(control), answer_of(control.settings))
    return replaying.replay(recorded)


def _confine(control: Control, of: OfPrediction, key: Key) -> None:
    confine(key, lambda: {of.endpoint or recorded_of(_predictions(control), of.id)[0].endpoint})


def _predictions(control: Control) -> RecordedPredictions:
    return RecordedPredictions(control.records, _bundles(control))


def _bundles(control: Control) -> Callable[[str], Bundle | None]:
    """What gives the bundle of a digest, None if it is not here or not whole."""

    def bundle(digest: str) -> Bundle | None:
        folder = control.registered.folder(digest)
        try:
            return None if folder is None else open_bundle(folder)
        except ModelwayError:
            return None

    return bundle


TRACE = Operation("GET", "/trace/{id}", OfPrediction, _trace, confine=_confine)
REPLAY = Operation("POST", "/trace/{id}/replay", OfPrediction, _replay, confine=_confine)

TRACE_OPERATIONS = (TRACE, REPLAY)
