"""Sources that are references: what a registry holds, fetched and bundled by the rules of a
promotion.

A version never changes. Its bundle is therefore found again by its number, and answers while the
registry is away: by the links of the store where the registry is the home's, else by what the home
noted of a registry at another address. What a run has logged may change, and is fetched each time.

Who serves what is here imports neither a store nor a client of a registry.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelway.domain.errors import (
    AliasNotFound,
    InvalidInput,
    MissingExtra,
    RegistryUnavailable,
    Unavailable,
)
from modelway.domain.names import alias_of
from modelway.domain.references import ModelReference, RunReference, parse_reference

if TYPE_CHECKING:
    from modelway.bundles.store import Bundle
    from modelway.composition.bundling import BuildRequest
    from modelway.composition.control import Control
    from modelway.settings import Settings

Say = Callable[[str], object]

_WRITTEN = re.compile(r"(models|runs):/.*|[^/\\]+:[0-9]+|[^/\\]+@[A-Za-z0-9_-]+", re.DOTALL)


def reference_in(source: str) -> ModelReference | RunReference | None:
    """What a source refers to in a registry; None for one that is, or should be, a path.

    A name alone is a path, and so is whatever is there.

    Raises:
        InvalidName: it is written as a reference and is none.
    """
    if _WRITTEN.fullmatch(source) is None or Path(source).exists():
        return None
    return parse_reference(source)


def name_of(reference: ModelReference | RunReference) -> str:
    """What a model is called that nobody gave another name."""
    if isinstance(reference, RunReference):
        return alias_of(Path(reference.path).name, 0)
    return alias_of(reference.name, 0)


def referred(request: BuildRequest, settings: Settings, say: Say) -> Path:
    """The folder, in the home, of the bundle of what the request's source refers to.

    Raises:
        InvalidName: it is no reference.
        InvalidInput: no registry is named, and the home has none that runs.
        MissingExtra: a library for the store is not installed.
        RegistryUnavailable: the registry cannot be reached, and no bundle of that version is here.
        NotFound: there is no such model, version, alias or run.
        Conflict: the version is archived.
        UntrustedRegistry: it is a pickle, and the registry is not listed as trusted.
        ModelwayError: it cannot be built.
    """
    with _opened(settings) as control:
        return _Referring(control, request, say).folder()


def build_referred(request: BuildRequest, output: Path, settings: Settings, say: Say) -> Bundle:
    """The bundle of what the request's source refers to, built into ``output``.

    Raises:
        TargetExists: something is in ``output``.
        ModelwayError: as ``referred``; the registry has to be there.
    """
    with _opened(settings) as control:
        return _Referring(control, request, say).built(output)


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[Control]:
    try:
        from modelway.composition.control import Control
    except ImportError as error:
        raise MissingExtra(error.name or "sqlalchemy", "store", "a version of a registry") from None
    with Control(settings) as control:
        yield control


@dataclass(frozen=True, slots=True)
class _Referring:
    """One request whose source is a reference."""

    control: Control
    request: BuildRequest
    say: Say

    def folder(self) -> Path:
        """The folder of the bundle, fetched and built if it has to be."""
        reference, asked = parse_reference(self.request.source), self.request
        apart = (asked.data, asked.target, asked.signature, asked.code, asked.labels, asked.python)
        # What is to hold no pickle is looked at anew: what is here may have been made of one.
        anew = not self.control.settings.bundles.allow_pickle or any(apart)
        if isinstance(reference, RunReference) or anew:
            return self.built(None).folder
        fixed = reference.version is not None
        here = self._here(reference.name, reference.version) if reference.version else None
        if fixed and here is not None and not self._has_registry():
            return here
        model, version = self._version(reference)
        here = self._here(model, version)
        try:
            self.control.registry.version(model, version).check_not_archived()
        except RegistryUnavailable as error:
            if here is None:
                raise
            if not fixed:
                raise RegistryUnavailable(
                    error.message, hint=f"{model}:{version} is bundled here, and needs no registry"
                ) from error
            self.say(f"{error.message}; {model}:{version} is bundled here already")
        return here or self._bundled(model, version)

    def built(self, output: Path | None) -> Bundle:
        """The bundle, fetched now; into ``output``, or into the home where that is None."""
        reference = parse_reference(self.request.source)
        with self._fetched(reference) as (what, files):
            from modelway.composition.registered import source_in

            name = self.request.name or name_of(reference)
            request = replace(self.request, source=str(source_in(files)), name=name)
            return self.control.registered.built(what, request, self.say, output)

    @contextlib.contextmanager
    def _fetched(self, reference: ModelReference | RunReference) -> Iterator[tuple[str, Path]]:
        """The files that are meant, and what they are called, while they are needed."""
        if isinstance(reference, ModelReference):
            model, version = self._version(reference)
            self.control.registry.version(model, version).check_not_archived()
            with self.control.registered.fetched(model, version) as files:
                yield f"{model}:{version}", files
            return
        self._check_registry()
        with tempfile.TemporaryDirectory(prefix="run-", dir=self.control.home.path) as folder:
            self.control.registry.fetch_run(reference, Path(folder) / "logged")
            yield str(reference), Path(folder) / "logged"

    def _version(self, reference: ModelReference) -> tuple[str, str]:
        """The model and the number that are meant now."""
        self._check_registry()
        if reference.alias is None or self._is_home():
            return self.control.meanings.version(str(reference), reference.name)
        # The ledger is of the moves of the home's own registry.
        aliases = self.control.registry.model(reference.name).aliases
        if reference.alias not in aliases:
            raise AliasNotFound(reference.name, reference.alias, [*aliases])
        return reference.name, aliases[reference.alias]

    def _bundled(self, model: str, version: str) -> Path:
        """The folder of the bundle of a version, which is fetched."""
        registered = self.control.registered
        if self._is_home():
            found = registered.folder(registered.bundle(model, version, self.say))
            if found is None:
                raise Unavailable(f"the bundle of {model}:{version} was removed meanwhile")
            return found
        bundle = self.built(None)
        registered.note(model, version, bundle.digest)
        return bundle.folder

    def _here(self, model: str, version: str) -> Path | None:
        """The folder of the bundle of a version that was bundled before."""
        registered = self.control.registered
        if not self._is_home():
            return registered.noted(model, version)
        digest = self.control.store.links.digest(model, version)
        return None if digest is None else registered.folder(digest)

    def _is_home(self) -> bool:
        """Whether the registry is the one whose versions the store links to bundles."""
        return self.control.home.is_registry(self.control.settings.registry.url)

    def _has_registry(self) -> bool:
        running = self.control.home.running()
        own = running is not None and bool(running.registry)
        return own or bool(self.control.settings.registry.url)

    def _check_registry(self) -> None:
        if not self._has_registry():
            raise InvalidInput(
                f"{self.request.source} is looked for in a registry, and none is named",
                hint="name one with --registry URL or MODELWAY__REGISTRY__URL, or run modelway up "
                f"in {self.control.home.path}",
            )
