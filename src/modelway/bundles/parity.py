"""The parity gate: a compiled model is served only if it answers as its original does.

The reference is the original answering each row alone. The compiled model answers the same rows in
batches of several sizes; one other label, or one value outside the tolerance, in any of them, and
the gate is closed.

Two kinds of row are special. One that the original refuses (a value too large, say) has no right
answer: it is left out and counted as ``refused``, and says nothing of what the compiled model
answers there. But a row of the training data must have one, and so must some row with a gap where
the signature allows gaps: an original that refuses those was opened otherwise than it was fitted,
and then the gate is closed. One to which the original itself gives another answer in a batch has
two right answers: it is counted as a self-disagreement, and the compiled model may give either.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.bundles.manifest import Manifest, Task
from modelway.bundles.ports import Runtime
from modelway.bundles.probes import Kind, Probes, probe_rows
from modelway.bundles.record import ParityReport
from modelway.domain.inference import Outputs
from modelway.domain.signature import Signature
from modelway.domain.tables import Table

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

TOLERANCE = 1e-5
"""How far a probability may be off, and a prediction relative to max(1, |y|)."""

NOISE = 1e-9
"""From here on, in the same measure, two answers of the original to one row are two answers."""

BATCH_ROWS = (1, 2, 7, 64, 1024)
"""The largest is what requests are merged to by default (``inference.batch_rows``)."""

REFUSED = "refused"

_TEXT_SHOWN = 80
_REASON_SHOWN = 500
_INFINITE = float(np.finfo(np.float64).max)


def gate(
    original: Runtime,
    compiled: Runtime,
    *,
    signature: Signature,
    manifest: Manifest,
    reference: Table | None,
    thresholds: Sequence[Floats],
) -> ParityReport:
    """Compare ``compiled`` with ``original`` on the rows of ``probe_rows``.

    ``signature`` has columns. ``manifest`` says the task, the classes and whether there are
    probabilities. ``reference`` are rows of the training data, ``thresholds`` the values at which
    the model may jump, one array a column. Asks the original at most about 1,500 times, and
    measures the same on every run. Nothing that either model raises comes through.
    """
    probes = probe_rows(signature, reference, thresholds)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # Such rows are meant to overflow; a warning made an error would count as a refusal.
        warnings.simplefilter("ignore")
        right = _each_alone(original, probes.table, manifest)
        asked = np.flatnonzero([answer is not None for answer in right])
        rows = _counted(probes, asked)
        unproven = _unproven(probes, rows)
        if unproven is not None:
            return _closed(rows, unproven)
        table = probes.table.rows(asked)
        alone = _joined([answer for answer in right if answer is not None])
        together = _in_one_batch(original, table, manifest)
        try:
            given = [_in_batches(compiled, table, size, manifest) for size in BATCH_ROWS]
        except Exception as error:  # noqa: BLE001 - whatever it raises, it is not served
            return _closed(rows, f"the compiled model failed: {error!r}"[:_REASON_SHOWN])
        shapes = {answers.values.shape for answers in given}
        if shapes != {alone.values.shape}:
            return _closed(rows, f"{alone.values.shape} values became {sorted(shapes)}")
        comparison = _Comparison(alone, together, given)
    kinds = [probes.kinds[i] for i in asked]
    return _report(comparison, table, kinds, rows, manifest)


@dataclass(frozen=True)
class _Answers:
    """Answers to rows: ``labels`` (n_rows,), ``values`` (n_rows, n_values); either may be empty."""

    labels: npt.NDArray[Any]
    values: Floats

    def deviation(self, right: _Answers) -> Floats:
        """How far each row's values are off, relative to max(1, |right|); always finite."""
        off = np.abs(self.values - right.values) / np.maximum(1.0, np.abs(right.values))
        same = (self.values == right.values) | (np.isnan(self.values) & np.isnan(right.values))
        off = np.where(same, 0.0, np.where(np.isfinite(off), off, _INFINITE))
        return np.asarray(np.max(off, axis=1, initial=0.0))

    def is_bitwise(self, other: _Answers) -> bool:
        """Whether all bits are the same; one NaN is as good as another."""
        bits, others = (np.where(np.isnan(v), np.nan, v) for v in (self.values, other.values))
        same_values = np.array_equal(bits.view(np.int64), others.view(np.int64))
        return same_values and np.array_equal(self.labels, other.labels)


def _answers(outputs: Outputs, n_rows: int, manifest: Manifest) -> _Answers:
    """Raises ValueError where the outputs are not one answer a row."""
    labels: npt.NDArray[Any] = np.zeros(n_rows, dtype=np.int64)
    values: npt.NDArray[Any] = np.empty((n_rows, 0))
    if manifest.classes is not None:
        labels = np.asarray(outputs["class_index"])
        if manifest.probabilities:
            values = np.asarray(outputs["probabilities"], dtype=np.float64)
    elif manifest.task is Task.CLUSTERING:
        labels = np.asarray(outputs["prediction"])
    else:
        values = np.asarray(outputs["prediction"], dtype=np.float64)
    if len(labels) != n_rows or len(values) != n_rows:
        raise ValueError(f"{len(labels)} labels and {len(values)} values for {n_rows} rows")
    return _Answers(labels, np.ascontiguousarray(values.reshape(n_rows, -1)))


def _joined(parts: Sequence[_Answers]) -> _Answers:
    return _Answers(
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.values for part in parts]),
    )


def _each_alone(runtime: Runtime, table: Table, manifest: Manifest) -> list[_Answers | None]:
    """The answer to each row asked alone; None where the model refuses it."""
    found: list[_Answers | None] = []
    for row in range(table.n_rows):
        try:
            outputs = runtime.predict(table.rows(slice(row, row + 1)))
            found.append(_answers(outputs, 1, manifest))
        except Exception:  # noqa: BLE001 - a model may refuse a row in any way
            found.append(None)
    return found


