"""How a bundle is made: load, describe, infer the signature, compile, prove, write.

Everything concrete (frameworks, compilers, readers of files) comes in as :class:`Tools`, so this is
the order of the steps. It runs in a process of its own: loading a model may run code.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from modelway import __version__
from modelway.bundles.acceptance import check_answers
from modelway.bundles.code import copy_code, use_code
from modelway.bundles.describing import GUESSED, signature_of
from modelway.bundles.digest import bundle_digest
from modelway.bundles.faithful import check_faithful
from modelway.bundles.manifest import (
    CODE,
    COMPILED,
    FORMAT_VERSION,
    MANIFEST,
    ORIGINAL,
    REFERENCE,
    REQUIREMENTS,
    SIGNATURE,
    Manifest,
    OriginalModel,
    canonical_json,
)
from modelway.bundles.order import BuildOrder, Tools
from modelway.bundles.parity import gate
from modelway.bundles.ports import Description, Runtime
from modelway.bundles.probes import probe_rows
from modelway.bundles.profile import profile_of
from modelway.bundles.record import ParityReport, Record, write_record
from modelway.bundles.row_wise import row_wise
from modelway.bundles.sources import FORMATS
from modelway.bundles.training import TrainingData, reference_table
from modelway.bundles.trust import installed, pinned, sklearn_version_in
from modelway.domain.errors import BuildFailed, NotCompilable
from modelway.domain.signature import Signature
from modelway.domain.tables import Table

ONNX = "onnx"

_COMPILED_NEEDS = ("onnxruntime", "numpy")
_NEVER_COMPILED = {
    "python_function": "Python of one's own has no ONNX form",
    "mlflow": "only MLflow itself can run this flavour",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the bundle answers: natively, and why, or compiled, and how that was proven."""

    manifest: Manifest
    why_native: str | None = None
    parity: ParityReport | None = None


def build_bundle(order: BuildOrder, tools: Tools) -> list[str]:
    """Write the bundle; gives what its maker should know, one sentence each.

    Raises:
        LoadFailed, MissingExtra, UnsafeFormat: the model cannot be read.
        InvalidSignature: nothing says what it takes, or what says so contradicts the model.
        BuildFailed: it fails on an ordinary row, answers otherwise than when it is asked directly,
            or is native where it must be compiled.
    """
    original = _copy_original(order)
    use_code(order.folder, original.framework)
    framework = tools.framework(original.framework)
    model = framework.load(order.folder / original.path, original.entry)
    description = framework.describe(model)

    def opened(signature: Signature, training: TrainingData | None) -> Runtime:
        return framework.open(model, signature, _native(original, description, training))

    training, signature = signature_of(order, tools, description, opened)
    manifest = _native(original, description, training)
    reference = reference_table(training, signature) if training else None
    row = reference.rows(slice(0, 1)) if reference else tools.sample(signature)
    runtime = opened(signature, training)
    check_answers(runtime, row, description.classes, is_made_up=reference is None)
    unheld = None
    if training and original.framework == GUESSED:
        unheld = check_faithful(model, runtime, training, signature, manifest)
    outcome = _Compiling(order, tools, model, description, signature).outcome(
        runtime, manifest, reference, row
    )
    if outcome.why_native and order.require_compiled:
        raise BuildFailed(f"{order.name} cannot be compiled: {outcome.why_native}")
    if signature.is_tabular and not outcome.manifest.is_compiled:
        outcome = replace(outcome, manifest=_measured(runtime, manifest, signature, reference))
    _write(order.folder, outcome.manifest, signature, training)
    _record(order, outcome)
    return [*_notes(order, outcome), *([unheld] if unheld else [])]


@dataclass(frozen=True, slots=True)
class _Compiling:
    """The compiled form of one model, if it has one that answers as the model does."""

    order: BuildOrder
    tools: Tools
    model: object
    description: Description
    signature: Signature

    def outcome(
        self, runtime: Runtime, native: Manifest, reference: Table | None, row: Table
    ) -> Outcome:
        """The outcome for the model that ``runtime`` answers with by ``native``."""
        if native.runtime == ONNX:
            return Outcome(native)
        compiler = self.tools.compiler(native.runtime)
        if compiler is None:
            return Outcome(native, _NEVER_COMPILED.get(native.runtime, "there is no compiler"))
        path = self.order.folder / COMPILED
        rows = row if reference is None else reference
        try:
            compiled = compiler.compile(self.model, self.signature, self.description)
            thresholds = compiler.thresholds(self.model, self.signature, rows)
            path.write_bytes(compiled.onnx)
            manifest = msgspec.structs.replace(native, runtime=ONNX, layout=compiled.layout)
            onnx = self.tools.framework(ONNX)
            answering = onnx.open(onnx.load(path, None), self.signature, manifest)
        except NotCompilable as error:
            return Outcome(native, error.message)
        except Exception as error:  # noqa: BLE001 - native is right whatever a compiler trips over
            path.unlink(missing_ok=True)
            return Outcome(native, f"compiling failed: {type(error).__name__}: {error}"[:500])
        parity = gate(
            runtime,
            answering,
            signature=self.signature,
            manifest=manifest,
            reference=reference,
            thresholds=thresholds,
        )
        answering.close()
        if not parity.passed:
            path.unlink()
            return Outcome(native, f"not proven equal: {parity.reason}", parity)
        invariant = parity.batch_invariant
        proven = msgspec.structs.replace(manifest, batch_invariant=invariant)
        return Outcome(proven, parity=parity)


