"""The statistics extension: what each model has answered, exactly one entry a version asked for.

They are those of the process that is asked, since it began; port 8090 has the numbers of all. What
is not told apart (waiting, reading, writing) is in ``compute_infer`` or not counted. A failure is
counted with the live version of its endpoint.

Source: Triton Inference Server, "Statistics Extension".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from modelway.inference.catalogue import Entry
from modelway.inference.dataplane import DataPlane
from modelway.inference.statistics import Failures, Statistics
from modelway.rest.http import Request, Response
from modelway.rest.routes import Route

_NONE = {"count": 0, "ns": 0}


def statistics_routes(plane: DataPlane, statistics: Statistics) -> Iterator[tuple[str, Route]]:
    """Those of all models, of one, and of one of its versions."""
    router = plane.router

    async def every(_: Request) -> Response:
        names = router.endpoints()
        return _response([_entry(name, router.live(name)) for name in names])

    async def one(request: Request) -> Response:
        name = request.captures["name"]
        return _response([_entry(name, router.live(name, request.captures.get("version")))])

    def _entry(name: str, entry: Entry) -> dict[str, Any]:
        is_live = entry.version == router.live(name).version
        failures = statistics.failures(name) if is_live else Failures()
        return model_statistics(name, entry.version, statistics, failures)

    yield "/v2/models/stats", Route(GET=every)
    yield "/v2/models/{name}/stats", Route(GET=one)
    yield "/v2/models/{name}/versions/{version}/stats", Route(GET=one)


def model_statistics(
    name: str, version: str, statistics: Statistics, failures: Failures
) -> dict[str, Any]:
    """The entry of one version; times are in nanoseconds, the last answer in milliseconds."""
    answers = statistics.answers(name, version)
    answered = {"count": answers.requests, "ns": _ns(answers.seconds)}
    return {
        "name": name,
        "version": version,
        "last_inference": int(answers.last * 1000),
        "inference_count": answers.rows,
        "execution_count": answers.requests,
        "inference_stats": {
            "success": answered,
            "fail": {"count": failures.requests, "ns": _ns(failures.seconds)},
            "queue": _NONE,
            "compute_input": _NONE,
            "compute_infer": answered,
            "compute_output": _NONE,
            "cache_hit": _NONE,
            "cache_miss": _NONE,
        },
        "batch_stats": [],
    }


def _response(entries: list[dict[str, Any]]) -> Response:
    return Response(msgspec.json.encode({"model_stats": entries}))


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
