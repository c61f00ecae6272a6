"""Requests that wait for one model, and how several of them are answered in one go.

Two ways are right. Requests to a model that answers a row alike alone and among others are merged:
one table of all their rows, one call, the outputs cut apart again. Requests to any other model are
only gathered: asked one after the other on one thread, which is woken once for all of them.

Only what may lie in one table is merged: the key of a request says what its arrays are made of.
Nothing here knows of an event loop or a thread; times are given by the caller.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import msgspec
import numpy as np

from modelway.domain.errors import ModelCrashed, ModelwayError, PredictFailed, QueueFull
from modelway.domain.inference import Outputs
from modelway.domain.parts import Part, Whole
from modelway.domain.signature import Datatype, Signature
from modelway.domain.tables import Array, Table, concatenate

Key = tuple[object, ...]
"""What two requests must share to be merged."""


class Ticket(Protocol):
    """Where an answer goes, as a future is."""

    def done(self) -> bool:
        """Whether nobody waits for the answer any more."""
        ...


Future = TypeVar("Future", bound=Ticket)

_TEXT_BYTES = 64
"""What one text is counted as; adding up their real lengths would take longer than it is worth."""


@dataclass(slots=True, eq=False)
class Pending(Generic[Future]):
    """A request that waits for its answer.

    ``arrived`` is a time of ``time.perf_counter``, ``future`` where the answer goes.
    """

    table: Table
    key: Key
    future: Future
    arrived: float
    units: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much goes together: requests, units (rows or elements), bytes of input.

    The first request goes whatever its size.
    """

    requests: int
    units: int
    n_bytes: int


class Waiting(Generic[Future]):
    """The requests that wait, in the order they came; at most ``most`` of them."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._n = 0
        self._by_key: dict[Key, OrderedDict[Pending[Future], None]] = {}

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[Pending[Future]]:
        """Every request that waits."""
        return (one for same in self._by_key.values() for one in same)

    def add(self, pending: Pending[Future]) -> None:
        """Let the request wait. Raises QueueFull."""
        if self._n >= self._most:
            raise QueueFull(f"{self._n} requests wait for the model {self._name} already")
        self._by_key.setdefault(pending.key, OrderedDict())[pending] = None
        self._n += 1

    def drop(self, pending: Pending[Future]) -> None:
        """Let the request wait no longer; one that does not wait is left as it is."""
        same = self._by_key.get(pending.key)
        if same is None or pending not in same:
            return
        del same[pending]
        self._n -= 1
        if not same:
            del self._by_key[pending.key]

    def oldest(self) -> Pending[Future] | None:
        """The request that came first; None where nothing waits."""
        if not self._by_key:
            return None
        return min((next(iter(same)) for same in self._by_key.values()), key=_arrived)

    def is_full(self, bounds: Bounds) -> bool:
        """Whether as much as goes together within the bounds waits, like the oldest."""
        oldest = self.oldest()
        if oldest is None:
            return False
        same = self._by_key[oldest.key]
        units = size = 0
        for one in same:
            units += one.units
            size += one.n_bytes
        return units >= bounds.units or size >= bounds.n_bytes or len(same) >= bounds.requests

    def take(self, bounds: Bounds) -> list[Pending[Future]]:
        """Take out the oldest request and those like it that came next, within the bounds."""
        oldest = self.oldest()
        if oldest is None:
            return []
        taken = _fitting(self._by_key[oldest.key], bounds)
        for one in taken:
            self.drop(one)
        return taken


def _arrived(pending: Pending[Future]) -> float:
    return pending.arrived


def _fitting(same: Mapping[Pending[Future], None], bounds: Bounds) -> list[Pending[Future]]:
    """The first requests as far as they fit; a later one never overtakes one that does not."""
    taken: list[Pending[Future]] = []
    units = size = 0
    for one in same:
        units += one.units
        size += one.n_bytes
        if taken and (
            len(taken) == bounds.requests or units > bounds.units or size > bounds.n_bytes
        ):
            break
        taken.append(one)
    return taken


class Measure:
    """Keys and sizes of the tables of one signature."""

    def __init__(self, signature: Signature) -> None:
        self._is_numeric = signature.is_numeric
        self._is_tabular = signature.is_tabular
        self._gaps = [
            i
            for i, column in enumerate(signature.columns)
            if column.nullable and column.datatype is Datatype.BOOL
        ]

    def key(self, table: Table) -> Key:
        """What the table's arrays are made of, and the parameters beside them.

        A Boolean column without a gap is another type in a DataFrame than one with a gap, so the
        two are told apart. Parameters that have no bytes of their own share a key with nobody.
        """
        said: object = b""
        if table.parameters:
            try:
                said = msgspec.msgpack.encode(table.parameters, order="sorted")
            except (TypeError, ValueError, OverflowError):
                said = object()
        gaps = self.gaps(table)
        if self._is_numeric:
            return (said, gaps)
        return (said, gaps, *((array.dtype.str, array.shape[1:]) for array in table.arrays))

    def gaps(self, table: Table) -> tuple[bool, ...]:
        """Whether each Boolean column that may have gaps has one."""
        return tuple(bool(np.isnan(table.arrays[i]).any()) for i in self._gaps)

    def units(self, table: Table) -> int:
        """Its size as a model's cost counts it: rows or, of tensors, elements."""
        if self._is_tabular:
            return table.n_rows
        return sum(array.size for array in table.arrays)

    def n_bytes(self, table: Table) -> int:
        """About how many bytes its values take."""
        if self._is_numeric:
            return table.matrix.nbytes
        return sum(_array_bytes(array) for array in table.arrays)


