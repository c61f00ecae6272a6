"""What the data plane asks of others: who answers, who watches, who may, who counts.

Nothing heavy is imported here, so that a process that only directs others knows these words too.
``endpoints/router.py`` has the router.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

    from modelway.domain.errors import ModelwayError
    from modelway.domain.inference import InferenceRequest, InferenceResponse
    from modelway.inference.catalogue import Entry
    from modelway.inference.loading import LoadedModel


KEPT_VERSIONS = 20
"""So many versions of a model are known, the newest."""


class Router(Protocol):
    """Which version of which model answers.

    ``endpoints`` are the names that callers may use, in a stable order.
    ``live`` is the entry whose signature an endpoint's callers follow, or the one of a version.
    ``versions`` are all that can be asked for by name, the newest last.
    ``choose`` may give another open model than the live one, for this request only. It may be asked
    twice for a request, and says the same: the choice follows from the request.
    ``default`` is the endpoint behind ``/predict``, None if there is no such one.
    """

    def endpoints(self) -> Sequence[str]:
        """The names of all endpoints."""
        ...

    def live(self, endpoint: str, version: str | None = None) -> Entry:
        """The live entry, or that of a version. Raises EndpointNotFound, VersionNotFound."""
        ...

    def versions(self, endpoint: str) -> Sequence[Entry]:
        """Every version of an endpoint. Raises EndpointNotFound."""
        ...

    def choose(self, request: InferenceRequest, live: LoadedModel) -> LoadedModel:
        """The model that answers a request read by the signature of ``live``."""
        ...

    def default(self) -> str | None:
        """The default endpoint."""
        ...


class Observer(Protocol):
    """Somebody who is told of every answer, after it is made; must neither block nor raise.

    ``answered`` is given at least one answer, and several only of one endpoint and version.
    ``failed`` is given the version that failed, None where none was asked.
    """

    def answered(self, answered: Sequence[Answered]) -> None:
        """Requests were answered."""
        ...

    def failed(
        self,
        request: InferenceRequest,
        error: ModelwayError,
        seconds: float,
        version: str | None = None,
    ) -> None:
        """A request could not be answered."""
        ...


Answered = tuple["InferenceRequest", "InferenceResponse", float]
"""A request, its answer, and the seconds between them."""


class Admission(Protocol):
    """Who is calling and whether they may; asked once a request, before anything is decoded."""

    def principal(self, endpoint: str, headers: Mapping[str, str]) -> str | None:
        """Who calls, None for anybody. Raises a NotPermitted error to refuse."""
        ...


class ModelState(msgspec.Struct, frozen=True):
    """One version of one model in one process.

    ``state`` is ``ready``, ``loading``, ``failed`` (for ``reason``) or ``unloaded``. ``held_bytes``
    is what it takes, by estimate.
    """

    name: str
    version: str
    live: bool
    state: str
    reason: str | None
    held_bytes: int


class Deployment(Protocol):
    """Which bundles answer, and changing it.

    ``load`` has a bundle answer under a name in every process, or changes nothing and raises why.
    ``unload`` has nothing answer under a name any more, and raises EndpointNotFound if nothing did.
    ``states`` are those of one process that answers.
    """

    async def load(self, name: str, folder: Path) -> str:
        """Have the bundle of a folder answer; gives its version."""
        ...

    async def unload(self, name: str) -> None:
        """Have nothing answer under a name."""
        ...

    async def states(self) -> list[ModelState]:
        """Every version that is known."""
        ...


class Watch(Protocol):
    """Who counts what the queue does; called on the event loop, must neither block nor raise."""

    def queued(self, seconds: float) -> None:
        """A request waited so long until its batch was begun."""
        ...

    def batch(self, rows: int, requests: int, seconds: float) -> None:
        """So many rows and requests were asked at once; a runner was busy with them so long."""
        ...


class Meter(Protocol):
    """Who counts what happens to models; must neither block nor raise."""

    def resident_bytes(self) -> int:
        """What this process holds in memory now."""
        ...

    def watch(self, name: str, version: str) -> Watch:
        """Who counts the batches of a version."""
        ...

    def loaded(self, name: str, version: str, seconds: float, held_bytes: int) -> None:
        """A model was opened."""
        ...

    def load_failed(self, name: str, code: str) -> None:
        """A model could not be opened, by an error of this code."""
        ...

    def unloaded(self, name: str, version: str) -> None:
        """A model was closed."""
        ...

    def renamed(self, name: str, before: Collection[str], now: Mapping[str, int]) -> None:
        """Open versions of a model are called otherwise ``now``, and hold so many bytes each."""
        ...

    def observer_failed(self, observer: str) -> None:
        """An observer of this kind raised; the answer was given all the same."""
        ...
