"""Losses of the versions on trial, from recorded predictions whose labels have come.

Everything is counted anew from the records since a trial began, since labels may be corrected; so
the row that it rewrites in the store is named after the records and not after who reads them, and
hosts that read the same records count them once.

A label that is no number where the model answers numbers, or the other way round, cannot be
compared, and is left out.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from modelway.backends.duckdb_views import text
from modelway.bundles.manifest import Manifest, read_manifest
from modelway.composition.control import Control, now
from modelway.domain.signature import Scalar
from modelway.endpoints.comparison import ArmCounts, Paired
from modelway.endpoints.endpoint import Role
from modelway.endpoints.losses import Loss, usual_loss
from modelway.endpoints.sequential import Moments
from modelway.endpoints.trials import Arm, Tally, Trial

_PAIRS_S = 15.0
_ANEW_S = 60.0
"""A label may come before the record of its prediction; so all is counted again now and then."""

_ROWS = """
SELECT p.prediction_id, p."row", p.role, p.version, p.prediction, p.prediction_number,
    TRY_CAST(json_extract(p.outputs, '$.probabilities') AS DOUBLE[]) AS probabilities,
    l.value AS label, l.number AS label_number
FROM predictions p {join} JOIN labels l ON l.prediction_id = p.prediction_id AND l."row" = p."row"
WHERE p.endpoint = {endpoint} AND p.status = 'ok' AND p.event_time >= TIMESTAMP {began}
    AND p."row" IS NOT NULL"""

_ARMS = """
WITH found AS ({rows}), lost AS (SELECT role, version, label_number, {lost} AS lost FROM found)
SELECT role, version, {moments}, {targets}, count(*) - count(lost) FROM lost
WHERE role IN ('live', 'canary') GROUP BY role, version"""

_PAIRS = """
WITH found AS ({rows}), lost AS (SELECT *, {lost} AS lost FROM found), pairs AS (
    SELECT s.version, s.label_number, s.lost AS shadow_lost, l.lost AS live_lost,
        s.lost - l.lost AS lost, {differs} AS differs, {apart} AS apart
    FROM lost l JOIN lost s ON s.prediction_id = l.prediction_id AND s."row" = l."row"
    WHERE l.role = 'live' AND l.version = {live} AND s.role = 'shadow'
        AND (l.prediction IS NULL OR s.prediction IS NOT NULL)
)
SELECT version, count(*), count(*) FILTER (differs), coalesce(max(apart), 0),
    {moments}, {live_moments}, {shadow_moments}, {targets} FROM pairs GROUP BY version"""

_KIND = """WITH found AS ({rows})
SELECT count(*), count(*) FILTER (prediction_number IS NULL) FROM found"""

_DIFFERS = """CASE WHEN l.prediction_number IS NULL OR s.prediction_number IS NULL
    THEN l.prediction <> s.prediction ELSE abs(l.prediction_number - s.prediction_number) >
    1e-6 * greatest(1, abs(l.prediction_number)) END"""
"""Two numbers agree where they are the same but for rounding."""

_APART = """list_max(list_transform(list_zip(l.probabilities, s.probabilities),
    lambda x: abs(x[1] - x[2])))"""
_NUMBERS_APART = "abs(l.prediction_number - s.prediction_number)"

_log = logging.getLogger("modelway.judging")


class LabelLosses:
    """Brings the losses of trials to the store; blocks, used by one thread at a time."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._labels = -1
        self._keys: frozenset[str] = frozenset()
        self._brought_s = self._paired_s = -math.inf
        self._left_out: dict[str, int] = {}

    def bring(self, trials: Sequence[Trial]) -> bool:
        """Rewrite what is known of losses, if there is anything else than before; gives whether.

        Raises:
            MissingExtra: what reads records is not installed.
            StoreUnavailable, Unavailable: the store or the records cannot be read now.
        """
        labels = self._control.store.trials.labels()
        keys = frozenset(one.key for one in trials)
        at_s = time.monotonic()
        shadowed = any(_shadows(one) for one in trials)
        paired = shadowed and at_s - self._paired_s >= _PAIRS_S
        anew = (labels, keys) != (self._labels, self._keys) or at_s - self._brought_s >= _ANEW_S
        if not (paired or (anew and (labels or shadowed))):
            return False
        for trial in trials:
            tallies = self._tallies(trial)
            if tallies:
                self._control.store.trials.put(trial.key, self._source, tallies, now())
            if any(one.paired is not None for one in tallies):
                self._paired_s = at_s
        self._labels, self._keys, self._brought_s = labels, keys, at_s
        return True

    @property
    def _source(self) -> str:
        return f"labels {self._control.records_name}"

    def _tallies(self, trial: Trial) -> list[Tally]:
        manifest = self._manifest(trial)
        if manifest is None:
            return []
        loss = self._loss(trial, manifest)
        found = [] if loss is None else self._arms(trial, manifest, loss)
        if _shadows(trial):
            found += self._pairs(trial, manifest, loss)
        return found

    def _manifest(self, trial: Trial) -> Manifest | None:
        """What the live version's bundle says of its answers; those of the others are alike."""
        folder = self._control.registered.folder(trial.live_digest)
        return None if folder is None else read_manifest(folder)

    def _loss(self, trial: Trial, manifest: Manifest) -> Loss | None:
        """The loss that is counted, None while there is no labelled row."""
        if manifest.classes is not None:
            return usual_loss(classes=True, probabilities=manifest.probabilities)
        (n, texts), *_ = self._asked(_KIND.format(rows=_rows(trial, "")))
        if not n:
            return None
        # A rule may answer words: it has no classes, and is right or wrong all the same.
        return usual_loss(classes=bool(texts), probabilities=False)

    def _arms(self, trial: Trial, manifest: Manifest, loss: Loss) -> list[Tally]:
        statement = _ARMS.format(
            rows=_rows(trial, ""),
            lost=_lost(loss, manifest.classes),
            moments=_moments("lost"),
            targets=_moments("label_number", "lost IS NOT NULL"),
        )
        wanted = {(one.role, one.version) for one in trial.candidates}
        wanted.add((Role.LIVE, trial.live_version))
        tallies = []
        for role, version, *sums, left_out in self._asked(statement):
            if (Role(role), version) in wanted:
                self._say_left_out(trial, left_out)
                tallies.append(_tally(trial, Arm(role), version, _losses(loss, sums[:3], sums[3:])))
        return tallies

    def _pairs(self, trial: Trial, manifest: Manifest, loss: Loss | None) -> list[Tally]:
        lost = "NULL::DOUBLE" if loss is None else _lost(loss, manifest.classes)
        statement = _PAIRS.format(
            rows=_rows(trial, "LEFT"),
            lost=lost,
            live=text(trial.live_version),
            differs=_DIFFERS if manifest.classes is None else "l.prediction <> s.prediction",
            apart=_apart(manifest),
            moments=_moments("lost"),
            live_moments=_moments("live_lost", "lost IS NOT NULL"),
            shadow_moments=_moments("shadow_lost", "lost IS NOT NULL"),
            targets=_moments("label_number", "lost IS NOT NULL"),
        )
        wanted = set(_shadows(trial))
        tallies = []
        for version, rows, differing, apart, *sums in self._asked(statement):
            if version not in wanted:
                continue
            between, live, shadow, targets = (sums[at : at + 3] for at in (0, 3, 6, 9))
            known = loss if between[0] else None
            paired = Paired(rows, differing, apart, Moments(*between), known)
            beside = _losses(known, live, targets)
            tallies.append(_tally(trial, Arm.BESIDE, version, beside))
            its = _losses(known, shadow, targets)
            tallies.append(_tally(trial, Arm.SHADOW, version, its, paired))
        return tallies

    def _asked(self, statement: str) -> Sequence[tuple[Any, ...]]:
        return self._control.records.query(statement).rows

    def _say_left_out(self, trial: Trial, n: int) -> None:
        if n > self._left_out.get(trial.key, 0):
            self._left_out[trial.key] = n
            said = {"endpoint": trial.endpoint.name, "labels": n}
            _log.warning("labels of another type than the answers are left out", extra=said)


