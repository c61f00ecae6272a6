"""The plan of a service: all that each of its processes needs to know to answer.

A supervisor hands it to its workers as JSON; one process alone uses it as it is. It is replaced as
what answers changes, so that a process that starts later answers the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from modelway.access.keys import Key
from modelway.endpoints.planned import PlannedEndpoint, PlannedVersion
from modelway.inference.ports import KEPT_VERSIONS
from modelway.settings import (
    GrpcSettings,
    InferenceSettings,
    RestSettings,
    ServeSettings,
    Settings,
    TelemetrySettings,
)


class Place(msgspec.Struct, frozen=True):
    """Where a service has its things, once its sockets are bound."""

    metrics_folder: str
    administration: str
    grpc_address: str = ""


class RecordPlan(msgspec.Struct, frozen=True):
    """What is recorded, and where: ``root`` is the folder of the records.

    ``sampling`` is the share of predictions, 0 to 1. ``dropped`` and ``hashed`` are columns;
    ``key`` is what hashes them, as hexadecimal digits.
    """

    root: str
    sampling: float = 1.0
    dropped: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    key: str = ""
    flush_s: float = 0.02


class JobPlan(msgspec.Struct, frozen=True):
    """Where jobs are kept: ``store`` is the URL of the store, with its password.

    ``lasts_s`` is for how long their answers are of use, ``longest_wait_s`` how long a caller may
    wait for one. ``callbacks`` are what URLs begin with that may be called at their end.
    Where it is ``durable``, a loss of power loses no job. ``broker`` is the URL of what spreads
    them, empty where the store itself is the queue. ``uploads_bytes`` is what one caller's uploads
    may hold.
    """

    store: str
    lasts_s: float
    longest_wait_s: int
    uploads_bytes: int
    callbacks: tuple[str, ...] = ()
    durable: bool = False
    broker: str = ""


class ServePlan(msgspec.Struct, frozen=True):
    """All that a process needs to know to answer, the same for every worker of a service.

    ``default`` is the endpoint behind ``/predict``. Without ``allow_pickle`` a bundle that answers
    with a pickle is not opened. ``metrics_folder`` holds the slots' files, ``home`` is where the
    service keeps what it keeps. ``administration`` is the URL of the service's
    own, ``grpc_address`` is where gRPC is answered, empty for nowhere. Where a process does not
    ``insist``, a model that cannot be opened leaves the others answering. ``keys`` may ask for
    predictions; where they are None everybody may. What
    ``records`` says is recorded, nothing where it is None; so it is with ``jobs``, which are taken.
    """

    endpoints: tuple[PlannedEndpoint, ...]
    default: str
    serve: ServeSettings
    rest: RestSettings
    grpc: GrpcSettings
    inference: InferenceSettings
    telemetry: TelemetrySettings
    allow_pickle: bool
    metrics_folder: str
    home: str
    administration: str
    grpc_address: str = ""
    insists: bool = True
    keys: tuple[Key, ...] | None = None
    records: RecordPlan | None = None
    jobs: JobPlan | None = None

    @staticmethod
    def of(
        settings: Settings,
        endpoints: Sequence[PlannedEndpoint],
        default: str,
        place: Place,
        *,
        insists: bool = True,
        keys: Sequence[Key] | None = None,
        records: RecordPlan | None = None,
        jobs: JobPlan | None = None,
    ) -> ServePlan:
        """The plan of a service by its settings."""
        return ServePlan(
            endpoints=tuple(endpoints),
            default=default,
            serve=settings.serve,
            rest=settings.rest,
            grpc=settings.grpc,
            inference=settings.inference,
            telemetry=settings.telemetry,
            allow_pickle=settings.bundles.allow_pickle,
            metrics_folder=place.metrics_folder,
            home=str(settings.bundles.home.absolute()),
            administration=place.administration,
            grpc_address=place.grpc_address,
            insists=insists,
            keys=None if keys is None else tuple(keys),
            records=records,
            jobs=jobs,
        )

    @property
    def names(self) -> list[str]:
        """The names of the endpoints."""
        return [one.name for one in self.endpoints]

    def endpoint(self, name: str) -> PlannedEndpoint | None:
        """The endpoint of a name, None if there is none."""
        return next((one for one in self.endpoints if one.name == name), None)

    def with_bundle(self, name: str, folder: Path) -> PlannedEndpoint:
        """The endpoint of a name, which may be new, with a bundle that is no registered version."""
        live = PlannedVersion(str(folder.resolve()))
        endpoint = self.endpoint(name)
        if endpoint is None:
            return PlannedEndpoint(name, live)
        return msgspec.structs.replace(endpoint, live=live)

    def having(self, endpoint: PlannedEndpoint) -> ServePlan:
        """The plan with an endpoint as it is now, or one more; without a default it is that.

        What was live before stays known.
        """
        before = self.endpoint(endpoint.name)
        if before is None:
            endpoints = (*self.endpoints, endpoint)
        else:
            known = [one for one in (*before.older, before.live) if one != endpoint.live]
            older = tuple(dict.fromkeys((*endpoint.older, *known)))[1 - KEPT_VERSIONS :]
            now = msgspec.structs.replace(endpoint, older=older)
            endpoints = tuple(now if one is before else one for one in self.endpoints)
        default = self.default or endpoint.name
        return msgspec.structs.replace(self, endpoints=endpoints, default=default)

    def without(self, name: str) -> ServePlan:
        """The plan without an endpoint; no other becomes the default for it."""
        endpoints = tuple(one for one in self.endpoints if one.name != name)
        default = "" if self.default == name else self.default
        return msgspec.structs.replace(self, endpoints=endpoints, default=default)
