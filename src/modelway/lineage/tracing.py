"""A trace: the chain from one answer back to the commits, the data and the people behind it.

    prediction -> endpoint and role -> version -> bundle -> registry -> run -> origin
                                   \\-> the promotion and the revision that put it there

Only an unknown prediction is an error. What is missing of the chain otherwise (the registry is
away, a version was deleted, nobody promoted it) is said in the trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modelway.bundles.record import Record
from modelway.domain.errors import InvalidName, ModelwayError, PredictionNotFound
from modelway.domain.references import ModelReference, parse_reference
from modelway.domain.tables import Array
from modelway.endpoints.endpoint import Endpoint, Revision, Role
from modelway.endpoints.ports import EndpointStore
from modelway.lineage.origin import Origin, origin_of
from modelway.lineage.ports import Predictions, Recorded
from modelway.registry.models import ModelVersion, Run
from modelway.registry.ports import Ledger, RegistryReader
from modelway.registry.promotions import Kind, Promotion


@dataclass(frozen=True, slots=True)
class Placement:
    """How a version came to have its role: ``reference`` is what the endpoint named.

    ``revision`` is the one by which the endpoint came to name it. ``promotion`` is the move that
    brought the alias there, None where the reference is a version itself.
    """

    reference: str
    revision: Revision
    promotion: Promotion | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """The chain behind a prediction, of Python's own values; None is what is not known.

    ``row`` is the row that was asked for, counted from 0; None for all. ``inputs`` are None where
    a column was dropped or hashed. ``missing`` says, a sentence each, what of the chain is not here
    and why.
    """

    prediction_id: str
    row: int | None
    endpoint: str
    role: str
    at: datetime
    status: str
    n_rows: int
    inputs: Mapping[str, Sequence[Any] | None]
    outputs: Mapping[str, Sequence[Any]] | None
    model: str | None
    version: str | None
    digest: str | None
    bundle: Record | None
    registered: ModelVersion | None
    run: Run | None
    origin: Origin | None
    placement: Placement | None
    missing: tuple[str, ...]


def recorded_of(
    predictions: Predictions, prediction_id: str, endpoint: str | None = None
) -> tuple[Recorded, int | None]:
    """The prediction of an id, and the row that is meant: None for all; ``ID:k`` is row k.

    A caller's own id may end so too: it goes first. An id is one prediction's of an ``endpoint``.

    Raises:
        PredictionNotFound: there is no such prediction, or it has no such row.
        InvalidInput: several endpoints have one of that id, and none of them is named.
    """
    try:
        return predictions.find(prediction_id, endpoint), None
    except PredictionNotFound:
        whole, colon, row = prediction_id.rpartition(":")
        if not colon or not (row.isascii() and row.isdigit()):
            raise
    try:
        found = predictions.find(whole, endpoint)
    except PredictionNotFound:
        raise PredictionNotFound(prediction_id, endpoint) from None
    if int(row) >= found.n_rows:
        raise PredictionNotFound(prediction_id, endpoint)
    return found, int(row)


class Tracing:
    """Traces predictions; ``bundle`` gives the record of a digest's bundle, None if it is not here.

    Used by one thread at a time; the registry is asked, so it may block.
    """

    def __init__(
        self,
        predictions: Predictions,
        endpoints: EndpointStore,
        ledger: Ledger,
        registry: RegistryReader,
        bundle: Callable[[str], Record | None],
    ) -> None:
        self._predictions = predictions
        self._endpoints = endpoints
        self._ledger = ledger
        self._registry = registry
        self._bundle = bundle

    def trace(self, prediction_id: str, endpoint: str | None = None) -> Trace:
        """The chain behind a prediction, or behind row k of it for ``ID:k``.

        Raises:
            PredictionNotFound: no record, of the ``endpoint`` if one is named, has this id.
            InvalidInput: several endpoints have one of that id, and none of them is named.
        """
        recorded, row = recorded_of(self._predictions, prediction_id, endpoint)
        missing: list[str] = []
        registered = self._registered(recorded, missing)
        run = self._run(registered, missing)
        origin = _origin(registered, run, missing)
        rows = slice(None) if row is None else slice(row, row + 1)
        outputs = recorded.outputs
        return Trace(
            prediction_id=recorded.prediction_id,
            row=row,
            endpoint=recorded.endpoint,
            role=recorded.role,
            at=recorded.at,
            status=recorded.status,
            n_rows=recorded.n_rows,
            inputs={name: _plain(one, rows) for name, one in recorded.inputs.items()},
            outputs=None
            if outputs is None
            else {name: _values(one[rows]) for name, one in outputs.items()},
            model=recorded.model,
            version=recorded.version,
            digest=recorded.digest,
            bundle=self._opened(recorded, missing),
            registered=registered,
            run=run,
            origin=origin,
            placement=self._placement(recorded, missing),
            missing=tuple(missing),
        )

    def _opened(self, recorded: Recorded, missing: list[str]) -> Record | None:
        if recorded.digest is None:
            missing.append("no bundle answered")
            return None
        try:
            found = self._bundle(recorded.digest)
        except ModelwayError as error:
            missing.append(f"the bundle {recorded.digest} cannot be read: {error.message}")
            return None
        if found is None:
            missing.append(f"the bundle {recorded.digest} is not here any more")
        return found

    def _registered(self, recorded: Recorded, missing: list[str]) -> ModelVersion | None:
        if not _is_registered(recorded):
            missing.append("what answered was never registered: there is no run and no origin")
            return None
        try:
            return self._registry.version(recorded.model or "", recorded.version or "")
        except ModelwayError as error:
            missing.append(f"{recorded.model}:{recorded.version} in the registry: {error.message}")
            return None

    def _run(self, registered: ModelVersion | None, missing: list[str]) -> Run | None:
        if registered is None:
            return None
        if not registered.run_id:
            missing.append(f"{registered.name}:{registered.version} came from no run")
            return None
        try:
            return self._registry.run(registered.run_id)
        except ModelwayError as error:
            missing.append(f"the run {registered.run_id}: {error.message}")
            return None

    def _placement(self, recorded: Recorded, missing: list[str]) -> Placement | None:
        if not _is_registered(recorded):
            return None
        revisions = [
            one for one in self._endpoints.history(recorded.endpoint) if one.at <= recorded.at
        ]
        for place in range(len(revisions) - 1, -1, -1):
            for reference in _references(revisions[place].endpoint, recorded.role):
                fits, promotion = self._means(reference, recorded)
                if fits:
                    return Placement(reference, _first(revisions, place, recorded.role), promotion)
        missing.append(
            f"nothing is entered that made {recorded.model}:{recorded.version} the {recorded.role} "
            f"version of {recorded.endpoint} before {recorded.at.isoformat(timespec='seconds')}"
        )
        return None

    def _means(self, text: str, recorded: Recorded) -> tuple[bool, Promotion | None]:
        """Whether a reference meant the version that answered; and the move that made it so.

        Workers follow a moved alias within seconds, so it may have been moved on already: the
        latest move to this version counts.
        """
        reference = _reference(text)
        if reference is None or reference.name != recorded.model:
            return False, None
        if reference.alias is None:
            return reference.version == recorded.version, None
        moves = [
            one
            for one in self._ledger.history(reference.name, reference.alias)
            if one.at <= recorded.at
            and one.to_version == recorded.version
            and one.kind is not Kind.REFUSED
        ]
        return bool(moves), moves[-1] if moves else None


def _is_registered(recorded: Recorded) -> bool:
    return bool(recorded.model and recorded.version) and not (recorded.version or "").startswith(
        "sha256:"
    )


def _origin(registered: ModelVersion | None, run: Run | None, missing: list[str]) -> Origin | None:
    """What the version's tags tell, and where they do not, those of its run."""
    if registered is None:
        return None
    found = origin_of({**(run.tags if run else {}), **registered.tags})
    if found == Origin():
        missing.append(
            f"nothing was noted of where {registered.name}:{registered.version} comes from"
        )
        return None
    return found


def _references(endpoint: Endpoint | None, role: str) -> Sequence[str]:
    """What an endpoint names in a role."""
    if endpoint is None:
        return ()
    if role == Role.CANARY:
        return [one.reference for one in endpoint.canaries]
    return endpoint.shadows if role == Role.SHADOW else (endpoint.live,)


def _first(revisions: Sequence[Revision], place: int, role: str) -> Revision:
    """The revision from which on, up to that at ``place``, the endpoint named the same."""
    named = set(_references(revisions[place].endpoint, role))
    while place and named & set(_references(revisions[place - 1].endpoint, role)):
        place -= 1
    return revisions[place]


def _reference(text: str) -> ModelReference | None:
    try:
        found = parse_reference(text)
    except InvalidName:
        return None
    return found if isinstance(found, ModelReference) else None


def _plain(values: Array | None, rows: slice) -> Sequence[Any] | None:
    return None if values is None else _values(values[rows])


def _values(values: Array) -> Sequence[Any]:
    """Python's own values; times as text, which JSON holds too."""
    plain: Sequence[Any] = (values.astype(str) if values.dtype.kind == "M" else values).tolist()
    return plain
