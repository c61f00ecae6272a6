"""Requests and their outcomes, gathered into frames column by column.

One frame holds requests to one endpoint and version, with one layout of inputs and outputs. Nothing
is done value by value where numpy or ``str.join`` does it for all requests at once: a flush handles
tens of thousands of single rows a second beside the event loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import msgspec
import numpy as np
import numpy.typing as npt

from modelway.domain.inference import Outputs
from modelway.domain.signature import Datatype, Signature
from modelway.domain.tables import NO_PARAMETERS, Array, Table, concatenate
from modelway.records.frames import ColumnHead, Head, Named, encoded
from modelway.records.identity import Identity
from modelway.records.policy import EndpointPolicy, hashed_text
from modelway.records.values import Texts, texts, values_of

Times = npt.NDArray[np.int64]

Piece = tuple[Outputs, int, int | None, int]
"""Outputs, the first and the last row of them (None for all), how many rows that is."""

Run = tuple[Outputs, int, int]
"""All that one call gave, the first row that is meant, how many rows the call had."""


class Parts(Sequence[Outputs]):
    """The outputs of single rows that lie next to each other in what their calls gave.

    ``pieces`` are outputs, the first row, the one after the last, how many those are.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces
        self._ends = np.cumsum([(end or 0) - start for _, start, end, _ in pieces])

    @overload
    def __getitem__(self, place: int) -> Outputs: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Outputs]: ...

    def __getitem__(self, place: int | slice) -> Outputs | Sequence[Outputs]:
        """The outputs of one request, or of several."""
        if isinstance(place, slice):
            return [self[k] for k in range(len(self))[place]]
        number = range(len(self))[place]
        at = int(np.searchsorted(self._ends, number, side="right"))
        outputs, _, end, _ = self.pieces[at]
        row = (end or 0) - int(self._ends[at]) + number
        return {name: array[row : row + 1] for name, array in outputs.items()}

    def __len__(self) -> int:
        """How many requests there are."""
        return int(self._ends[-1]) if len(self._ends) else 0


@dataclass(slots=True)
class Gathered:
    """Requests of one signature and what became of them.

    ``outputs`` are None for requests that were not answered, and ``codes`` None for those that
    were. ``told_at`` is when each outcome was told, in µs since 1970, int64 (n_requests,).
    ``first`` is the number of the first row of each, where only a part of its rows is here.
    """

    ids: Sequence[str]
    tables: Sequence[Table]
    principals: Sequence[str | None]
    seconds: Sequence[float]
    told_at: Times
    outputs: Sequence[Outputs] | None = None
    codes: Sequence[str] | None = None
    first: Sequence[int] | None = None

    def only(self, kept: Sequence[int]) -> Gathered:
        """The requests at these places."""
        return Gathered(
            [self.ids[k] for k in kept],
            [self.tables[k] for k in kept],
            [self.principals[k] for k in kept],
            [self.seconds[k] for k in kept],
            self.told_at[list(kept)],
            None if self.outputs is None else [self.outputs[k] for k in kept],
            None if self.codes is None else [self.codes[k] for k in kept],
            None if self.first is None else [self.first[k] for k in kept],
        )


class Batches:
    """Names for the batches that requests shared: the id of the first request seen of each.

    What one call of the model gave is known by its identity, so the last few are held on to.
    """

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._known: dict[int, tuple[object, str]] = {}

    def name(self, whole: object, prediction_id: str) -> str:
        """The name of the batch whose outputs these are."""
        found = self._known.get(id(whole))
        if found is not None and found[0] is whole:
            return found[1]
        while len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        self._known[id(whole)] = (whole, prediction_id)
        return prediction_id


