"""Replay: recorded inputs through the bundle that answered, compared with the answer bit by bit.

Where a bundle's answers depend on the rows beside them, the batch is put together again as it was,
and the rows of this request are compared. Two floats are the same if their bytes are, or if both
are NaN; so 0.0 and -0.0 differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.bundles.store import Bundle
from modelway.bundles.training import table_of
from modelway.domain.errors import NotReplayable, PredictionNotFound
from modelway.domain.inference import Outputs
from modelway.domain.tables import Array, Table, concatenate
from modelway.lineage.ports import Batched, Predictions, Recorded

Answer = Callable[[Path, Table], Outputs]
"""What the bundle in a folder gives for a table, outside any server."""

MOST_SHOWN = 10
OK = "ok"


class Outcome(StrEnum):
    """What a replay came to."""

    IDENTICAL = "identical"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that is another now: ``row`` of the request counts from 0, None for a whole output.

    The values are as Python prints them, floats with every digit.
    """

    output: str
    row: int | None
    recorded: str
    replayed: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay of ``n_rows``: whether the bits are the same, and the first differences.

    ``differing`` counts the values that differ. ``batch_rows`` are the rows of the batch that was
    rebuilt, None where none had to be.
    """

    prediction_id: str
    digest: str
    outcome: Outcome
    n_rows: int
    differing: int = 0
    differences: tuple[Difference, ...] = ()
    batch_rows: int | None = None


class Replaying:
    """Replays predictions; ``bundle`` gives that of a digest, None if it is not here.

    ``answer`` may block, and raises what the model raises.
    """

    def __init__(
        self, predictions: Predictions, bundle: Callable[[str], Bundle | None], answer: Answer
    ) -> None:
        self._predictions = predictions
        self._bundle = bundle
        self._answer = answer

    def replay(self, recorded: Recorded) -> Replayed:
        """The answer to a recorded prediction, made again and compared.

        Raises:
            NotReplayable: it was not answered, columns were dropped or hashed, the bundle is not
                here or takes other columns, or a part of its batch is missing; it says which.
            ModelwayError: the bundle cannot be opened, or the model fails now.
        """
        if recorded.outputs is None or recorded.digest is None:
            raise NotReplayable(
                f"{recorded.prediction_id} was not answered ({recorded.status}): there is nothing "
                "to compare with"
            )
        bundle = self._bundle(recorded.digest)
        if bundle is None:
            raise NotReplayable(
                f"the bundle {recorded.digest}, which answered, is not here any more",
                hint="bring it into the home's bundles, then replay it again",
            )
        table, start, batch_rows = self._table(recorded, bundle)
        outputs = self._answer(bundle.folder, table)
        n_rows = recorded.n_rows
        cut = {
            name: one[start : start + n_rows] if one.shape[:1] == (table.n_rows,) else one
            for name, one in outputs.items()
        }
        differing, shown = compared(recorded.outputs, cut, n_rows)
        return Replayed(
            recorded.prediction_id,
            recorded.digest,
            Outcome.DIFFERENT if differing else Outcome.IDENTICAL,
            n_rows,
            differing,
            tuple(shown),
            batch_rows,
        )

    def _table(self, recorded: Recorded, bundle: Bundle) -> tuple[Table, int, int | None]:
        """What the model is given, where the rows of this request begin, and the batch's rows."""
        batch = recorded.batch
        if bundle.manifest.batch_invariant or batch is None:
            return _table_of(recorded, bundle), 0, None
        members = _in_order(batch.members)
        held = sum(one.n_rows for one in members)
        if held != batch.n_rows or not _is_whole(members):
            raise NotReplayable(
                f"{recorded.prediction_id} was answered in a batch of {batch.n_rows} rows; "
                f"{held} of them are recorded, and the model answers by the whole batch"
            )
        tables = [self._member(one, recorded, bundle) for one in members]
        start = next((m.start for m in members if m.prediction_id == recorded.prediction_id), None)
        if start is None:
            raise NotReplayable(f"{recorded.prediction_id} is not in the batch that it names")
        return concatenate(tables), start, batch.n_rows

    def _member(self, member: Batched, recorded: Recorded, bundle: Bundle) -> Table:
        if member.prediction_id == recorded.prediction_id:
            return _table_of(recorded, bundle)
        try:
            other = self._predictions.find(member.prediction_id, recorded.endpoint)
        except PredictionNotFound as error:
            raise NotReplayable(
                f"{recorded.prediction_id} was answered in one batch with {member.prediction_id}, "
                "which is not recorded any more, and the model answers by the whole batch"
            ) from error
        if other.digest != recorded.digest or other.n_rows != member.n_rows:
            raise NotReplayable(
                f"{member.prediction_id} is recorded otherwise than it was in the batch of "
                f"{recorded.prediction_id}: {other.n_rows} rows for {other.digest}"
            )
        return _table_of(other, bundle)