def _in_one_batch(runtime: Runtime, table: Table, manifest: Manifest) -> _Answers | None:
    """The answers to all rows at once; None where the model refuses the rows together."""
    try:
        return _answers(runtime.predict(table), table.n_rows, manifest)
    except Exception:  # noqa: BLE001 - a model may refuse rows in any way
        return None


def _in_batches(runtime: Runtime, table: Table, size: int, manifest: Manifest) -> _Answers:
    parts = []
    for start in range(0, table.n_rows, size):
        batch = table.rows(slice(start, start + size))
        parts.append(_answers(runtime.predict(batch), batch.n_rows, manifest))
    return _joined(parts)


class _Comparison:
    """What the compiled model answered in each size of batch, held against the original."""

    def __init__(
        self, alone: _Answers, together: _Answers | None, given: Sequence[_Answers]
    ) -> None:
        self.alone = alone
        self.given = given
        self.other = alone if together is None else together
        self.disagrees = (self.other.labels != alone.labels) | (self.other.deviation(alone) > NOISE)
        if together is None:
            self.disagrees[:] = True
        self.flips = np.stack([self._flips(answers) for answers in given])
        self.deviations = np.stack([self._deviation(answers) for answers in given])

    def _flips(self, answers: _Answers) -> Mask:
        return np.asarray(
            (answers.labels != self.alone.labels) & (answers.labels != self.other.labels)
        )

    def _deviation(self, answers: _Answers) -> Floats:
        off = answers.deviation(self.alone)
        nearer = np.minimum(off, answers.deviation(self.other))
        return np.where(self.disagrees, nearer, off)

    @property
    def worst(self) -> tuple[int, int] | None:
        """Place in ``given`` and row of the worst answer; None where all are exactly right."""
        badness = np.where(self.flips, np.inf, self.deviations)
        size, row = np.unravel_index(int(np.argmax(badness)), badness.shape)
        return (int(size), int(row)) if badness[size, row] > 0 else None


def _counted(probes: Probes, asked: npt.NDArray[np.intp]) -> dict[str, int]:
    """Rows compared by kind, and how many the original refused."""
    counts = Counter(str(probes.kinds[i]) for i in asked)
    refused = len(probes.kinds) - len(asked)
    return {**counts, REFUSED: refused} if refused else dict(counts)


def _unproven(probes: Probes, rows: Mapping[str, int]) -> str | None:
    """What the original should have answered and refused; None where enough can be compared."""
    asked = Counter(map(str, probes.kinds))
    if not set(rows) - {REFUSED}:
        return "the original refused every row that the gate asked"
    refused = asked[Kind.REFERENCE] - rows.get(Kind.REFERENCE, 0)
    if refused:
        return f"the original refused {refused} of {asked[Kind.REFERENCE]} rows of training data"
    if asked[Kind.MISSING] and not rows.get(Kind.MISSING):
        return "the original refused every row with a missing value, which the signature allows"
    return None


def _closed(rows: Mapping[str, int], reason: str) -> ParityReport:
    """The report where nothing could be compared."""
    return ParityReport(
        passed=False,
        rows=rows,
        flips=0,
        largest_deviation=0.0,
        tolerance=TOLERANCE,
        self_disagreements=0,
        batch_invariant=False,
        reason=reason,
    )


def _report(
    found: _Comparison,
    table: Table,
    kinds: Sequence[str],
    rows: Mapping[str, int],
    manifest: Manifest,
) -> ParityReport:
    flipped = found.flips.any(axis=0)
    largest = float(found.deviations.max())
    worst = found.worst
    reason = worst_row = None
    if worst is not None:
        size, row = worst
        worst_row = {
            "kind": str(kinds[row]),
            "batch_rows": BATCH_ROWS[size],
            "inputs": _inputs(table, row),
            "original": _shown(found.alone, row, manifest),
            "compiled": _shown(found.given[size], row, manifest),
        }
        where = f"worst in a {kinds[row]} row, in batches of {BATCH_ROWS[size]}"
        if flipped.any():
            reason = f"{flipped.sum()} of {len(kinds)} rows have another label, {where}"
        elif largest > TOLERANCE:
            reason = f"a value is off by {largest:.3g}, more than {TOLERANCE:g}, {where}"
    return ParityReport(
        passed=reason is None,
        rows=rows,
        flips=int(flipped.sum()),
        largest_deviation=largest,
        tolerance=TOLERANCE,
        self_disagreements=int(found.disagrees.sum()),
        batch_invariant=all(answers.is_bitwise(found.given[0]) for answers in found.given[1:]),
        worst_row=worst_row,
        reason=reason,
    )


def _inputs(table: Table, row: int) -> dict[str, Any]:
    """The row's values by column name."""
    columns = table.signature.columns
    return {c.name: _plain(array[row]) for c, array in zip(columns, table.arrays, strict=True)}


def _shown(answers: _Answers, row: int, manifest: Manifest) -> dict[str, Any]:
    """What was answered to a row, in the words of a response."""
    values = [_plain(value) for value in answers.values[row]]
    if manifest.classes is None:
        is_cluster = manifest.task is Task.CLUSTERING
        return {"prediction": _plain(answers.labels[row]) if is_cluster else values}
    index = int(answers.labels[row])
    label = manifest.classes[index] if 0 <= index < len(manifest.classes) else None
    return {"prediction": label, **({"probabilities": values} if values else {})}


def _plain(value: Any) -> Any:
    """A value as JSON holds it: what JSON has no number for as text, long text cut."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str | int | float) or value is None:
        return value[:_TEXT_SHOWN] if isinstance(value, str) else value
    return str(value)