@dataclass(slots=True)
class Framing:
    """What makes frames of gathered requests; ``key`` is the home's, for columns that are hashed.

    Used by one thread.
    """

    key: bytes = b""
    batches: Batches = field(default_factory=Batches)

    def frame(
        self,
        endpoint: str,
        gathered: Gathered,
        identity: Identity,
        policy: EndpointPolicy,
        recorded_at: int,
    ) -> bytes:
        """The frame of requests that share a layout; ``recorded_at`` in µs since 1970."""
        signature = gathered.tables[0].signature
        columns = _columns(signature, policy)
        arrays = _of_requests(gathered)
        if gathered.outputs is not None:
            if not identity.batch_invariant:
                arrays += self._batch(gathered.ids, gathered.outputs)
            rows = [table.n_rows for table in gathered.tables]
            arrays += _outputs(gathered.outputs, rows)
        n_rows = sum([table.n_rows for table in gathered.tables])
        if n_rows:
            arrays += self._inputs(gathered.tables, columns, n_rows)
        head = Head(
            endpoint,
            identity,
            recorded_at,
            policy.sampling_rate,
            len(gathered.ids),
            n_rows,
            signature.is_tabular,
            columns,
        )
        return encoded(head, arrays)

    def _batch(self, ids: Sequence[str], outputs: Sequence[Any]) -> list[Named]:
        """Which batch each request was in, and where; nothing for those that were asked alone."""
        names: list[str | None] = []
        places, rows = [], []
        for prediction_id, one in zip(ids, outputs, strict=True):
            whole = getattr(one, "whole", None)
            names.append(None if whole is None else self.batches.name(whole, prediction_id))
            places.append(0 if whole is None else one.start)
            rows.append(0 if whole is None else whole.n_rows)
        return [
            Named("request", "batch_id", texts(names)),
            Named("request", "batch_place", np.array(places, np.int64)),
            Named("request", "batch_rows", np.array(rows, np.int64)),
        ]

    def _inputs(
        self, tables: Sequence[Table], columns: Sequence[ColumnHead], n_rows: int
    ) -> list[Named]:
        signature = tables[0].signature
        if not signature.is_tabular:
            return [
                self._tensor(column, [table.arrays[place] for table in tables], tables)
                for place, column in enumerate(columns)
                if column.form != "dropped"
            ]
        whole = concatenate([table for table in tables if table.n_rows])
        if not signature.is_numeric:
            return [
                self._column(column, whole.arrays[place])
                for place, column in enumerate(columns)
                if column.form != "dropped"
            ]
        matrix = whole.matrix
        hashed = [
            self._column(column, matrix[:, place])
            for place, column in enumerate(columns)
            if column.form == "hashed"
        ]
        kept = [place for place, column in enumerate(columns) if column.form == "kept"]
        if len(kept) < len(columns):
            matrix = matrix[:, kept]
        return [Named("matrix", "", matrix), *hashed]

    def _column(self, column: ColumnHead, array: Array) -> Named:
        if column.form == "hashed":
            return Named("input", column.name, self._hashed(array), column.datatype)
        is_binary = column.datatype == Datatype.BYTES
        values = values_of(array, is_binary=is_binary)
        return Named("input", column.name, values, column.datatype)

    def _tensor(self, column: ColumnHead, arrays: list[Array], tables: Sequence[Table]) -> Named:
        rows = [table.n_rows for table in tables]
        per_row = _are_rows(arrays, rows)
        joined = _one_after_another(arrays) if per_row else np.stack(arrays)
        if column.form == "hashed":
            hashes = texts([hashed_text(one.tolist(), self.key) for one in joined])
            return Named("input", column.name, hashes, column.datatype, per_row)
        values = values_of(joined, is_binary=column.datatype == Datatype.BYTES)
        return Named("input", column.name, values, column.datatype, per_row)

    def _hashed(self, array: Array) -> Texts:
        if array.dtype.kind == "M":
            written = array.astype(str).astype(object)
            written[np.isnat(array)] = None
            array = written
        return texts(
            [
                None if value is None or value != value else hashed_text(value, self.key)
                for value in array.tolist()
            ]
        )


