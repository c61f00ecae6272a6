"""A model as a bundle of it answers, natively and compiled, held against the user's own model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from modelway.bundles.manifest import FORMAT_VERSION, Manifest, OriginalModel
from modelway.bundles.parity import TOLERANCE, gate
from modelway.bundles.ports import Description, Runtime
from modelway.bundles.record import ParityReport
from modelway.composition.frameworks import compiler, framework
from support.pipelines import Drawn


@dataclass
class Opened:
    """One runtime over the bundle of a model, as a build describes it."""

    drawn: Drawn
    runtime: Runtime
    manifest: Manifest

    def fault(self, rows: pd.DataFrame) -> str | None:
        """The first row that the runtime answers otherwise than the user's own model, in words.

        All rows are asked at once; one that differs is asked alone as well, which decides. Rows
        that the user's model refuses are left out.
        """
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            for part, right in self._answered(rows):
                for row in np.flatnonzero(_differ(self._given(part), right)):
                    found = self._fault_alone(part[row : row + 1])
                    if found:
                        return found
        return None

    def _answered(self, rows: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, dict[str, Any]]]:
        """The rows that the user's model answers, in parts, and its answers."""
        try:
            outputs = self._right(rows)
        except Exception:  # noqa: BLE001 - a model may refuse rows in any way
            half = len(rows) // 2
            if half:
                yield from self._answered(rows[:half])
                yield from self._answered(rows[half:])
            return
        yield rows, outputs

    def _fault_alone(self, row: pd.DataFrame) -> str | None:
        right, given = self._right(row), self._given(row)
        if not any(_differ(given, right)):
            return None
        return f"{row.iloc[0].tolist()} gives {right}, {self.manifest.runtime} {given}"

    def _right(self, rows: pd.DataFrame) -> dict[str, Any]:
        """What the user's model says, asked as its user asks it."""
        model, given = self.drawn.model, self.drawn.given(rows)
        answers = {"prediction": _single(np.asarray(model.predict(given)))}
        if self.manifest.probabilities:
            answers["probabilities"] = np.asarray(model.predict_proba(given), dtype=np.float64)
        return answers

    def _given(self, rows: pd.DataFrame) -> dict[str, Any]:
        """What a caller is told, labels by name."""
        outputs = dict(self.runtime.predict(self.drawn.table(rows)))
        classes = self.manifest.classes
        if classes is None:
            return {"prediction": _single(outputs["prediction"])}
        index = outputs.pop("class_index")
        return outputs | {"prediction": np.array([*classes, None], dtype=object)[index]}


def _single(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """One value a row as (n_rows,): some estimators give it as a column, and so do graphs."""
    return values[:, 0] if values.shape[1:] == (1,) else values


def _differ(given: dict[str, Any], right: dict[str, Any]) -> npt.NDArray[np.bool_]:
    """Which rows have another label, or a value outside the tolerance."""
    differ = np.zeros(len(right["prediction"]), dtype=bool)
    for name, expected in right.items():
        if expected.dtype.kind != "f" or given[name].dtype.kind != "f":
            differ |= given[name] != expected
            continue
        off = np.abs(given[name] - expected) / np.maximum(1.0, np.abs(expected))
        same = (given[name] == expected) | (np.isnan(given[name]) & np.isnan(expected))
        wrong = ~same & ~(off <= TOLERANCE)
        differ |= wrong.reshape(len(differ), -1).any(axis=1)
    return differ


@dataclass
class Pair:
    """A model's own runtime, and the compiled form of it; ``thresholds`` are where it splits."""

    original: Opened
    compiled: Opened
    thresholds: Sequence[npt.NDArray[np.float64]]

    def gate(self) -> ParityReport:
        """What the gate says of the pair."""
        drawn = self.original.drawn
        return gate(
            self.original.runtime,
            self.compiled.runtime,
            signature=drawn.signature,
            manifest=self.compiled.manifest,
            reference=drawn.table(drawn.rows),
            thresholds=self.thresholds,
        )


def opened(drawn: Drawn) -> Opened:
    """The model in its own runtime, by what it says of itself."""
    sklearn = framework("sklearn")
    manifest = _manifest(sklearn.describe(drawn.model))
    return Opened(drawn, sklearn.open(drawn.model, drawn.signature, manifest), manifest)


def paired(original: Opened, folder: Path) -> Pair:
    """The model, compiled and opened. Raises NotCompilable."""
    drawn, onnx, converter = original.drawn, framework("onnx"), compiler("sklearn")
    assert converter is not None
    description = framework("sklearn").describe(drawn.model)
    compiled = converter.compile(drawn.model, drawn.signature, description)
    path = folder / "model.onnx"
    path.write_bytes(compiled.onnx)
    manifest = msgspec.structs.replace(original.manifest, runtime="onnx", layout=compiled.layout)
    runtime = onnx.open(onnx.load(path, None), drawn.signature, manifest)
    reference = drawn.table(drawn.rows)
    thresholds = converter.thresholds(drawn.model, drawn.signature, reference)
    return Pair(original, Opened(drawn, runtime, manifest), thresholds)


def _manifest(description: Description) -> Manifest:
    """The manifest that a build makes of the description."""
    return Manifest(
        format_version=FORMAT_VERSION,
        task=description.task,
        runtime="sklearn",
        original=OriginalModel("sklearn", "model.pickle", "pickle"),
        layout=description.layout,
        classes=description.classes,
        probabilities=description.probabilities,
        missing_text=description.missing_text,
    )
