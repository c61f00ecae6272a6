"""Whether the service and its models answer now, for everybody who asks it in this door."""

from __future__ import annotations

from modelway.domain.errors import NotFound
from modelway.inference.catalogue import Entry
from modelway.inference.dataplane import DataPlane


class States:
    """States as the data plane knows them; ``drain`` ends being ready."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane
        self._draining = False

    def drain(self) -> None:
        """Be ready no more; what is under way is finished."""
        self._draining = True

    def ready(self) -> bool:
        """Whether the service takes calls."""
        return not self._draining

    def model_ready(self, name: str, version: str | None = None) -> bool | None:
        """Whether a model answers, None if there is none of this name and version."""
        try:
            entry = self._plane.router.live(name, version)
        except NotFound:
            return None
        return self.ready() and answers(entry)


def answers(entry: Entry) -> bool:
    """Whether a call is answered: one that is not open is opened by the call."""
    return entry.state in ("ready", "unloaded")
