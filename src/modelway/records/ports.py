"""What is asked of others about records and labels: who counts, reads and keeps them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

from modelway.records.labels import Label

ExportFormat = Literal["parquet", "csv", "jsonl"]


class RecordMeter(Protocol):
    """Who counts what is recorded, in requests; must neither block nor raise.

    It is called by the event loop and by a thread.
    """

    def recorded(self, n: int) -> None:
        """The records of so many requests were written."""
        ...

    def shed(self, n: int) -> None:
        """The records of so many requests found no room, in memory or on the disk."""
        ...

    def failed(self, reason: str) -> None:
        """Records could not be written: ``disk`` or ``internal``."""
        ...


@dataclass(frozen=True, slots=True)
class Answers:
    """What a query gave: the names of its columns, and its rows; more rows where ``truncated``."""

    columns: Sequence[str]
    rows: Sequence[tuple[Any, ...]]
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many rows of an endpoint, of one age, were predicted and how many of them are labelled.

    ``age`` is ``<1h``, ``<1d``, ``<7d`` or ``older``. Shadows and failures do not count.
    """

    endpoint: str
    age: str
    predicted: int
    labelled: int

    @property
    def share(self) -> float:
        """The labelled part, 0 to 1."""
        return self.labelled / self.predicted if self.predicted else 0.0


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one round of sealing did; ``torn`` counts stretches of segments that were no frame."""

    segments: int = 0
    records: int = 0
    torn: int = 0


@dataclass(frozen=True, slots=True)
class Erased:
    """How many records were removed, and of which predictions."""

    records: int = 0
    prediction_ids: Sequence[str] = ()


Forget = Callable[[Sequence[str]], object]
"""Who is told of which predictions records are removed, before they are."""


class RecordReader(Protocol):
    """Records as they are now, those not sealed yet among them; nothing is changed.

    ``query`` answers one SELECT over the views ``predictions`` (a record a row, of all endpoints;
    inputs and outputs as JSON), one a endpoint under its name (inputs and outputs as structs),
    ``labels`` (the newest revision) and ``labelled`` (predictions with their labels). The statement
    can neither read nor write anything else.
    ``show`` are all records of a prediction, those of its shadows among them, by row; ``columns``
    says what became of each column of the signature.
    ``export`` writes what a query gives, or all predictions, to a file that is not there yet.
    ``coverage`` counts rows that were answered by others than shadows, and the labelled of them.
    """

    def query(self, sql: str, *, most_rows: int | None = None) -> Answers:
        """What a SELECT gives. Raises InvalidInput."""
        ...

    def show(self, prediction_id: str) -> Sequence[Mapping[str, Any]]:
        """Every record of a prediction. Raises PredictionNotFound."""
        ...

    def export(self, path: Path, sql: str | None, form: ExportFormat) -> int:
        """Write a file; gives its rows. Raises InvalidInput, TargetExists."""
        ...

    def coverage(self) -> Sequence[Coverage]:
        """The labelled part by endpoint and age."""
        ...


class RecordKeeper(Protocol):
    """Who seals, merges and removes records; one does at a time, wherever it runs.

    ``seal_once`` seals the segments that nobody writes; no record is lost or doubled, wherever it
    is interrupted.
    ``send`` moves what is sealed to where records are kept, if that is elsewhere; gives how many
    files. While it is away they stay, and are read, here.
    ``compact`` merges the files of every day before one, likewise.
    ``retain`` removes what is older than ``age``, and then the oldest files until the rest has
    ``n_bytes``; gives how many files.
    ``erase`` removes every record with a value in a column (of the inputs, or ``principal`` or
    ``prediction_id``), what is not sealed yet among them; a hashed column is found by the value.
    What ``forget`` raises keeps the records that it was told of, so that they are found again.
    """

    def seal_once(self) -> Sealed:
        """Seal what nobody writes."""
        ...

    def send(self) -> int:
        """Move sealed files to where records are kept. Raises Unavailable."""
        ...

    def compact(self, before: date) -> int:
        """Merge small files of past days; gives how many were merged away."""
        ...

    def retain(self, age: timedelta | None, n_bytes: int | None) -> int:
        """Remove what is too old or too much."""
        ...

    def erase(self, column: str, value: str | float | bool, forget: Forget) -> Erased:
        """Remove a person's records. Raises InvalidInput, Unavailable."""
        ...


class LabelStore(Protocol):
    """Labels, added to and never changed.

    ``add`` gives each its revision: the next of its prediction's row. Nothing is asked about the
    prediction, which may be recorded later. The same value from the same source again adds nothing.
    ``of`` are all revisions for some predictions, ``since`` the newest revision of every row that
    was received from a time on, in the order in which they were received.
    """

    def add(self, labels: Sequence[Label]) -> Sequence[Label]:
        """Store labels; gives them with their revisions."""
        ...

    def of(self, prediction_ids: Sequence[str]) -> Sequence[Label]:
        """Every label of some predictions."""
        ...

    def since(self, received_at: datetime) -> Iterator[Label]:
        """What was received from a time on."""
        ...

    def erase(self, prediction_ids: Sequence[str]) -> int:
        """Remove the labels of some predictions for good; gives how many there were."""
        ...
