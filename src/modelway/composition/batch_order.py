"""What a run tells its workers, and what they answer: lines of JSON over a socket.

The first line a worker is told is its order, every line after that a part. It answers with reports,
or with why it cannot go on, and ends when the socket is closed.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from modelway.batch.manifest import Manifest
from modelway.batch.parts import Part
from modelway.batch.ports import Advanced, Exceeded, Finished, Ready
from modelway.composition.orders import Report as Told
from modelway.composition.orders import raised
from modelway.domain.errors import ModelwayError
from modelway.settings import InferenceSettings


class Order(msgspec.Struct, frozen=True):
    """All that a worker has to know: the bundle in ``folder``, the run, its inputs and its output.

    URLs of tables have their passwords, so an order is kept nowhere. ``beside`` is what the parts
    lie beside. ``run`` is in the names of files that are not whole yet: a worker of an earlier run
    may be alive somewhere.
    """

    folder: str
    inputs: tuple[str, ...]
    output: str
    beside: str
    manifest: Manifest
    kept: tuple[str, ...] | None
    max_errors: int
    inference: InferenceSettings
    allow_pickle: bool
    run: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Why a worker cannot go on: the code of an error of ours."""

    code: str
    message: str
    hint: str | None = None


def raised_by(failed: Failed) -> ModelwayError:
    """The error that a worker tells of."""
    return raised(Told(code=failed.code, message=failed.message, hint=failed.hint))


Said = Ready | Advanced | Finished | Exceeded | Failed

said = msgspec.json.Decoder(Said).decode
encode = msgspec.json.Encoder().encode


def parts_told(lines: Iterator[bytes]) -> Iterator[Part]:
    """The parts that a worker is told, as they come."""
    decode = msgspec.json.Decoder(Part).decode
    return (decode(line) for line in lines)
