"""Requests and their outcomes, gathered into frames column by column.

One frame holds requests to one endpoint and version, with one layout of inputs and outputs. Nothing
is done value by value where numpy or ``str.join`` does it for all requests at once, and nothing
request by request where the call that answered them together has it all: tens of thousands of
single rows a second are gathered beside the event loop.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import msgspec
import numpy as np
import numpy.typing as npt

from modelway.domain.parts import Part, Whole
from modelway.domain.signature import Datatype, Signature
from modelway.domain.tables import NO_PARAMETERS, Array, Table
from modelway.records.frames import ColumnHead, Head, Named, encoded
from modelway.records.identity import Identity
from modelway.records.policy import EndpointPolicy, hashed_text
from modelway.records.values import Texts, texts, values_of

Times = npt.NDArray[np.int64]
Seconds = npt.NDArray[np.float64]


@dataclass(slots=True)
class Gathered:
    """Requests of one signature and what became of them.

    ``parts`` hold the rows of all requests, one after the other. ``rows`` is how many each has, and
    then there is a part for each; None where each has one, and then a part may hold several.
    ``codes`` are those of the errors of requests that were not answered, None for those that were.
    ``told_at`` is when each outcome was told, in µs since 1970, int64 (n_requests,). ``cut_of`` is
    the part that each request is, where only some of its rows are here.
    """

    ids: Texts
    parts: Sequence[Part]
    principals: Sequence[str | None]
    seconds: Sequence[float] | Seconds
    told_at: Times
    rows: Sequence[int] | None = None
    codes: Sequence[str] | None = None
    cut_of: Sequence[Part] | None = None

    @property
    def signature(self) -> Signature:
        """The signature that all requests share."""
        return self.parts[0].whole.table.signature

    @property
    def n_requests(self) -> int:
        """How many requests there are."""
        return len(self.ids.lengths)

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self.n_requests if self.rows is None else sum(self.rows)

    @property
    def each_id(self) -> Sequence[str]:
        """The id of each request."""
        return [str(one) for one in self.ids]

    @property
    def each(self) -> Sequence[Part]:
        """A part for each request."""
        return self.parts if self.rows is not None else singles(self.parts)

    def only(self, kept: Sequence[int]) -> Gathered:
        """The requests at these places."""
        each, ids = self.each, self.each_id
        return Gathered(
            texts([ids[k] for k in kept]),
            [each[k] for k in kept],
            [self.principals[k] for k in kept],
            [self.seconds[k] for k in kept],
            self.told_at[list(kept)],
            None if self.rows is None else [self.rows[k] for k in kept],
            None if self.codes is None else [self.codes[k] for k in kept],
            None if self.cut_of is None else [self.cut_of[k] for k in kept],
        )


def singles(parts: Sequence[Part]) -> list[Part]:
    """A part for each row."""
    return [
        part if part.end - part.start == 1 else Part(part.whole, row, row + 1)
        for part in parts
        for row in range(part.start, part.end)
    ]


class Batches:
    """Names for the batches that requests shared: the id of the first request seen of each.

    A name is known as long as the call that answered them: who waits for a frame holds on to it.
    Used by several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: WeakKeyDictionary[Whole, str] = WeakKeyDictionary()

    def name(self, whole: Whole, prediction_id: str) -> str:
        """The name of the batch that a call answered."""
        with self._lock:
            return self._known.setdefault(whole, prediction_id)


