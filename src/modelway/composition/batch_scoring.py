"""``modelway batch``: rows scored by several processes into one output, part by part.

What is written lies in ``OUTPUT.parts/`` until all of it is there (``batch/folder.py``); then the
output is made of the parts at once, and they are removed. Rows that go to a table are written to
it as they are answered.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from modelway import __version__
from modelway.backends.text_files import TextJoiner
from modelway.batch.faults import Fault
from modelway.batch.folder import PartsFolder, published, published_new, temporary
from modelway.batch.manifest import Manifest, Options, Over, check_same
from modelway.batch.parts import Done, planned
from modelway.batch.ports import Workers
from modelway.batch.running import Run, Tell
from modelway.bundles.store import Bundle, open_bundle
from modelway.composition.batch_formats import joiner_of, splitter_of
from modelway.composition.batch_order import Order
from modelway.composition.batch_places import (
    TABLE,
    Target,
    form_of,
    inputs_of,
    known_by,
    shown,
    target_of,
    told,
)
from modelway.composition.batch_ray import working_on_ray
from modelway.composition.batch_workers import working
from modelway.composition.referring import reference_in, referred
from modelway.composition.serving import is_bundle
from modelway.domain.errors import (
    InvalidInput,
    MalformedPayload,
    ModelwayError,
    ResumeMismatch,
    SourceNotFound,
    TargetExists,
    TooManyErrors,
    WorkerDied,
)
from modelway.settings import Settings
from modelway.settings.fields import cores

if TYPE_CHECKING:
    from modelway.composition.batch_places import Place

Say = Callable[[str], object]


@dataclass(frozen=True)
class ScoreRequest:
    """What is asked for.

    ``source`` is a path, a pattern or the URL of a table, ``output`` a path or such a URL;
    ``columns`` None keeps all, or only the ``id_column`` where there is one; ``workers`` None is
    one for each core. ``engine`` is local or ray, ``address`` that of Ray's cluster. ``receipt`` is
    a file that says what became of the run as soon as its output is there: where it is there
    already, the run was done, and is not done again.
    """

    model: str
    source: str
    output: str
    id_column: str | None
    columns: tuple[str, ...] | None
    batch_rows: int
    engine: str
    address: str | None
    workers: int | None
    max_errors: int
    errors: Path | None
    resume: bool
    receipt: Path | None = None

    @cached_property
    def target(self) -> Target:
        """Where the rows go. Raises UnsupportedMedia, BadValue, MissingExtra."""
        return target_of(self.output, self.errors)


@dataclass(frozen=True)
class Scored:
    """What became of a run.

    ``rows`` were answered, ``errors`` could not be and are listed in ``errors_file``;
    ``resumed_rows`` of both were done by an earlier run. ``rows_per_s`` is of the others.
    """

    output: str
    rows: int
    errors: int
    errors_file: Path | None
    seconds: float
    rows_per_s: float
    resumed_rows: int


def score_files(request: ScoreRequest, settings: Settings, say: Say, tell: Tell) -> Scored:
    """Score all rows of the files; ``tell`` is told how far it is, at least once a second.

    Raises:
        TargetExists: the output, or parts of it, are there, and nothing is to be gone on with.
        ResumeMismatch: what was begun was begun with something else.
        TooManyErrors: more rows than allowed could not be answered.
        WorkerDied: a worker ended.
        SignatureMismatch: no row can fit.
        ModelwayError: files cannot be read or written, or the model cannot be opened.
    """
    begun = time.monotonic()
    if request.receipt is not None and request.receipt.exists():
        return msgspec.json.decode(request.receipt.read_bytes(), type=Scored, dec_hook=_made)
    scoring = _Scoring(request, settings)
    with _files():
        scoring.check_free()
    bundle = open_bundle(_bundle_folder(request.model, settings, say))
    if not bundle.signature.is_tabular:
        raise InvalidInput(f"{request.model} takes tensors, and a file of rows has none")
    with scoring.folder.held(), scoring.forgotten_if_nothing_is_done():
        # A bundle may have been built meanwhile, and nobody else begins while the folder is held.
        scoring.check_free()
        before, over = scoring.carried_out(bundle, tell)
        scored = _summed(request, before, over.done, time.monotonic() - begun)
        if request.receipt is not None:
            with _writing(request.receipt):
                part = temporary(request.receipt)
                part.write_bytes(msgspec.json.encode(scored, enc_hook=str))
                published(part, request.receipt)
        scoring.folder.remove(over)
    return scored


def _summed(request: ScoreRequest, before: Done, over: Done, seconds: float) -> Scored:
    """What became of a run, of which so much was done before."""
    resumed = before.n_rows + before.n_errors
    return Scored(
        output=shown(request.target.place),
        rows=over.n_rows,
        errors=over.n_errors,
        errors_file=request.target.errors if over.n_errors else None,
        seconds=round(seconds, 3),
        rows_per_s=round((over.n_rows + over.n_errors - resumed) / seconds, 1),
        resumed_rows=resumed,
    )


def _made(kind: type[Path], text: str) -> Path:
    return kind(text)


class _Scoring:
    """One request: its inputs, its folder of parts, and its run."""

    def __init__(self, request: ScoreRequest, settings: Settings) -> None:
        self._request = request
        self._settings = settings
        self._target = request.target
        self._check_target()
        self.folder = PartsFolder(self._target.beside)
        self._places = inputs_of(request.source, self._target)
        self._form = form_of(self._places[0])

    def _check_target(self) -> None:
        target = self._target
        if target.form == TABLE and self._request.id_column is None:
            raise InvalidInput(
                f"rows of {shown(target.place)} must be told apart",
                hint="name a column that does with --id-column: a row that is there already is "
                "brought up to date by it",
            )
        if target.form != TABLE and target.errors.absolute() == target.beside.absolute():
            raise InvalidInput(
                f"{target.beside} is to hold the errors too", hint="give --errors another name"
            )

    def check_free(self) -> None:
        """Do nothing if nothing is in the way; a folder in which nothing is does not count.

        Raises:
            TargetExists: an output is there, or something of another run.
            SourceNotFound: the folder in which it is to be is not.
        """
        for path in self._target.files:
            if not path.resolve().parent.is_dir():
                raise SourceNotFound(str(path.parent))
        if not (self._request.resume or self.folder.is_empty()):
            raise TargetExists(
                f"{self.folder.path} has parts of an earlier run",
                hint="go on with it by --resume, or remove it",
            )
        for path in self._target.files if not self.folder.is_begun() else ():
            if os.path.lexists(path):
                option = "--errors" if path == self._target.errors else "--output"
                raise TargetExists(
                    f"{path} is there already", hint=f"give {option} another name, or remove it"
                )

    @contextlib.contextmanager
    def forgotten_if_nothing_is_done(self) -> Iterator[None]:
        """Leave no folder behind where a run fails before any of its parts is done.

        One that another run may go on with stays.
        """
        try:
            with _files():
                yield
        except (TargetExists, ResumeMismatch, TooManyErrors, WorkerDied):
            raise
        except ModelwayError:
            if not self.folder.has_done():
                self.folder.forget()
            raise

    def carried_out(self, bundle: Bundle, tell: Tell) -> tuple[Done, Over]:
        """Have the output; what was done before, and what became of all.

        Where the output was made before, only its parts are left to be removed.
        """
        wanted, over = self._wanted(bundle), self.folder.over()
        if over is None:
            before, done = self._scored(bundle, wanted, tell)
            return before, Over(done, wanted)
        check_same(over.manifest, wanted, self._target.beside)
        return over.done, over

    def _scored(self, bundle: Bundle, wanted: Manifest, tell: Tell) -> tuple[Done, Done]:
        """Score what is not scored yet and write the output; what was done before, and all."""
        kept = self._kept()
        manifest = self._begun(wanted)
        numbers = [one.number for one in manifest.parts]
        found = {number: self.folder.done(number) for number in numbers}
        done = {number: one for number, one in found.items() if one is not None}
        before = _total(done.values())
        run = Run(manifest.parts, done, self._request.max_errors)
        if run.n_waiting and not run.has_too_many_errors:
            order = Order(
                folder=str(bundle.folder.resolve()),
                inputs=tuple(map(told, self._places)),
                output=told(self._target.place),
                beside=str(self._target.beside),
                manifest=msgspec.structs.replace(manifest, parts=()),
                kept=kept,
                max_errors=self._request.max_errors,
                inference=self._settings.inference,
                allow_pickle=self._settings.bundles.allow_pickle,
                run=uuid.uuid4().hex,
            )
            with self._workers(order, run.n_waiting) as workers:
                run.carry_out(workers, tell)
        self._write_errors(run)
        if run.has_too_many_errors:
            raise self._too_many(run)
        if self._target.form != TABLE:
            self._join([self.folder.rows_of(number) for number in numbers])
        return before, _total(run.done.values())

    def _join(self, rows: Sequence[Path]) -> None:
        """Make the output of its parts."""
        output = self._target.beside
        with _writing(output):
            part = temporary(self.folder.path / "output")
            joiner_of(self._target.form).join(rows, part)
            published_new(part, output)

    def _workers(self, order: Order, n_parts: int) -> contextlib.AbstractContextManager[Workers]:
        request = self._request
        if request.engine == "ray":
            return working_on_ray(order, request.workers, n_parts, request.address)
        return working(order, min(request.workers or cores(), n_parts))

    def _begun(self, wanted: Manifest) -> Manifest:
        """The manifest of the run that was begun, or of one that begins now, with its parts."""
        begun = self.folder.manifest()
        if begun is not None:
            check_same(begun, wanted, self._target.beside)
            self.folder.clean()
            return begun
        splitter = splitter_of(self._form, self._request.id_column)
        parts = tuple(planned(splitter.spans(place) for place in self._places))
        manifest = msgspec.structs.replace(wanted, parts=parts)
        self.folder.begin(manifest)
        return manifest

    def _wanted(self, bundle: Bundle) -> Manifest:
        request = self._request
        options = Options(
            output=self._target.kept_as,
            id_column=request.id_column,
            columns=request.columns,
            batch_rows=request.batch_rows,
            strict=self._settings.inference.strict,
            errors=str(self._target.errors.absolute()),
        )
        inputs = tuple(map(known_by, self._places))
        arrow = version("pyarrow") if "parquet" in (self._form, self._target.form) else ""
        return Manifest(__version__, bundle.digest, options, inputs, pyarrow=arrow)

    def _kept(self) -> tuple[str, ...] | None:
        """The columns that are kept, the id first; None for every key of JSON lines.

        Raises:
            InvalidInput: a file has not all of them, or none has any.
        """
        request, splitter = self._request, splitter_of(self._form, self._request.id_column)
        asked = request.columns
        if request.id_column is not None:
            asked = tuple(dict.fromkeys((request.id_column, *(asked or ()))))
        if self._form == "jsonl" and (asked is not None or self._target.form == "jsonl"):
            return asked
        # Whoever names none means those of all files, so that none is left out unseen.
        there = [splitter.names(place) for place in self._places]
        kept = tuple(dict.fromkeys(chain.from_iterable(there))) if asked is None else asked
        if not kept and self._form == "jsonl":
            raise MalformedPayload(f"{self._request.source} has no line that is a JSON object")
        if self._form != "jsonl":
            for place, names in zip(self._places, there, strict=True):
                self._check_has(place, [name for name in kept if name not in names])
        return kept

    def _check_has(self, place: Place, lacking: Sequence[str]) -> None:
        """Do nothing if an input lacks no column that is kept. Raises InvalidInput."""
        if self._request.id_column in lacking:
            raise InvalidInput(
                f"{shown(place)} has no column {self._request.id_column}, which is to tell rows "
                "apart",
                hint="give --id-column one that it has",
            )
        if lacking:
            raise InvalidInput(
                f"{shown(place)} has no column {', '.join(lacking)}, which is to be kept",
                hint="name the columns to keep with --columns",
            )

    def _write_errors(self, run: Run) -> None:
        """List the rows that could not be answered, where there are some."""
        path = self._target.errors
        if not run.n_errors:
            path.unlink(missing_ok=True)
            return
        errors = [self.folder.errors_of(one.number) for one in run.parts]
        with _writing(path):
            part = temporary(path)
            TextJoiner().join([one for one in errors if one.exists()], part)
            published(part, path)

    def _too_many(self, run: Run) -> TooManyErrors:
        path = self._target.errors
        with path.open("rb") as stream:
            first = msgspec.json.decode(stream.readline(), type=Fault)
        return TooManyErrors(
            f"{_rows(run.n_errors)} cannot be answered, {run.max_errors} may be: {first.message}",
            hint=f"{path} lists them; go on with --resume and a larger --max-errors, or correct "
            f"the input, remove {self.folder.path} and {path}, and begin anew",
        )


@contextlib.contextmanager
def _files() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = error.filename or "a file"
        raise InvalidInput(
            f"{what} cannot be read or written: {error.strerror or error}"
        ) from error


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}") from error


def _bundle_folder(model: str, settings: Settings, say: Say) -> Path:
    """The folder of the bundle that is meant, built first where there is none."""
    if is_bundle(model):
        return Path(model)
    # What builds bundles is large, and scoring with one starts without it.
    from modelway.composition.bundling import BuildRequest, cached

    wanted = BuildRequest(model)
    if reference_in(model) is not None:
        return referred(wanted, settings, say)
    return cached(wanted, settings, say)


def _total(done: Iterable[Done]) -> Done:
    of = list(done)
    return Done(sum(one.n_rows for one in of), sum(one.n_errors for one in of))


def _rows(n: int) -> str:
    return f"{n} row" if n == 1 else f"{n} rows"
