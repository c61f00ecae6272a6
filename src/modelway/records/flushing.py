"""A flush: what was told, sorted by layout and made into frames."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeAlias

import numpy as np

from modelway.domain.identifiers import new_prediction_id
from modelway.domain.inference import InferenceRequest
from modelway.domain.parts import Part, Whole
from modelway.records.gathered import Batches, Framing, Gathered, Layouts, singles
from modelway.records.identity import Identity
from modelway.records.policy import RecordingPolicy
from modelway.records.side_by_side import SideBySide
from modelway.records.told import Told
from modelway.records.values import texts

FailedEntry: TypeAlias = tuple[int, InferenceRequest, str, float, Identity, int]
"""When it was told (ns since 1970), the request, the error's code, seconds, who failed if anybody
was asked, bytes it holds."""

Made: TypeAlias = tuple[bytes, int, int]
"""A frame, of how many requests and of how many rows it is."""

_FRAME_CELLS = 16_384
_PAUSE_S = 0.0002

_log = logging.getLogger("modelway.records")


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

    Where it ``is_patient`` it makes several frames of a large request, and lets other threads go on
    between them. Who shares a batch's requests with another shares its ``batches`` with it.
    """

    def __init__(
        self,
        outlet: Outlet,
        policy: RecordingPolicy,
        batches: Batches | None = None,
        *,
        is_patient: bool = False,
    ) -> None:
        self._outlet = outlet
        self._policy = policy
        self._is_patient = is_patient
        self._framing = Framing(policy.key, batches or Batches())
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
            n = sum([len(one.ids) for one in same])
            self._write(same[0].endpoint, same[0].identity, n, partial(_gathered, same))

    def side_by_side(self, rows: SideBySide) -> None:
        """Write the records of rows that were kept side by side."""
        self._write(rows.endpoint, rows.identity, rows.n_rows, rows.taken)

    def failed(self, entries: Sequence[FailedEntry]) -> None:
        """Write the records of requests that were not."""
        groups: dict[tuple[object, ...], list[FailedEntry]] = {}
        for entry in entries:
            _, request, _, _, identity, _ = entry
            table = request.table
            try:
                layout = self._layouts.of_table(table)
            except Exception:  # noqa: BLE001 - one strange input must not cost the records of others
                self._lost(1, request.endpoint)
            else:
                key = (request.endpoint, id(identity), id(table.signature), layout)
                groups.setdefault(key, []).append(entry)
        for same in groups.values():
            gather = partial(_gathered_failures, same)
            self._write(same[0][1].endpoint, same[0][4], len(same), gather)

    def _write(
        self, endpoint: str, identity: Identity, n: int, gather: Callable[[], Gathered]
    ) -> None:
        """Write the records of ``n`` requests, as ``gather`` gives them."""
        left = n
        try:
            gathered = gather()
            policy = self._policy.of(endpoint)
            if policy.sampling_rate < 1.0:
                kept = [k for k, one in enumerate(gathered.each_id) if policy.keeps(one)]
                if not kept:
                    return
                gathered, left = gathered.only(kept), len(kept)
            recorded_at = time.time_ns() // 1000
            for place, piece in enumerate(_pieces(gathered) if self._is_patient else [gathered]):
                if place:
                    time.sleep(_PAUSE_S)
                frame = self._framing.frame(endpoint, piece, identity, policy, recorded_at)
                # A request in several pieces counts with the first of them.
                its = min(left, piece.n_requests)
                self._outlet.append(frame, its, piece.n_rows)
                left -= its
        except Exception:  # noqa: BLE001 - one strange output must not cost the records of others
            self._lost(left, endpoint)

    def _key(self, told: Told) -> tuple[object, ...]:
        """What requests must share to be in one frame."""
        whole = told.parts[0].whole
        return (
            told.endpoint,
            id(told.identity),
            id(whole.table.signature),
            self._layouts.of_table(whole.table),
            self._layouts.of_outputs(whole),
        )

    def _lost(self, n: int, endpoint: str) -> None:
        _log.exception("an answer of %s could not be recorded", endpoint)
        self._outlet.lost(n)


def _of_one_layout(entries: Sequence[Told]) -> Iterator[Told]:
    """The entries, cut where their requests may differ: where several calls answered."""
    for told in entries:
        if len(told.parts) == 1 or len({id(part.whole) for part in told.parts}) == 1:
            yield told
        else:
            yield from (told.only(place) for place in range(len(told.ids)))


def _gathered(entries: Sequence[Told]) -> Gathered:
    times = np.array([told.at for told in entries], np.int64) // 1000
    n = [len(told.ids) for told in entries]
    rows: list[int] | None = None
    parts = [part for told in entries for part in told.parts]
    if any(told.rows is not None for told in entries):
        each = [singles(one.parts) if one.rows is None else one.parts for one in entries]
        parts = [part for its in each for part in its]
        rows = [part.end - part.start for part in parts]
    return Gathered(
        texts([one for told in entries for one in told.ids]),
        parts,
        [one for told in entries for one in told.principals],
        [one for told in entries for one in told.seconds],
        np.repeat(times, n) if sum(n) > len(n) else times,
        rows,
    )


def _gathered_failures(entries: Sequence[FailedEntry]) -> Gathered:
    tables = [request.table for _, request, *_ in entries]
    return Gathered(
        texts([request.prediction_id or new_prediction_id() for _, request, *_ in entries]),
        [Part(Whole(table, {}), 0, table.n_rows) for table in tables],
        [request.principal for _, request, *_ in entries],
        [seconds for _, _, _, seconds, _, _ in entries],
        np.array([told_at for told_at, *_ in entries], np.int64) // 1000,
        [table.n_rows for table in tables],
        codes=[code for _, _, code, *_ in entries],
    )


def _pieces(gathered: Gathered) -> Iterator[Gathered]:
    """The requests in pieces that are gathered quickly; the rows of a large one in several."""
    signature = gathered.signature
    most = max(1, _FRAME_CELLS // max(1, len(signature.columns)))
    if gathered.n_rows <= most or not signature.is_tabular:
        yield gathered
        return
    rows = gathered.rows or [1] * gathered.n_requests
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
    (part,) = one.parts
    for start in range(part.start, part.end, most):
        piece = Part(part.whole, start, min(start + most, part.end))
        yield replace(one, parts=[piece], rows=[piece.end - start], cut_of=[part])