@dataclass(slots=True)
class Framing:
    """What makes frames of gathered requests; ``key`` is the home's, for columns that are hashed.

    Used by one thread.
    """

    key: bytes = b""
    batches: Batches = field(default_factory=Batches)
    _known: tuple[Signature | None, EndpointPolicy | None, tuple[ColumnHead, ...]] = (
        None,
        None,
        (),
    )

    def frame(
        self,
        endpoint: str,
        gathered: Gathered,
        identity: Identity,
        policy: EndpointPolicy,
        recorded_at: int,
    ) -> bytes:
        """The frame of requests that share a layout; ``recorded_at`` in µs since 1970."""
        signature = gathered.signature
        columns = self._columns(signature, policy)
        arrays = _of_requests(gathered)
        if gathered.codes is None:
            if not identity.batch_invariant:
                arrays += self._batch(gathered)
            arrays += _outputs(gathered)
        n_rows = gathered.n_rows
        if n_rows:
            parts = [part for part in gathered.parts if part.end > part.start]
            arrays += self._inputs(signature, parts, columns)
        head = Head(
            endpoint,
            identity,
            recorded_at,
            policy.sampling_rate,
            gathered.n_requests,
            n_rows,
            signature.is_tabular,
            columns,
        )
        return encoded(head, arrays)

    def _columns(self, signature: Signature, policy: EndpointPolicy) -> tuple[ColumnHead, ...]:
        """What becomes of each column; one frame after the other asks for the same."""
        if self._known[0] is not signature or self._known[1] is not policy:
            self._known = signature, policy, _columns(signature, policy)
        return self._known[2]

    def _batch(self, gathered: Gathered) -> list[Named]:
        """Which batch each request was in, and where; nothing for those that were asked alone."""
        names: list[str | None] = []
        places, rows = [], []
        requests = gathered.each if gathered.cut_of is None else gathered.cut_of
        for prediction_id, part in zip(gathered.each_id, requests, strict=True):
            whole = part.whole
            is_shared = part.end - part.start < whole.n_rows
            names.append(self.batches.name(whole, prediction_id) if is_shared else None)
            places.append(part.start)
            rows.append(whole.n_rows if is_shared else 0)
        return [
            Named("request", "batch_id", texts(names)),
            Named("request", "batch_place", np.array(places, np.int64)),
            Named("request", "batch_rows", np.array(rows, np.int64)),
        ]

    def _inputs(
        self, signature: Signature, parts: Sequence[Part], columns: Sequence[ColumnHead]
    ) -> list[Named]:
        """What the model was given; each part has rows."""
        if not signature.is_tabular:
            return [
                self._tensor(column, parts, place)
                for place, column in enumerate(columns)
                if column.form != "dropped"
            ]
        if not signature.is_numeric:
            return [
                self._column(
                    column,
                    _joined([_cut(part.whole.table.arrays[place], part) for part in parts]),
                )
                for place, column in enumerate(columns)
                if column.form != "dropped"
            ]
        matrix = _joined([_cut(part.whole.table.matrix, part) for part in parts])
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

    def _tensor(self, column: ColumnHead, parts: Sequence[Part], place: int) -> Named:
        arrays = [_cut(part.whole.table.arrays[place], part) for part in parts]
        per_row = _are_rows(arrays, parts)
        joined = _joined(arrays) if per_row else np.stack(arrays)
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

    def of_outputs(self, whole: Whole) -> tuple[object, ...]:
        """The layout of what a call gave."""
        if whole is not self._last[0]:
            found = [(name, *_layout(one, whole.n_rows)) for name, one in whole.outputs.items()]
            self._last = whole, tuple(found)
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
        Named("request", "ids", gathered.ids),
        Named("request", "event_at", gathered.told_at - (seconds * 1e6).astype(np.int64)),
        Named("request", "latency", seconds),
    ]
    if gathered.rows is not None:
        found.append(Named("request", "rows", np.array(gathered.rows, np.int64)))
    if gathered.cut_of is not None:
        pairs = zip(gathered.parts, gathered.cut_of, strict=True)
        first = [part.start - its.start for part, its in pairs]
        found.append(Named("request", "first", np.array(first, np.int64)))
    if gathered.codes is not None:
        found.append(Named("request", "status", texts(gathered.codes)))
    if any(gathered.principals):
        found.append(Named("request", "principal", texts(gathered.principals)))
    if any(part.whole.table.parameters for part in gathered.parts):
        said = [_json(part.whole.table.parameters) for part in gathered.each]
        found.append(Named("request", "parameters", texts(said)))
    return found


def _json(parameters: Mapping[str, object]) -> str | None:
    if parameters is NO_PARAMETERS or not parameters:
        return None
    return msgspec.json.encode(dict(parameters), enc_hook=repr).decode()


def _outputs(gathered: Gathered) -> list[Named]:
    """What the model gave, one array a name."""
    parts = gathered.parts
    found = []
    for name in parts[0].whole.outputs:
        arrays = [_cut(part.whole.outputs[name], part) for part in parts]
        if _are_rows(arrays, parts):
            found.append(Named("output", name, values_of(_joined(arrays))))
        else:
            stacked = np.stack([_cut(part.whole.outputs[name], part) for part in gathered.each])
            found.append(Named("output", name, values_of(stacked), per_row=False))
    return found


def _cut(array: Array, part: Part) -> Array:
    """The part's rows of an array of the call; one that is the call's only one may have none."""
    if part.start == 0 and part.end == part.whole.n_rows:
        return array
    return array[part.start : part.end]


def _are_rows(arrays: Sequence[Array], parts: Sequence[Part]) -> bool:
    """Whether the first axis of every array is the rows."""
    return all(
        array.shape[:1] == (part.end - part.start,)
        for array, part in zip(arrays, parts, strict=True)
    )


def _joined(arrays: Sequence[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
