"""A bundle, opened: everything that can be decided once is decided here and not per request."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelway.bundles.manifest import Manifest
from modelway.bundles.ports import Runtime
from modelway.bundles.store import Bundle, open_bundle
from modelway.domain.signature import Signature
from modelway.inference.decoding import JsonDecoder
from modelway.inference.execution import Execution
from modelway.inference.validation import Validator
from modelway.settings import InferenceSettings

OpenRuntime = Callable[[Path, Signature, Manifest], Runtime]
"""Opens the model of a bundle's folder; ``composition`` knows the frameworks."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class LoadedModel:
    """A bundle that answers under a name.

    ``version`` is the registry's number, or the digest for what was never registered.
    ``load_s`` is how long opening and warming up took. ``asides`` counts what is read for it on a
    thread right now: until there is none and nothing waits, it is not closed. ``apart`` is one that
    was opened to run in processes of its own.
    """

    name: str
    version: str
    bundle: Bundle
    validator: Validator
    decoder: JsonDecoder
    execution: Execution
    load_s: float
    asides: int = field(default=0)
    apart: bool = field(default=False)

    @property
    def signature(self) -> Signature:
        """What goes in and out; where strict, what was never missing in training may not be."""
        return self.validator.signature

    @property
    def manifest(self) -> Manifest:
        """How the bundle is run."""
        return self.bundle.manifest

    @property
    def busy(self) -> bool:
        """Whether somebody still needs it open."""
        return self.asides > 0 or self.execution.busy


def load_model(
    name: str,
    folder: Path,
    open_runtime: OpenRuntime,
    settings: InferenceSettings,
    version: str | None = None,
) -> LoadedModel:
    """Check, open and warm up the bundle in ``folder``, to answer under ``name``.

    Without a ``version`` it is called after its digest.

    Raises:
        DigestMismatch: the contents are not those the record names.
        LoadFailed: it cannot be read, opened or run on a sample row.
        MissingExtra: it needs a library that is not installed.
    """
    started = time.perf_counter()
    bundle = open_bundle(folder)
    version = version or bundle.digest
    signature = served_signature(bundle, strict=settings.strict)
    runtime = open_runtime(folder, bundle.signature, bundle.manifest)
    execution = Execution(name, runtime, bundle.manifest, bundle.signature, settings)
    try:
        execution.warm_up()
    except BaseException:
        execution.abandon()
        raise
    validator = Validator(signature, strict=settings.strict)
    return LoadedModel(
        name=name,
        version=version,
        bundle=bundle,
        validator=validator,
        decoder=JsonDecoder(signature, validator),
        execution=execution,
        load_s=time.perf_counter() - started,
    )


def served_signature(bundle: Bundle, *, strict: bool) -> Signature:
    """The signature that callers follow.

    Where strict, every column is required that training data was never without.
    """
    signature = bundle.signature
    if not strict:
        return signature
    columns = tuple(
        replace(column, nullable=False, optional=False) if column.was_never_missing else column
        for column in signature.columns
    )
    return replace(signature, columns=columns)