def compared(recorded: Outputs, replayed: Outputs, n_rows: int) -> tuple[int, Sequence[Difference]]:
    """How many values differ, and the first ``MOST_SHOWN`` of them, by output and row."""
    n_differing, shown = 0, list[Difference]()
    for name in dict.fromkeys((*recorded, *replayed)):
        before, after = recorded.get(name), replayed.get(name)
        if before is None or after is None or before.shape != after.shape:
            n_differing += 1
            shown.append(Difference(name, None, _form(before), _form(after)))
            continue
        differs = ~_same(before, after)
        n_differing += int(differs.sum())
        for place in np.argwhere(differs)[: MOST_SHOWN - min(len(shown), MOST_SHOWN)]:
            index = tuple(place.tolist())
            row = index[0] if index and before.shape[0] == n_rows else None
            inside = "".join(f"[{one}]" for one in (index if row is None else index[1:]))
            values = (_text(before[index]), _text(after[index]))
            shown.append(Difference(name + inside, row, *values))
    return n_differing, shown[:MOST_SHOWN]


def _table_of(recorded: Recorded, bundle: Bundle) -> Table:
    """The recorded inputs as the table that the model was given.

    Raises:
        NotReplayable: columns were not kept, or are not those that the bundle takes.
    """
    signature = bundle.signature
    names = [one.name for one in signature.columns or signature.tensors]
    absent = [name for name in names if name not in recorded.inputs]
    if absent:
        raise NotReplayable(
            f"{recorded.prediction_id} was recorded without {', '.join(absent)}, which "
            f"{bundle.digest} takes"
        )
    arrays = [(name, recorded.inputs[name]) for name in names]
    kept = [values for _, values in arrays if values is not None]
    if len(kept) < len(arrays):
        gone = ", ".join(name for name, values in arrays if values is None)
        raise NotReplayable(
            f"{recorded.prediction_id} cannot be replayed, it is redacted: {gone} was not recorded "
            "as it was",
            hint="columns that are dropped or hashed are named in the settings of records",
        )
    table = (
        table_of(kept, signature)
        if signature.is_tabular
        else Table(signature, recorded.n_rows, arrays=kept)
    )
    if table.n_rows != recorded.n_rows:
        raise NotReplayable(
            f"{recorded.prediction_id} had {recorded.n_rows} rows; {table.n_rows} are recorded"
        )
    parameters: Mapping[str, object] | None = recorded.parameters
    if parameters:
        table.parameters = parameters
    return table


def _in_order(members: Sequence[Batched]) -> Sequence[Batched]:
    """The members as they lay in the batch; one without rows lies before what begins there."""
    return sorted(members, key=lambda one: (one.start, one.n_rows))


def _is_whole(members: Sequence[Batched]) -> bool:
    """Whether each begins where the one before it ends."""
    end = 0
    for one in members:
        if one.start != end:
            return False
        end += one.n_rows
    return True


def _same(before: Array, after: Array) -> npt.NDArray[np.bool_]:
    """Which values are the same to the bit; arrays of one shape."""
    if before.dtype != after.dtype:
        if before.dtype.kind in "OU" and after.dtype.kind in "OU":
            return _equal_objects(before, after)
        return np.zeros(before.shape, np.bool_)
    if before.dtype.kind == "O":
        return _equal_objects(before, after)
    if before.dtype.kind in "fc":
        width = before.dtype.itemsize
        one = np.ascontiguousarray(before).view(np.uint8).reshape(*before.shape, width)
        two = np.ascontiguousarray(after).view(np.uint8).reshape(*after.shape, width)
        bits: npt.NDArray[np.bool_] = (one == two).all(axis=-1)
        return bits | (np.isnan(before) & np.isnan(after))
    if before.dtype.kind == "M":
        before, after = before.view(np.int64), after.view(np.int64)
    return np.asarray(before == after, dtype=np.bool_)


def _equal_objects(before: Array, after: Array) -> npt.NDArray[np.bool_]:
    pairs = zip(before.ravel().tolist(), after.ravel().tolist(), strict=True)
    found = np.fromiter((_is_same(one, two) for one, two in pairs), np.bool_, before.size)
    return found.reshape(before.shape)


def _is_same(one: Any, two: Any) -> bool:
    if isinstance(one, float) and isinstance(two, float):
        return bool(_same(np.array([one]), np.array([two]))[0])
    return type(one) is type(two) and bool(one == two)


def _form(values: Array | None) -> str:
    return "nothing" if values is None else f"{values.dtype.name} {list(values.shape)}"


def _text(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)
