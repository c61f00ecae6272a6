"""Roll-outs: the ways in which an endpoint is changed, each a new revision with who and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from modelway.domain.errors import EndpointNotFound, InvalidInput, TargetExists
from modelway.domain.names import check_name
from modelway.domain.references import ModelReference, parse_reference
from modelway.endpoints.endpoint import Canary, Endpoint, Revision
from modelway.endpoints.ports import EndpointStore
from modelway.endpoints.splitting import check_split, check_weights


class Rollouts:
    """Changes the endpoints of a store; ``clock`` gives the time.

    Every method raises EndpointChanged where somebody else was quicker, EndpointNotFound where
    there is no such endpoint, and InvalidInput or InvalidName for what cannot be.
    """

    def __init__(self, store: EndpointStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def create(self, endpoint: Endpoint, actor: str, why: str = "") -> Revision:
        """A new endpoint. Raises TargetExists where there is one of its name."""
        check(endpoint)
        before = self._store.find(endpoint.name)
        if before is not None and before.endpoint is not None:
            raise TargetExists(
                f"there is an endpoint {endpoint.name} already",
                hint="modelway endpoint show tells what it is",
            )
        return self._append(endpoint.name, before, endpoint, actor, why)

    def live(self, name: str, reference: str, actor: str, why: str = "") -> Revision:
        """Have another version be live, or another alias be followed."""
        return self.change(name, lambda one: replace(one, live=reference), actor, why)

    def canary(
        self, name: str, reference: str, weight: float, actor: str, why: str = ""
    ) -> Revision:
        """Have a version answer a share of the requests, or another share than it did."""

        def change(one: Endpoint) -> Endpoint:
            canaries = {canary.reference: canary for canary in one.canaries}
            canaries[reference] = Canary(reference, weight)
            return replace(
                one,
                canaries=tuple(canaries.values()),
                shadows=tuple(shadow for shadow in one.shadows if shadow != reference),
            )

        return self.change(name, change, actor, why)

    def shadow(self, name: str, reference: str, actor: str, why: str = "") -> Revision:
        """Have a version see the same requests, and answer nobody."""

        def change(one: Endpoint) -> Endpoint:
            if reference in {canary.reference for canary in one.canaries}:
                raise InvalidInput(f"{reference} is a canary of {name}", hint="end it first")
            return replace(one, shadows=tuple(dict.fromkeys((*one.shadows, reference))))

        return self.change(name, change, actor, why)

    def end(self, name: str, reference: str, actor: str, why: str = "") -> Revision:
        """Have a canary or a shadow do nothing for the endpoint any more."""

        def change(one: Endpoint) -> Endpoint:
            now = replace(
                one,
                canaries=tuple(c for c in one.canaries if c.reference != reference),
                shadows=tuple(shadow for shadow in one.shadows if shadow != reference),
            )
            if now == one:
                there = ", ".join((*(c.reference for c in one.canaries), *one.shadows))
                raise InvalidInput(
                    f"{reference} is neither a canary nor a shadow of {name}",
                    hint=f"there is: {there or 'none'}",
                )
            return now

        return self.change(name, change, actor, why)

    def remove(self, name: str, actor: str, why: str = "") -> Revision:
        """Have nothing answer under a name any more; its history stays."""
        return self._append(name, self._there(name), None, actor, why)

    def change(
        self, name: str, change: Callable[[Endpoint], Endpoint], actor: str, why: str = ""
    ) -> Revision:
        """An endpoint as ``change`` makes it; where that is as it was, there is no new revision."""
        before = self._there(name)
        now = before.endpoint and change(before.endpoint)
        if now is None or now == before.endpoint:
            return before
        check(now)
        return self._append(name, before, now, actor, why)

    def show(self, name: str) -> Revision:
        """How an endpoint is now."""
        return self._there(name)

    def all(self) -> Sequence[Revision]:
        """How every endpoint is now."""
        return self._store.current()

    def history(self, name: str) -> Sequence[Revision]:
        """Every revision of an endpoint, the oldest first."""
        found = self._store.history(name)
        if not found:
            raise self._missing(name)
        return found

    def _there(self, name: str) -> Revision:
        found = self._store.find(name)
        if found is None or found.endpoint is None:
            raise self._missing(name)
        return found

    def _missing(self, name: str) -> EndpointNotFound:
        return EndpointNotFound(name[:128], [one.name for one in self._store.current()])

    def _append(
        self, name: str, before: Revision | None, now: Endpoint | None, actor: str, why: str
    ) -> Revision:
        number = 1 if before is None else before.number + 1
        revision = Revision(name, number, now, actor, why, self._clock())
        self._store.append(revision)
        return revision


def check(endpoint: Endpoint) -> None:
    """Raises InvalidName or InvalidInput where an endpoint cannot be so."""
    for reference in endpoint.versions:
        of_model(reference)
    check_beside_references(endpoint)


def check_beside_references(endpoint: Endpoint) -> None:
    """Raises InvalidName or InvalidInput where an endpoint cannot be so, whatever its references
    mean."""
    check_name(endpoint.name)
    references = endpoint.references
    if len(set(references)) != len(references):
        raise InvalidInput(
            f"{endpoint.name} names one reference in two roles: {', '.join(references)}"
        )
    check_weights([one.weight for one in endpoint.canaries])
    check_split(endpoint.split_by)
    bounds = endpoint.bounds
    if not (0 < bounds.error_ratio <= 1 and bounds.latency_ratio >= 1 and bounds.requests >= 1):
        raise InvalidInput(
            f"the bounds of {endpoint.name} cannot be {bounds}",
            hint="error_ratio is within (0, 1], latency_ratio at least 1, requests at least 1",
        )


def of_model(reference: str) -> ModelReference:
    """The model's version that an endpoint may follow.

    Raises:
        InvalidInput: it names a run, which is no version, or neither version nor alias.
        InvalidName: it is no reference.
    """
    found = parse_reference(reference)
    if not isinstance(found, ModelReference) or (found.version or found.alias) is None:
        raise InvalidInput(
            f"an endpoint cannot follow {reference!r}",
            hint="name a version or an alias: loan:7, loan@champion",
        )
    return found
