"""A flush: what was told, sorted by layout and made into frames."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

import numpy as np

from modelway.domain.errors import ModelwayError
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.inference import InferenceRequest, InferenceResponse, Outputs
from modelway.records.gathered import Framing, Gathered, Layouts, Parts, Run
from modelway.records.identity import Identify, Identity
from modelway.records.policy import RecordingPolicy

Answered: TypeAlias = tuple[InferenceRequest, InferenceResponse, float]

FailedEntry: TypeAlias = tuple[int, InferenceRequest, str, float, str | None, int]
"""When it was told (ns since 1970), the request, the error's code, seconds, the version that failed
if one was asked, bytes it holds."""

_FRAME_CELLS = 16_384
_PAUSE_S = 0.0002

_log = logging.getLogger("modelway.records")


class Told:
    """Answers of one version as they were told, without the requests and responses themselves.

    Those end with the turn that made them, while they are in the core's cache; what waits for its
    frame is a few lists. ``at`` is in ns since 1970, ``n_bytes`` about what it holds. Several rows
    of one call, one a request and next to each other, are a ``run`` of its outputs: those, and
    the first row; ``outputs`` is empty then.
    """

    __slots__ = (
        *("at", "endpoint", "ids", "n_bytes", "outputs", "principals", "run", "seconds"),
        *("tables", "version"),
    )

    def __init__(self, at: int, answered: Sequence[Answered], n_bytes: int) -> None:
        first = answered[0][1]
        self.at = at
        self.n_bytes = n_bytes
        self.endpoint = first.endpoint
        self.version = first.version
        self.tables = [request.table for request, _, _ in answered]
        self.principals = [request.principal for request, _, _ in answered]
        self.ids = [response.prediction_id for _, response, _ in answered]
        self.run = _run_of(answered)
        self.outputs: Sequence[Outputs] = (
            [response.outputs for _, response, _ in answered] if self.run is None else ()
        )
        self.seconds = [seconds for _, _, seconds in answered]

    def only(self, place: int) -> Told:
        """One of the answers."""
        one = object.__new__(Told)
        one.at, one.n_bytes = self.at, 0
        one.endpoint, one.version = self.endpoint, self.version
        one.tables, one.principals = [self.tables[place]], [self.principals[place]]
        one.ids, one.outputs, one.run = [self.ids[place]], [self.outputs[place]], None
        one.seconds = [self.seconds[place]]
        return one


class Outlet(Protocol):
    """Where frames go, and what is said of requests of which none could be made."""

    def append(self, frame: bytes, n_requests: int, n_rows: int) -> None:
        """Write a frame of so many requests and rows."""
        ...

    def lost(self, n_requests: int) -> None:
        """No frame could be made of so many requests."""
        ...


class Flush:
    """Makes frames of what was told; used by one thread.

    Where it ``is_patient`` it lets other threads go on between the frames of a large request.
    """

    def __init__(
        self,
        outlet: Outlet,
        identify: Identify,
        policy: RecordingPolicy,
        *,
        is_patient: bool = False,
    ) -> None:
        self._outlet = outlet
        self._identify = identify
        self._policy = policy
        self._pause_s = _PAUSE_S if is_patient else 0.0
        self._framing = Framing(policy.key)
        self._layouts = Layouts()

    def answered(self, entries: Sequence[Told]) -> None:
        """Write the records of requests that were answered."""
        groups: dict[tuple[object, ...], list[Told]] = {}
        for one in _of_one_layout(entries):
            try:
                key = self._key(one)
            except Exception:  # noqa: BLE001 - one strange output must not cost the records of others
                self._lost(len(one.ids), one.endpoint)
            else:
                groups.setdefault(key, []).append(one)
        for same in groups.values():
            self._write(same[0].endpoint, same[0].version, _gathered(same))

    def failed(self, entries: Sequence[FailedEntry]) -> None:
        """Write the records of requests that were not."""
        groups: dict[tuple[object, ...], list[FailedEntry]] = {}
        for entry in entries:
            _, request, _, _, version, _ = entry
            table = request.table
            layout = self._layouts.of_table(table)
            key = (request.endpoint, version, id(table.signature), layout)
            groups.setdefault(key, []).append(entry)
        for same in groups.values():
            gathered = Gathered(
                [request.prediction_id or new_prediction_id() for _, request, *_ in same],
                [request.table for _, request, *_ in same],
                [request.principal for _, request, *_ in same],
                [seconds for _, _, _, seconds, _, _ in same],
                np.array([told_at for told_at, *_ in same], np.int64) // 1000,
                codes=[code for _, _, code, *_ in same],
            )
            self._write(same[0][1].endpoint, same[0][4], gathered)

    def _write(self, endpoint: str, version: str | None, gathered: Gathered) -> None:
        policy = self._policy.of(endpoint)
        n = len(gathered.ids)
        if policy.sampling_rate < 1.0:
            kept = [k for k, one in enumerate(gathered.ids) if policy.keeps(one)]
            if not kept:
                return
            gathered, n = gathered.only(kept), len(kept)
        identity = self._identity(endpoint, version)
        recorded_at = time.time_ns() // 1000
        left = n
        try:
            for place, piece in enumerate(_pieces(gathered)):
                if place and self._pause_s:
                    time.sleep(self._pause_s)
                frame = self._framing.frame(endpoint, piece, identity, policy, recorded_at)
                # A request in several pieces counts with the first of them.
                its = min(left, len(piece.ids))
                self._outlet.append(frame, its, sum([table.n_rows for table in piece.tables]))
                left -= its
        except Exception:  # noqa: BLE001 - one strange output must not cost the records of others
            self._lost(left, endpoint)

    def _key(self, told: Told) -> tuple[object, ...]:
        """What requests must share to be in one frame."""
        table = told.tables[0]
        return (
            told.endpoint,
            told.version,
            id(table.signature),
            self._layouts.of_table(table),
            self._layouts.of_outputs(told.outputs[0], table.n_rows)
            if told.run is None
            else self._layouts.of_whole(told.run[0], told.run[2]),
        )

    def _lost(self, n: int, endpoint: str) -> None:
        _log.exception("an answer of %s could not be recorded", endpoint)
        self._outlet.lost(n)

    def _identity(self, endpoint: str, version: str | None) -> Identity:
        try:
            found = self._identify(endpoint, version)
        except ModelwayError:
            found = None
        return Identity(version=version) if found is None else found


def _of_one_layout(entries: Sequence[Told]) -> Iterator[Told]:
    """The entries, cut where their requests differ in signature or in the call that answered."""
    for told in entries:
        if told.run is not None or len(told.ids) == 1 or _is_of_one_call(told):
            yield told
        else:
            yield from (told.only(place) for place in range(len(told.ids)))


def _run_of(answered: Sequence[Answered]) -> Run | None:
    """The outputs of the call that gave all of these rows, and which they are.

    A call that fails is made again in halves, each with neighbours: so where the first and the last
    come from one call, and as many rows lie between them as there are, all the others do too.
    """
    n = len(answered)
    if n == 1:
        return None
    first: Any = answered[0][1].outputs
    last: Any = answered[-1][1].outputs
    whole = getattr(first, "whole", None)
    if whole is None or id(getattr(last, "whole", None)) != id(whole):
        return None
    if last.end - first.start != n or not answered[0][0].table.signature.is_tabular:
        return None
    return whole.outputs, first.start, whole.n_rows


def _is_of_one_call(told: Told) -> bool:
    whole = getattr(told.outputs[0], "whole", None)
    signature = told.tables[0].signature
    if whole is None or not signature.is_tabular:
        return False
    calls = {id(getattr(one, "whole", None)) for one in told.outputs}
    return len(calls) == 1 and len({id(table.signature) for table in told.tables}) == 1


def _gathered(entries: Sequence[Told]) -> Gathered:
    times = np.array([told.at for told in entries], np.int64) // 1000
    n = [len(told.ids) for told in entries]
    return Gathered(
        [one for told in entries for one in told.ids],
        [one for told in entries for one in told.tables],
        [one for told in entries for one in told.principals],
        [one for told in entries for one in told.seconds],
        np.repeat(times, n) if sum(n) > len(n) else times,
        _parts(entries),
    )


def _parts(entries: Sequence[Told]) -> Parts | Sequence[Outputs]:
    """What the models gave, in runs where all of it is."""
    if all(told.run is not None for told in entries):
        return Parts(
            [
                (told.run[0], told.run[1], told.run[1] + len(told.ids), len(told.ids))
                for told in entries
                if told.run is not None
            ]
        )
    found: list[Outputs] = []
    for told in entries:
        if told.run is None:
            found += told.outputs
        else:
            found += Parts([(told.run[0], told.run[1], told.run[1] + len(told.ids), 1)])
    return found


def _pieces(gathered: Gathered) -> Iterator[Gathered]:
    """The requests in pieces that are gathered quickly; the rows of a large one in several."""
    signature = gathered.tables[0].signature
    rows = [table.n_rows for table in gathered.tables]
    most = max(1, _FRAME_CELLS // max(1, len(signature.columns)))
    if sum(rows) <= most or not signature.is_tabular:
        yield gathered
        return
    start = n = 0
    for place, its in enumerate(rows):
        if n and n + its > most:
            yield gathered.only(range(start, place))
            start, n = place, 0
        if its > most:
            yield from _cut(gathered.only([place]), most)
            start = place + 1
        else:
            n += its
    if n or start < len(rows):
        yield gathered.only(range(start, len(rows)))


def _cut(one: Gathered, most: int) -> Iterator[Gathered]:
    """One request, at most so many of its rows at a time."""
    table = one.tables[0]
    for first in range(0, table.n_rows, most):
        rows = slice(first, first + most)
        outputs = None
        if one.outputs is not None:
            outputs = [{name: array[rows] for name, array in one.outputs[0].items()}]
        yield replace(one, tables=[table.rows(rows)], outputs=outputs, first=[first])
