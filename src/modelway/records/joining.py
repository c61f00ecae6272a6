"""Frames that differ in nothing but their requests, joined to one.

A frame is small, so that it is made between two turns of the event loop; what is done once a frame
costs whoever reads thousands of them more than the records themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import msgspec
import numpy as np

from modelway.records.frames import Frame, Named
from modelway.records.values import Texts, Values

RECORDED_AT = "recorded_at"
"""The array of a joined frame that says of each request when it was recorded (µs since 1970)."""


def joined(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The records of frames in as few as hold them; alike ones stay in their order."""
    alike: dict[tuple[object, ...], list[Frame]] = {}
    for frame in frames:
        alike.setdefault(_key(frame), []).append(frame)
    return map(_one, alike.values())


def _key(frame: Frame) -> tuple[object, ...]:
    """All that frames must share."""
    head = frame.head
    arrays = [(one.place, one.name, one.datatype, one.per_row, _kind(one)) for one in frame.arrays]
    shared = (head.endpoint, head.identity, head.sampling_rate, head.is_tabular, head.columns)
    return (*shared, tuple(arrays))


def _kind(one: Named) -> tuple[object, ...]:
    values = one.values
    if isinstance(values, Texts):
        return values.is_binary, values.shape[1:]
    return values.dtype, values.shape[1:]


def _one(frames: Sequence[Frame]) -> Frame:
    first, heads = frames[0], [frame.head for frame in frames]
    arrays = [
        replace(named, values=_concatenated([frame.arrays[place].values for frame in frames]))
        for place, named in enumerate(first.arrays)
    ]
    n = [head.n_requests for head in heads]
    recorded_at = np.repeat(np.array([head.recorded_at for head in heads], np.int64), n)
    n_rows = sum([head.n_rows for head in heads])
    head = msgspec.structs.replace(first.head, n_requests=sum(n), n_rows=n_rows)
    return Frame(head, [Named("request", RECORDED_AT, recorded_at), *arrays])


def _concatenated(values: Sequence[Values]) -> Values:
    first = values[0]
    if len(values) == 1:
        return first
    if not isinstance(first, Texts):
        return np.concatenate([one for one in values if not isinstance(one, Texts)])
    every = [one for one in values if isinstance(one, Texts)]
    lengths = np.concatenate([one.lengths for one in every])
    shape = (sum([one.shape[0] for one in every]), *first.shape[1:])
    return Texts(lengths, b"".join([one.joined for one in every]), shape, first.is_binary)