def _shadows(trial: Trial) -> list[str]:
    """The versions of its shadows that differ from the live one."""
    found = [one.version for one in trial.candidates if one.role is Role.SHADOW]
    return [one for one in found if one != trial.live_version]


def _tally(
    trial: Trial, arm: Arm, version: str, counts: ArmCounts, paired: Paired | None = None
) -> Tally:
    return Tally(trial.endpoint.name, trial.routing, arm, version, counts, paired)


def _losses(loss: Loss | None, sums: Sequence[Any], targets: Sequence[Any]) -> ArmCounts:
    """Counts of an arm that say of its losses only; ``targets`` matter where these are numbers."""
    if loss is None or not sums[0]:
        return ArmCounts()
    scaled = Moments(*targets) if loss is Loss.ABSOLUTE else Moments()
    return ArmCounts(losses=Moments(*sums), targets=scaled, loss=loss)


def _rows(trial: Trial, join: str) -> str:
    began = trial.began.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
    return _ROWS.format(join=join, endpoint=text(trial.endpoint.name), began=text(began))


def _apart(manifest: Manifest) -> str:
    """How far two answers are apart; classes without probabilities are the same or not."""
    if manifest.probabilities:
        return _APART
    return _NUMBERS_APART if manifest.classes is None else "0.0"


def _moments(value: str, where: str = "true") -> str:
    """How many values there are, their mean, and their squared distances from it."""
    kept = f"FILTER (WHERE {where})"
    return (
        f"count({value}) {kept}, coalesce(avg({value}) {kept}, 0), "
        f"coalesce(var_pop({value}) {kept} * count({value}) {kept}, 0)"
    )


def _lost(loss: Loss, classes: Sequence[Scalar] | None) -> str:
    """What a row lost, NULL where its label cannot be compared; see ``endpoints.losses``."""
    if loss is Loss.ABSOLUTE:
        return "abs(prediction_number - label_number)"
    if classes is None:
        return "CAST(prediction <> label AS DOUBLE)"
    if any(isinstance(one, str | bool) for one in classes):
        named = [str(one).lower() if isinstance(one, bool) else str(one) for one in classes]
        label, comparable = "label", "label_number IS NULL"
        listed = f"[{', '.join(map(text, named))}]"
        wrong = "prediction <> label"
    else:
        label, comparable = "label_number", "label_number IS NOT NULL"
        listed = f"[{', '.join(repr(float(one)) for one in classes)}]::DOUBLE[]"
        wrong = "prediction_number <> label_number"
    if loss is Loss.WRONG:
        return f"CASE WHEN {comparable} THEN CAST({wrong} AS DOUBLE) END"
    given = f"coalesce(probabilities[list_position({listed}, {label})], 0)"
    squares = "list_sum(list_transform(probabilities, lambda x: x * x))"
    brier = f"({squares} - {given} * {given} + (1 - {given}) * (1 - {given})) / 2"
    return f"CASE WHEN {comparable} AND probabilities IS NOT NULL THEN least(1, {brier}) END"
