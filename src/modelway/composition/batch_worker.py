"""A worker of bulk scoring: it opens one bundle, and scores the parts that it is told.

``python -m modelway.composition.batch_worker DESCRIPTOR PARENT`` inherits its end of a socket pair
as the file descriptor; PARENT is the id of the process that started it. It ends when the other end
is closed, and at once when its parent dies. What the model prints goes to standard error.
"""

from __future__ import annotations

import os
import socket
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from modelway.batch.faults import Fault, lines_of
from modelway.batch.folder import PartsFolder
from modelway.batch.manifest import Fingerprint, check_unchanged
from modelway.batch.parts import Done, Part
from modelway.batch.ports import Advanced, Columns, Exceeded, Finished, Ready, Writer
from modelway.batch.scoring import Model, Score, refuse_clash
from modelway.composition.batch_formats import kept_types, reader_of, table_writer_of, writer_of
from modelway.composition.batch_order import Failed, Order, Said, encode, parts_told
from modelway.composition.batch_places import TABLE, form_of, place_of
from modelway.composition.frameworks import open_runtime
from modelway.composition.process_groups import end_with
from modelway.domain.errors import InvalidInput, ModelwayError
from modelway.domain.inference import InferenceResponse, Outputs
from modelway.inference.loading import LoadedModel, load_model
from modelway.inference.samples import sample_table
from modelway.rest.encoding import AnswerEncoder

_SAID_S = 0.1
"""How often is said how far a part is: each time wakes who waits."""


def main() -> None:
    """Score until the other end is closed."""
    end_with(int(sys.argv[2]))
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        stream = connection.makefile("rb")

        def say(what: Said) -> None:
            connection.sendall(encode(what) + b"\n")

        try:
            scorer = PartScorer(msgspec.json.decode(stream.readline(), type=Order))
            say(Ready())
            for part in parts_told(iter(stream)):
                for report in scorer.score(part):
                    say(report)
        except ModelwayError as error:
            say(Failed(error.code, error.message, error.hint))
        except OSError as error:
            say(Failed(InvalidInput.code, f"a file cannot be read or written: {error}"))
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            traceback.print_exc()
            say(Failed(ModelwayError.code, f"a worker failed: {error!r}"))
    sys.stderr.flush()
    # What a model has started (threads, exit functions) must not keep the process.
    os._exit(0)


class PartScorer:
    """An open bundle, and the places that it reads and writes."""

    def __init__(self, order: Order) -> None:
        """Open the bundle. Raises ModelwayError, as whatever cannot be opened does."""
        manifest = order.manifest
        self._order, self._id = order, manifest.options.id_column
        self._folder = PartsFolder(Path(order.beside), order.run)
        self._places = [place_of(one) for one in order.inputs]
        opened = partial(open_runtime, allow_pickle=order.allow_pickle)
        model = load_model("batch", Path(order.folder), opened, order.inference)
        answers = _Answers(model)
        output = place_of(order.output)
        form, written = form_of(self._places[0]), form_of(output)
        needed = self._id if written == TABLE else None
        self._model = Model(model.validator, model.execution.predict, answers, needed)
        sample = answers(model.execution.predict(sample_table(model.bundle.signature)), 1)
        refuse_clash(order.kept or (), sample)
        types = kept_types(self._places, order.kept or (), model.signature)
        typed = written != "csv"
        is_all = manifest.options.columns is None and self._id is None
        self._reader = reader_of(
            *(form, model.signature, order.kept, self._id), typed=typed, is_all=is_all
        )
        self._table: Writer | None = None
        if isinstance(output, Path):
            self._begin = writer_of(written, types, sample)
        else:
            self._table = table_writer_of(output, str(self._id), types, sample)

    def score(self, part: Part) -> Iterator[Advanced | Finished | Exceeded]:
        """Score a part, and have it be done where not too many of its rows fail."""
        number, known = part.number, self._order.manifest.inputs[part.file]
        rows_path, errors_path = self._folder.begun(number)
        score = Score(self._model, self._order.max_errors)
        writer = self._table or self._begin(rows_path, number == 0)
        place, batch_rows = self._places[part.file], self._order.manifest.options.batch_rows
        unsaid, said_at = 0, time.monotonic()
        # A part may be nothing but rows that fail, so their faults are not kept in memory.
        with errors_path.open("wb") as errors:
            for rows in self._reader.read(place, part.span, batch_rows):
                errors.write(lines_of(self._told(score.write(rows, writer), known.path)))
                unsaid += len(rows.numbers) + len(rows.damaged)
                if time.monotonic() - said_at >= _SAID_S:
                    yield Advanced(unsaid)
                    unsaid, said_at = 0, time.monotonic()
                if score.is_exceeded:
                    break
        yield Advanced(unsaid)
        writer.close()
        if isinstance(known, Fingerprint):
            check_unchanged(known)
        if score.is_exceeded:
            self._folder.leave(number)
            yield Exceeded(number, score.n_errors)
            return
        done = Done(score.n_rows, score.n_errors)
        self._folder.finish(number, done, has_rows=self._table is None)
        yield Finished(number, done)

    def _told(self, faults: Sequence[Fault], name: str) -> Iterator[Fault]:
        """The faults with their input and their id."""
        for fault in faults:
            known_as = None if self._id is None else fault.values.get(self._id)
            yield msgspec.structs.replace(fault, file=name, id=known_as)


class _Answers:
    """Outputs as the columns that a service answers with, without ids and warnings."""

    def __init__(self, model: LoadedModel) -> None:
        self._classes = model.manifest.classes
        self._columns = AnswerEncoder(model.bundle).columns

    def __call__(self, outputs: Outputs, n_rows: int) -> Columns:
        response = InferenceResponse("", "", "", outputs, n_rows, classes=self._classes)
        found: dict[str, Any] = dict(self._columns(response))
        return {name: values for name, values in found.items() if name not in _OF_REQUESTS}


_OF_REQUESTS = frozenset(("prediction_id", "warnings"))


if __name__ == "__main__":
    main()
