"""What bulk scoring needs of formats and processes; ``composition`` brings both together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import msgspec

from modelway.batch.faults import Fault
from modelway.batch.parts import Done, Part, Span
from modelway.domain.tables import Array
from modelway.inference.validation import Checked, Validator


@runtime_checkable
class ArrowColumn(Protocol):
    """A column of Arrow, for whoever does not know Arrow."""

    def to_pylist(self) -> list[Any]:
        """Its values as Python has them."""
        ...

    def __getitem__(self, places: slice, /) -> ArrowColumn:
        """Some of it, one after the other."""
        ...


Values = Sequence[Any] | Array | ArrowColumn
Columns = Mapping[str, Values]
"""Columns of as many values each, in their order."""


class Rows(Protocol):
    """Some rows of a file, one after the other.

    Rows that cannot be read are not among them, they are ``damaged``.
    """

    @property
    def numbers(self) -> Sequence[int]:
        """The number of each row in its file, counted from 1; damaged rows are counted too."""
        ...

    @property
    def damaged(self) -> Sequence[Fault]:
        """What cannot be read between them, in order."""
        ...

    def check(self, validator: Validator) -> Checked:
        """The rows as a table of the model's own columns. Raises SignatureMismatch."""
        ...

    def picked(self, places: Sequence[int]) -> Rows:
        """The rows at these places, counted from 0, without damaged ones."""
        ...

    def kept(self) -> Columns:
        """The columns that are written again."""
        ...

    def fault(self, place: int) -> Fault:
        """A fault without problems for the row at this place, with its values as they came."""
        ...


Place = TypeVar("Place", contravariant=True)
"""Where rows are: the path of a file, or a table of a database."""


class Splitter(Protocol[Place]):
    """Divides inputs of one format."""

    def names(self, place: Place, /) -> Sequence[str]:
        """The columns of an input. Raises MalformedPayload."""
        ...

    def spans(self, place: Place, /) -> Iterator[Span]:
        """The input, divided; in order, all of it, once. Raises MalformedPayload."""
        ...


class Reader(Protocol[Place]):
    """Reads inputs of one format. Whatever the spans, it gives the same rows, in order."""

    def read(self, place: Place, span: Span, batch_rows: int, /) -> Iterator[Rows]:
        """The rows of a span, about ``batch_rows`` at a time.

        Raises:
            MalformedPayload: they cannot be read.
            Conflict: they are not those that were there when the input was divided.
        """
        ...


class Writer(Protocol):
    """Writes one part of an output."""

    def write(self, columns: Columns) -> None:
        """Some rows more; the same columns each time.

        Raises:
            InvalidInput: one of them cannot be written, so that none was.
        """
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


class Joiner(Protocol):
    """Makes one output of its parts."""

    def join(self, parts: Sequence[Path], output: Path) -> None:
        """Write ``output``, which has the rows of all parts in their order."""
        ...


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """A worker has opened the model and waits for a part."""


class Advanced(msgspec.Struct, frozen=True, tag="advanced"):
    """A worker has dealt with so many rows more, answered or not."""

    n_rows: int


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """A worker has written a part, and waits for the next."""

    part: int
    done: Done


class Exceeded(msgspec.Struct, frozen=True, tag="exceeded"):
    """A worker has left a part, in which alone more rows cannot be answered than are allowed."""

    part: int
    n_errors: int


Report = Ready | Advanced | Finished | Exceeded


class Workers(Protocol):
    """Processes that score parts, one part a worker at a time."""

    def give(self, worker: int, part: Part) -> None:
        """Have a worker that waits score a part."""
        ...

    def dismiss(self, worker: int) -> None:
        """End a worker that waits."""
        ...

    def reports(self, timeout_s: float) -> Sequence[tuple[int, Report]]:
        """What workers said, and which, as soon as one says anything or the time is over.

        Raises:
            WorkerDied: one has ended that was not dismissed.
            ModelwayError: one cannot go on.
        """
        ...
