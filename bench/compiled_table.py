"""What compiles: every estimator fitted, compiled, put through the gate, and timed.

``python bench/compiled_table.py`` measures all and writes ``bench/results/compiled_table.json`` and
``docs/reference/compiled.md``; names behind it measure only those anew. Times are medians over
calls of one row, through the runtime that a bundle would use: labels and probabilities, or values.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from compiled_models import Example, examples
from compiled_page import Measured, read, share, write

from modelway.bundles.manifest import FORMAT_VERSION, Manifest, OriginalModel
from modelway.bundles.parity import gate
from modelway.bundles.ports import Runtime
from modelway.bundles.record import ParityReport
from modelway.composition.frameworks import compiler, framework
from modelway.domain.errors import NotCompilable
from modelway.domain.tables import Table

LIBRARIES = ("scikit-learn", "onnxruntime", "xgboost", "lightgbm", "catboost", "numpy")


def measured(example: Example, folder: Path) -> Measured:
    """Fit, compile, gate and time one example."""
    own, onnx, made = framework(example.framework), framework("onnx"), compiler(example.framework)
    assert made is not None
    model = example.fitted()
    description = own.describe(model)
    shared: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "task": description.task,
        "original": OriginalModel(example.framework, "model", "pickle"),
        "classes": description.classes,
        "probabilities": description.probabilities,
        "missing_text": description.missing_text,
    }
    signature, reference = example.signature, example.table
    native = Manifest(runtime=example.framework, layout=description.layout, **shared)
    original = own.open(model, signature, native)
    row = reference.rows(slice(0, 1))
    original_us = microseconds(original, row, 40)
    path = folder / "model.onnx"
    try:
        compiled = made.compile(model, signature, description)
        path.write_bytes(compiled.onnx)
        manifest = Manifest(runtime="onnx", layout=compiled.layout, **shared)
        answering = onnx.open(onnx.load(path, None), signature, manifest)
    except NotCompilable as error:
        return Measured(example.group, example.name, False, error.message, original_us=original_us)
    report = gate(
        original,
        answering,
        signature=signature,
        manifest=manifest,
        reference=reference,
        thresholds=made.thresholds(model, signature, reference),
    )
    compiled_us = microseconds(answering, row, 400)
    return reported(example, report, original_us, compiled_us)


def reported(
    example: Example, report: ParityReport, original_us: float, compiled_us: float
) -> Measured:
    """A line from what the gate said."""
    refused = report.rows.get("refused", 0)
    return Measured(
        group=example.group,
        name=example.name,
        compiled=report.passed,
        reason=report.reason,
        deviation=report.largest_deviation,
        flips=report.flips,
        self_disagreements=report.self_disagreements,
        batch_invariant=report.batch_invariant,
        rows=sum(report.rows.values()) - refused,
        refused=refused,
        original_us=original_us,
        compiled_us=compiled_us,
    )


def microseconds(runtime: Runtime, row: Table, calls: int) -> float:
    """The median time of one call."""
    taken = []
    for _ in range(calls):
        start = time.perf_counter_ns()
        runtime.predict(row)
        taken.append(time.perf_counter_ns() - start)
    return float(np.median(taken)) / 1000


def main() -> None:
    """Measure all examples, or those named; write the figures and the page; print the share."""
    warnings.simplefilter("ignore")
    named = set(sys.argv[1:])
    known = {(m.group, m.name): m for m in read()[1]} if named else {}
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for example in examples():
            line = known.get((example.group, example.name))
            if not named or example.name in named:
                line = measured(example, Path(folder))
                print(line, flush=True)
            if line is not None:
                lines.append(line)
    write({name: version(name) for name in LIBRARIES}, lines)
    passed, plain = share(lines)
    print(f"{passed} of {plain} compiled and passed ({passed / plain:.1%})")


if __name__ == "__main__":
    main()
