"""A bundle, opened: everything that can be decided once is decided here and not per request."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from modelway.bundles.manifest import Manifest
from modelway.bundles.ports import Runtime
from modelway.bundles.store import Bundle, open_bundle
from modelway.domain.signature import Signature
from modelway.inference.decoding import JsonDecoder
from modelway.inference.samples import sample_table
from modelway.inference.validation import Validator

_SHARED_RUNTIMES = frozenset(("onnx",))
"""The runtimes whose ``predict`` may be called by several threads at a time."""

OpenRuntime = Callable[[Path, Signature, Manifest], Runtime]
"""Opens the model of a bundle's folder; ``composition`` knows the frameworks."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A bundle that answers under a name.

    ``version`` is the registry's number, or the digest for what was never registered.
    ``load_s`` is how long opening and warming up took. ``is_quick`` models answer a few rows in
    less time than a thread takes to wake; ``is_shared`` ones may be called by several threads at
    a time.
    """

    name: str
    version: str
    bundle: Bundle
    runtime: Runtime
    validator: Validator
    decoder: JsonDecoder
    load_s: float
    is_quick: bool
    is_shared: bool

    @property
    def signature(self) -> Signature:
        """What goes in and out; where strict, what was never missing in training may not be."""
        return self.validator.signature

    @property
    def manifest(self) -> Manifest:
        """How the bundle is run."""
        return self.bundle.manifest


def load_model(name: str, folder: Path, open_runtime: OpenRuntime, *, strict: bool) -> LoadedModel:
    """Check, open and warm up the bundle in ``folder``, to answer under ``name``.

    Raises:
        DigestMismatch: the contents are not those the record names.
        LoadFailed: it cannot be read, opened or run on a sample row.
        MissingExtra: it needs a library that is not installed.
    """
    started = time.perf_counter()
    bundle = open_bundle(folder)
    runtime = open_runtime(folder, bundle.signature, bundle.manifest)
    runtime.predict(sample_table(bundle.signature))
    signature = _strictly(bundle.signature) if strict else bundle.signature
    validator = Validator(signature, strict=strict)
    return LoadedModel(
        name=name,
        version=bundle.digest,
        bundle=bundle,
        runtime=runtime,
        validator=validator,
        decoder=JsonDecoder(signature, validator),
        load_s=time.perf_counter() - started,
        is_quick=bundle.manifest.is_compiled,
        is_shared=bundle.manifest.runtime in _SHARED_RUNTIMES,
    )


def _strictly(signature: Signature) -> Signature:
    """The signature with every column required that training data was never without."""
    columns = tuple(
        replace(column, nullable=False, optional=False) if column.was_never_missing else column
        for column in signature.columns
    )
    return replace(signature, columns=columns)
