"""An endpoint as the processes that answer are told of it: every reference a folder, or a URL.

Whoever directs them resolves references once, for all of them; a process opens what it is told and
asks no registry. Such a plan is JSON on its way to a worker.
"""

from __future__ import annotations

import msgspec


class PlannedVersion(msgspec.Struct, frozen=True):
    """A bundle's folder, and the version that it is; empty for the bundle's own digest.

    ``model`` is what the registry calls the model, empty for what was never registered.
    """

    folder: str
    version: str = ""
    model: str = ""


class PlannedCanary(msgspec.Struct, frozen=True):
    """A version that answers a share of the requests; ``weight`` is within (0, 1)."""

    version: PlannedVersion
    weight: float


class PlannedRemote(msgspec.Struct, frozen=True):
    """A service of others that is a shadow: ``remote:NAME``, and where its model answers."""

    reference: str
    url: str


class PlannedEndpoint(msgspec.Struct, frozen=True):
    """What answers under a name; ``route`` and ``output_name`` if wanted.

    ``older`` answered before and may be asked for by their versions, the newest last. ``split_by``
    and ``salt`` say which requests a canary has. ``missing`` says which canaries and shadows it
    answers without, and why.
    """

    name: str
    live: PlannedVersion
    route: str | None = None
    output_name: str | None = None
    older: tuple[PlannedVersion, ...] = ()
    canaries: tuple[PlannedCanary, ...] = ()
    shadows: tuple[PlannedVersion, ...] = ()
    remotes: tuple[PlannedRemote, ...] = ()
    split_by: str = ""
    salt: str = ""
    missing: tuple[str, ...] = ()

    @property
    def active(self) -> tuple[PlannedVersion, ...]:
        """Every version that is open: the live one first, canaries, shadows."""
        return (self.live, *(one.version for one in self.canaries), *self.shadows)
