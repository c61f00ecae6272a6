"""An original and its compiled form behind their own runtimes, asked the same rows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.bundles.manifest import FORMAT_VERSION, Manifest, OriginalModel
from modelway.bundles.parity import TOLERANCE, gate
from modelway.bundles.ports import Runtime
from modelway.bundles.record import ParityReport
from modelway.composition.frameworks import compiler, framework
from modelway.domain.inference import Outputs
from modelway.domain.signature import Signature
from modelway.domain.tables import Table
from support.pipelines import Drawn


@dataclass
class Pair:
    """Two runtimes over one model; ``thresholds`` are where it splits."""

    original: Runtime
    compiled: Runtime
    signature: Signature
    manifest: Manifest
    reference: Table
    thresholds: Sequence[npt.NDArray[np.float64]]

    def gate(self) -> ParityReport:
        """What the gate says of the pair."""
        return gate(
            self.original,
            self.compiled,
            signature=self.signature,
            manifest=self.manifest,
            reference=self.reference,
            thresholds=self.thresholds,
        )

    def fault(self, table: Table) -> str | None:
        """The first row that the compiled model answers otherwise, in words.

        All rows are asked at once; one that differs is asked alone as well, which decides. Rows
        that the original refuses are left out.
        """
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            for part, right in self._answered(table):
                given = self.compiled.predict(part)
                for row in np.flatnonzero(_differ(given, right)):
                    found = self._fault_alone(part.rows(slice(int(row), int(row) + 1)))
                    if found:
                        return found
        return None

    def _answered(self, table: Table) -> Iterator[tuple[Table, Outputs]]:
        """The rows that the original answers, in parts, and its answers."""
        try:
            outputs = self.original.predict(table)
        except Exception:  # noqa: BLE001 - a model may refuse rows in any way
            half = table.n_rows // 2
            if half:
                yield from self._answered(table.rows(slice(0, half)))
                yield from self._answered(table.rows(slice(half, None)))
            return
        yield table, outputs

    def _fault_alone(self, row: Table) -> str | None:
        right, given = self.original.predict(row), self.compiled.predict(row)
        if not any(_differ(given, right)):
            return None
        return f"{[array[0] for array in row.arrays]} gives {right}, compiled {given}"


def _differ(given: Outputs, right: Outputs) -> npt.NDArray[np.bool_]:
    """Which rows have another label, or a value outside the tolerance."""
    differ = np.zeros(len(next(iter(right.values()))), dtype=bool)
    for name, expected in right.items():
        if name == "class_index":
            differ |= given[name] != expected
            continue
        off = np.abs(given[name] - expected) / np.maximum(1.0, np.abs(expected))
        same = (given[name] == expected) | (np.isnan(given[name]) & np.isnan(expected))
        wrong = ~same & ~(off <= TOLERANCE)
        differ |= wrong.reshape(len(differ), -1).any(axis=1)
    return differ


def paired(drawn: Drawn, folder: Path) -> Pair:
    """The model, compiled and opened. Raises NotCompilable."""
    sklearn, onnx = framework("sklearn"), framework("onnx")
    description = sklearn.describe(drawn.model)
    signature = drawn.signature
    converter = compiler("sklearn")
    assert converter is not None
    compiled = converter.compile(drawn.model, signature, description)
    path = folder / "model.onnx"
    path.write_bytes(compiled.onnx)
    shared: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "task": description.task,
        "original": OriginalModel("sklearn", "model.pickle", "pickle"),
        "classes": description.classes,
        "probabilities": description.probabilities,
        "missing_text": drawn.missing_text,
    }
    native = Manifest(runtime="sklearn", layout=description.layout, **shared)
    manifest = Manifest(runtime="onnx", layout=compiled.layout, **shared)
    reference = drawn.table(drawn.rows)
    return Pair(
        sklearn.open(drawn.model, signature, native),
        onnx.open(onnx.load(path, None), signature, manifest),
        signature,
        manifest,
        reference,
        converter.thresholds(drawn.model, signature, reference),
    )