def _copy_original(order: BuildOrder) -> OriginalModel:
    """Copy the model and its code into the bundle; a Python file in ``--code`` stays among it."""
    source, folder = order.source, order.folder
    code = order.code or source.code
    if code is not None:
        copy_code(code, folder / CODE, leave_out=(source.path, order.data))
    form = FORMATS[source.format]
    path = f"{ORIGINAL}/{form.file or source.path.name}"
    if source.format == "python" and code is not None and code.is_dir():
        root = code.resolve().parent if (code / "__init__.py").is_file() else code.resolve()
        if source.path.resolve().is_relative_to(root):
            path = f"{CODE}/{source.path.resolve().relative_to(root).as_posix()}"
    if not (folder / path).exists():
        (folder / ORIGINAL).mkdir()
        if source.path.is_dir():
            shutil.copytree(source.path, folder / path, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(source.path, folder / path)
    return OriginalModel(form.framework, path, source.format, source.entry)


def _native(
    original: OriginalModel, description: Description, training: TrainingData | None
) -> Manifest:
    columns = training.columns if training else {}
    return Manifest(
        format_version=FORMAT_VERSION,
        task=description.task,
        runtime=original.framework,
        original=original,
        layout=description.layout,
        classes=description.classes,
        probabilities=description.probabilities,
        missing_text=description.missing_text,
        whole_numbers=tuple(name for name, column in columns.items() if column.is_whole),
        libraries=dict(description.libraries),
    )


def _measured(
    runtime: Runtime, manifest: Manifest, signature: Signature, reference: Table | None
) -> Manifest:
    """The manifest of a model that answers itself, and whether it answers rows one by one."""
    no_thresholds = [np.empty(0)] * len(signature.columns)
    found = row_wise(runtime, probe_rows(signature, reference, no_thresholds).table, manifest)
    return msgspec.structs.replace(manifest, row_wise=found.holds, batch_invariant=found.to_the_bit)


def _write(
    folder: Path, manifest: Manifest, signature: Signature, training: TrainingData | None
) -> None:
    (folder / MANIFEST).write_bytes(canonical_json(manifest))
    (folder / SIGNATURE).write_bytes(canonical_json(signature))
    needed = installed(_COMPILED_NEEDS) if manifest.runtime == ONNX else manifest.libraries
    (folder / REQUIREMENTS).write_text(pinned(needed), encoding="utf-8", newline="\n")
    if training is not None:
        profile = profile_of(training, [column.name for column in signature.columns])
        (folder / REFERENCE).write_bytes(canonical_json(profile))


def _record(order: BuildOrder, outcome: Outcome) -> None:
    record = Record(
        digest=bundle_digest(order.folder),
        name=order.name,
        source=order.source.given.absolute().name,
        source_sha256=order.source.sha256(),
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
        modelway=__version__,
        metrics=order.metrics,
        written_with=_written_with(order),
        why_native=outcome.why_native,
        parity=outcome.parity,
    )
    write_record(order.folder, record)


def _written_with(order: BuildOrder) -> dict[str, str]:
    """The versions of libraries that wrote the source, as far as it says so."""
    source = order.source
    wrote = None
    if source.is_pickle and source.path.is_file():
        wrote = sklearn_version_in(source.path)
    return {"scikit-learn": wrote} if wrote else {}


def _notes(order: BuildOrder, outcome: Outcome) -> list[str]:
    notes = []
    for name, wrote in _written_with(order).items():
        here = outcome.manifest.libraries.get(name)
        if here and wrote != here:
            notes.append(
                f"{order.source.given} was made with {name} {wrote} and read with {here}; "
                "to read it with its own, name its environment with --python"
            )
    if outcome.why_native and outcome.manifest.runtime not in _NEVER_COMPILED:
        runtime = outcome.manifest.runtime
        notes.append(f"{order.name} is answered by {runtime} itself: {outcome.why_native}")
    return notes
