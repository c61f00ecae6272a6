"""Meanings of references: the model and the number of the version that somebody has named.

A number means itself and an alias what the ledger says, so both are known while the registry is
away. All else is looked up in the registry, now: a stage, ``latest`` and a bare name mean the
newest version that is ready, a run's path the newest version that was registered from there.
"""

from __future__ import annotations

from collections.abc import Sequence

from modelway.domain.errors import (
    AliasNotFound,
    InvalidInput,
    NotFound,
    RegistryUnavailable,
    VersionNotFound,
)
from modelway.domain.references import LATEST, ModelReference, RunReference, parse_reference
from modelway.registry.models import READY, ModelVersion
from modelway.registry.ports import Ledger, RegistryReader


class Meanings:
    """What references mean at the moment when they are asked about."""

    def __init__(self, reader: RegistryReader, ledger: Ledger) -> None:
        self._reader, self._ledger = reader, ledger

    def version(self, text: str, model: str | None = None) -> tuple[str, str]:
        """The model and the number of the version that a reference means, one of ``model``.

        Whether there is such a version is only known of what was looked up.

        Raises:
            InvalidName: it is no reference.
            InvalidInput: it means a version of another model than ``model``.
            RegistryUnavailable: it has to be looked up, and the registry cannot be reached.
            AliasNotFound, ModelNotFound, VersionNotFound, RunNotFound: it means nothing.
            NotFound: nothing was registered from the run's path.
        """
        found = parse_reference(text)
        if isinstance(found, ModelReference) and model not in (None, found.name):
            raise InvalidInput(
                f"{text!r} names a version of {found.name}, and one of {model} is wanted",
                hint=f"a version is a number or a reference: 7, {model}:7, {model}@champion",
            )
        if isinstance(found, ModelReference) and found.version is not None:
            return found.name, found.version
        try:
            if isinstance(found, RunReference):
                return self._of_run(found, model)
            return found.name, self._number(found)
        except RegistryUnavailable as error:
            raise RegistryUnavailable(
                f"only the registry knows which version {text} means: {error.message}",
                hint="name a version or an alias that was promoted: loan:7, loan@champion",
            ) from error

    def followed(self, text: str) -> str:
        """A reference as an endpoint keeps it: an alias is followed, all else is the version that
        it means now.

        Raises:
            InvalidName, RegistryUnavailable, NotFound: as ``version`` does.
        """
        found = parse_reference(text)
        if isinstance(found, ModelReference) and found.alias is not None:
            return str(found)
        return str(ModelReference(*self.version(text)))

    def _number(self, reference: ModelReference) -> str:
        if reference.alias is not None:
            return self._of_alias(reference.name, reference.alias)
        versions = self._reader.versions(reference.name)
        stage = reference.stage or LATEST
        found = [one for one in versions if _is_meant(one, stage)]
        if not found:
            raise VersionNotFound(reference.name, stage, [one.version for one in versions])
        return found[-1].version

    def _of_alias(self, model: str, alias: str) -> str:
        """Where the ledger has an alias; where the registry has it, if it was never moved here."""
        moves = {one.alias: one.to_version for one in self._ledger.current(model)}
        number = moves.get(alias)
        if number is None:
            shown = self._reader.model(model).aliases
            number = shown.get(alias)
            if number is None:
                raise AliasNotFound(model, alias, [*shown])
        return number

    def _of_run(self, reference: RunReference, model: str | None) -> tuple[str, str]:
        found: Sequence[ModelVersion] = [
            one for one in self._reader.registered_from(reference) if model in (None, one.name)
        ]
        if not found:
            raise NotFound(
                f"no version of {model or 'any model'} was registered from {reference}",
                hint=f"modelway model register {reference} --name {model or 'NAME'}",
            )
        newest = max(found, key=lambda one: (one.created_at, int(one.version)))
        return newest.name, newest.version


def _is_meant(version: ModelVersion, stage: str) -> bool:
    """Whether a version may be meant by a stage; an archived one is, by its number alone."""
    if version.state != READY or version.archived_by is not None:
        return False
    return stage in (LATEST, version.stage or "None")