class Layouts:
    """What requests must share to be in one frame; what is asked again and again is remembered."""

    def __init__(self, most: int = 1000) -> None:
        self._most = most
        self._numeric: dict[int, tuple[Signature, bool]] = {}
        self._last: tuple[object, tuple[object, ...]] = (None, ())

    def of_table(self, table: Table) -> tuple[object, ...]:
        """The layout of inputs, beside their signature."""
        found = self._numeric.get(id(table.signature))
        if found is None:
            if len(self._numeric) >= self._most:
                self._numeric.clear()
            found = table.signature, table.signature.is_numeric
            self._numeric[id(table.signature)] = found
        if found[1]:
            return ()
        if not table.n_rows:
            return ("no rows",)
        return tuple([_layout(array, table.n_rows) for array in table.arrays])

    def of_outputs(self, outputs: Outputs, n_rows: int) -> tuple[object, ...]:
        """The layout of what a model gave."""
        whole = getattr(outputs, "whole", None)
        if whole is None:
            return tuple([(name, *_layout(one, n_rows)) for name, one in outputs.items()])
        if whole is not self._last[0]:
            found = [(name, *_layout(one, whole.n_rows)) for name, one in whole.outputs.items()]
            self._last = whole, tuple(found)
        return self._last[1]

    def of_whole(self, outputs: Outputs, n_rows: int) -> tuple[object, ...]:
        """The layout of all that a call gave."""
        if outputs is not self._last[0]:
            found = [(name, *_layout(one, n_rows)) for name, one in outputs.items()]
            self._last = outputs, tuple(found)
        return self._last[1]


def _layout(array: Array, n_rows: int) -> tuple[object, ...]:
    shape = array.shape
    per_row = shape[:1] == (n_rows,)
    return (array.dtype, per_row, shape[1:] if per_row else shape)


def _columns(signature: Signature, policy: EndpointPolicy) -> tuple[ColumnHead, ...]:
    if not signature.is_tabular:
        specs = signature.tensors
        return tuple(
            ColumnHead(one.name, one.datatype.value, policy.form(one.name)) for one in specs
        )
    return tuple(
        ColumnHead(one.name, one.datatype.value, policy.form(one.name), one.is_text)
        for one in signature.columns
    )


def _of_requests(gathered: Gathered) -> list[Named]:
    """What is said of each request; what is as usual is left out."""
    seconds = np.array(gathered.seconds)
    found = [
        Named("request", "ids", texts(gathered.ids)),
        Named("request", "event_at", gathered.told_at - (seconds * 1e6).astype(np.int64)),
        Named("request", "latency", seconds),
    ]
    rows = np.array([table.n_rows for table in gathered.tables], np.int64)
    if not (rows == 1).all():
        found.append(Named("request", "rows", rows))
    if gathered.first is not None:
        found.append(Named("request", "first", np.array(gathered.first, np.int64)))
    if gathered.codes is not None:
        found.append(Named("request", "status", texts(gathered.codes)))
    if any(gathered.principals):
        found.append(Named("request", "principal", texts(gathered.principals)))
    parameters = [table.parameters for table in gathered.tables]
    if any(parameters):
        found.append(Named("request", "parameters", texts([_json(one) for one in parameters])))
    return found


def _json(parameters: Mapping[str, object]) -> str | None:
    if parameters is NO_PARAMETERS or not parameters:
        return None
    return msgspec.json.encode(dict(parameters), enc_hook=repr).decode()


def _outputs(outputs: Sequence[Outputs], rows: Sequence[int]) -> list[Named]:
    """What the model gave, one array a name."""
    pieces = outputs.pieces if isinstance(outputs, Parts) else _runs(outputs, rows)
    n_rows = [its for *_, its in pieces]
    found = []
    for name in outputs[0]:
        arrays = [
            whole[name] if end is None else whole[name][start:end]
            for whole, start, end, _ in pieces
        ]
        if not _are_rows(arrays, n_rows):
            stacked = np.stack([one[name] for one in outputs])
            found.append(Named("output", name, values_of(stacked), per_row=False))
            continue
        found.append(Named("output", name, values_of(_one_after_another(arrays))))
    return found


def _runs(outputs: Sequence[Any], rows: Sequence[int]) -> list[Piece]:
    """Neighbouring parts of what one call of the model gave, as one part to be cut out."""
    found: list[Piece] = []
    whole: Any = None
    start = end = 0
    for one, its in zip(outputs, rows, strict=True):
        cut = getattr(one, "whole", None)
        if cut is None:
            found.append((one, 0, None, its))
        elif cut is whole and one.start == end:
            end = one.end
            found[-1] = (cut.outputs, start, end, end - start)
        else:
            start, end = one.start, one.end
            found.append((cut.outputs, start, end, its))
        whole = cut
    return found


def _are_rows(arrays: Sequence[Array], rows: Sequence[int]) -> bool:
    """Whether the first axis of every array is the rows."""
    return all(array.shape[:1] == (its,) for array, its in zip(arrays, rows, strict=True))


def _one_after_another(arrays: Sequence[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
