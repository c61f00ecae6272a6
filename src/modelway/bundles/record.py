"""The record of a bundle: what is known of it beside its contents, in ``record.json``.

The digest does not cover it: one model registered under two names is one bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from modelway.bundles.manifest import RECORD, canonical_json
from modelway.domain.errors import LoadFailed


class ParityReport(msgspec.Struct, frozen=True):
    """What the parity gate measured, the original answering each row alone being the reference.

    ``rows`` are the rows compared by kind. ``flips`` are rows with another label.
    ``largest_deviation`` is that of a probability, or of a prediction relative to max(1, |y|), and
    ``tolerance`` what was allowed. ``worst_row`` are its inputs by column and what either answered.
    ``self_disagreements`` are rows that the original itself answers otherwise in a batch.
    ``batch_invariant``: the compiled model gave the same bits in every size of batch.
    ``reason`` says why the gate was not passed.
    """

    passed: bool
    rows: Mapping[str, int]
    flips: int
    largest_deviation: float
    tolerance: float
    self_disagreements: int
    batch_invariant: bool
    worst_row: Mapping[str, Any] | None = None
    reason: str | None = None


class Record(msgspec.Struct, frozen=True):
    """Who a bundle is and where it came from.

    ``source`` is the base name of the file or folder it was built from, ``source_sha256`` the
    SHA-256 of its content. ``written_with`` are the versions that wrote the source, by distribution
    name, where it says so; the manifest has those that read it. ``built_at`` is ISO 8601 in UTC.
    ``why_native`` is None where compiled, and where the source was ONNX to begin with.
    """

    digest: str
    name: str
    source: str
    source_sha256: str
    built_at: str
    modelway: str
    metrics: Mapping[str, float] = {}
    written_with: Mapping[str, str] = {}
    why_native: str | None = None
    parity: ParityReport | None = None


def read_record(folder: Path) -> Record:
    """The record of the bundle in ``folder``.

    Raises:
        LoadFailed: there is none or it cannot be read.
    """
    try:
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError) as error:
        raise LoadFailed(f"{folder / RECORD} cannot be read: {error}") from error


def write_record(folder: Path, record: Record) -> None:
    """Write ``record`` beside the contents in ``folder``."""
    (folder / RECORD).write_bytes(canonical_json(record))
