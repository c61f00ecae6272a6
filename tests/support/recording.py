"""Predictions to record: requests and answers as the data plane has them, and who counts them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from modelway.domain.identifiers import new_prediction_id
from modelway.domain.inference import InferenceRequest, InferenceResponse, Outputs
from modelway.domain.parts import Part, Whole
from modelway.domain.signature import Column, Datatype, Signature, TensorSpec, columns_named
from modelway.domain.tables import Table
from modelway.records.identity import Identity
from modelway.records.recorder import Recorder
from modelway.records.told import Answered, Told

IRIS = Signature(columns=columns_named(["a", "b", "c", "d"]))
CLASSES = (0, 1, 2)

PEOPLE = Signature(
    columns=(
        Column("name", "name", Datatype.STRING, nullable=True),
        Column("income", "income", Datatype.INT64, nullable=True),
        Column("since", "since", Datatype.DATETIME, nullable=True),
    )
)


class Counted:
    """A meter that adds up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.n_recorded = self.n_shed = 0
        self.reasons: list[str] = []

    def recorded(self, n: int) -> None:
        """Requests were recorded."""
        with self._lock:
            self.n_recorded += n

    def shed(self, n: int) -> None:
        """Requests were not."""
        with self._lock:
            self.n_shed += n

    def failed(self, reason: str) -> None:
        """Writing failed."""
        self.reasons.append(reason)


def identify(endpoint: str, version: str | None, is_shadow: bool = False) -> Identity:
    """Endpoints answered by a classifier of their name."""
    role = "shadow" if is_shadow else "live"
    return Identity(endpoint, version, f"sha256:{version}", role, CLASSES)


def told_of(
    answered: Sequence[Answered], at: int = 0, run: Part | None = None, by: Identity | None = None
) -> Told:
    """Answers as they wait for their frame; ``by`` is who answered."""
    request, response, _ = answered[0]
    who = by or identify(response.endpoint, response.version, request.is_shadow)
    return Told(at, answered, run, who)


def iris(
    n: int, endpoint: str = "iris", version: str = "7", ids: Sequence[str] | None = None
) -> list[Answered]:
    """Requests of one row, ``a`` counting up, answered together by one call of a classifier.

    Of version ``s`` it is a shadow.
    """
    cells = [(float(k), 2.0, 3.0, 4.0) for k in range(n)]
    whole = Whole(
        Table(IRIS, n, cells=cells),
        {"class_index": np.arange(n) % 3, "probabilities": np.full((n, 3), 1 / 3)},
    )
    return [
        (
            InferenceRequest(
                endpoint, Table(IRIS, 1, cells=cells[k : k + 1]), is_shadow=version == "s"
            ),
            InferenceResponse(
                endpoint,
                version,
                new_prediction_id() if ids is None else ids[k],
                Part(whole, k, k + 1),
                1,
                classes=CLASSES,
            ),
            0.001,
        )
        for k in range(n)
    ]


def people(
    names: Sequence[str | None],
    incomes: Sequence[float],
    endpoint: str = "loan",
    prediction_id: str | None = None,
    outputs: Outputs | None = None,
    version: str = "1",
) -> list[Answered]:
    """One request of a row a name."""
    n = len(names)
    texts = np.empty(n, dtype=object)
    texts[:] = names
    since = np.full(n, np.datetime64("2020-02-29T12:00:00.000001", "us"))
    table = Table(PEOPLE, n, arrays=(texts, np.array(incomes, dtype=np.float64), since))
    found = outputs or {"prediction": np.arange(n, dtype=np.float64) / 2}
    response = InferenceResponse(endpoint, version, prediction_id or new_prediction_id(), found, n)
    return [(InferenceRequest(endpoint, table, principal="ann"), response, 0.25)]


def tensors(name: str, endpoint: str = "vision") -> list[Answered]:
    """One request of two rows, whose only input is a tensor of this name."""
    signature = Signature(tensors=(TensorSpec(name, Datatype.FP32, (-1, 2)),))
    values = np.arange(4, dtype=np.float32).reshape(2, 2)
    response = InferenceResponse(endpoint, "1", new_prediction_id(), {"y": values[:, 0]}, 2)
    return [(InferenceRequest(endpoint, Table(signature, 2, arrays=(values,))), response, 0.25)]


def recorded(root: Path, *told: Sequence[Answered], slot: str = "0") -> Counted:
    """Record answers in a segment of their own, which nobody writes any more."""
    counted = Counted()
    recorder = Recorder(root, slot, identify, counted)
    for one in told:
        recorder.answered(one)
    recorder.close()
    return counted


def files_below(root: Path) -> Mapping[str, bytes]:
    """Every file below a folder, and what is in it."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
