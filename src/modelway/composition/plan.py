"""The plan of a service: all that each of its processes needs to know to answer.

A supervisor hands it to its workers as JSON; one process alone uses it as it is.
"""

from __future__ import annotations

import msgspec

from modelway.settings import (
    GrpcSettings,
    InferenceSettings,
    RestSettings,
    ServeSettings,
    TelemetrySettings,
)


class PlannedEndpoint(msgspec.Struct, frozen=True):
    """A bundle's folder and the name it answers under; ``route`` and ``output_name`` if wanted.

    ``older`` are the folders of versions that answered before, the newest last.
    """

    name: str
    folder: str
    route: str | None = None
    output_name: str | None = None
    older: tuple[str, ...] = ()


class ServePlan(msgspec.Struct, frozen=True):
    """All that a process needs to know to answer, the same for every worker of a service.

    ``default`` is the endpoint behind ``/predict``. Without ``allow_pickle`` a bundle that answers
    with a pickle is not opened. ``metrics_folder`` holds the slots' files, ``home`` is where the
    service keeps what it keeps. ``administration`` is the URL of the service's
    own, ``grpc_address`` is where gRPC is answered, empty for nowhere.
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