def _array_bytes(array: Array) -> int:
    return array.size * _TEXT_BYTES if array.dtype == object else array.nbytes


Predict = Callable[[Table], Outputs]
"""Answers a table; raises a ModelwayError for what it cannot."""

Answer = Outputs | ModelwayError
"""What becomes of one request."""


def answers_merged(tables: Sequence[Table], predict: Predict) -> list[Answer]:
    """An answer for each table, from one call where that succeeds.

    Where it fails the tables are halved, until only the culprits fail. When the process of a model
    dies, all whose answer it was to give have lost it.
    """
    try:
        if len(tables) == 1:
            return [predict(tables[0])]
        joined = concatenate(tables)
        return _cut(Whole(joined, predict(joined)), tables)
    except ModelCrashed as error:
        return [error, *(ModelCrashed(error.message, hint=error.hint) for _ in tables[1:])]
    except Exception as error:  # noqa: BLE001 - joining and cutting count as the batch's fault
        if len(tables) == 1:
            return [_ours(error)]
    half = len(tables) // 2
    return [*answers_merged(tables[:half], predict), *answers_merged(tables[half:], predict)]


def _ours(error: Exception) -> ModelwayError:
    if isinstance(error, ModelwayError):
        return error
    return PredictFailed(f"a batch could not be answered: {error!r}")


def _cut(whole: Whole, tables: Sequence[Table]) -> list[Answer]:
    """Each table's own rows of the outputs."""
    parts: list[Answer] = []
    start = 0
    for table in tables:
        end = start + table.n_rows
        parts.append(Part(whole, start, end))
        start = end
    return parts


@dataclass(slots=True, eq=False)
class Batch(Generic[Future]):
    """Requests that one runner answers in one go, and what came of it.

    ``answers`` has one for each request, None for one that nobody waits for any more. ``took`` are
    units and seconds of each call of the model that succeeded.
    """

    requests: Sequence[Pending[Future]]
    answers: list[Answer | None] = field(default_factory=list)
    took: list[tuple[int, float]] = field(default_factory=list)

    @property
    def is_answered(self) -> bool:
        """Whether every request has what becomes of it."""
        return len(self.answers) == len(self.requests)

    def answer(self, predict: Predict, clock: Callable[[], float], *, merged: bool) -> None:
        """Answer every request, in one call where ``merged``, else each for itself."""
        if merged:
            started = clock()
            self.answers.extend(answers_merged([one.table for one in self.requests], predict))
            self._learn(sum(one.units for one in self.requests), clock() - started, self.answers)
            return
        for one in self.requests:
            if one.future.done():
                self.answers.append(None)
                continue
            started = clock()
            answers = answers_merged([one.table], predict)
            self.answers.extend(answers)
            self._learn(one.units, clock() - started, answers)

    def fail(self, error: ModelwayError) -> None:
        """Give ``error`` to every request that has no answer yet."""
        self.answers.extend([error] * (len(self.requests) - len(self.answers)))

    def _learn(self, units: int, seconds: float, answers: Sequence[Answer | None]) -> None:
        # A call that failed says nothing of what an answer costs.
        if not any(isinstance(answer, ModelwayError) for answer in answers):
            self.took.append((units, seconds))
