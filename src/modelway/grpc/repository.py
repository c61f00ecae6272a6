"""The repository as Triton's clients read it: what there is, and what it has answered.

Statistics are those of the process that is asked, since it began. What is not told apart (waiting,
reading, writing) is in ``compute_infer`` or not counted; a failure is counted with the live version
of its endpoint.

Source: Triton Inference Server, "Model Repository Extension" and "Statistics Extension".
"""

from __future__ import annotations

from google.protobuf.message import Message

from modelway.grpc import messages
from modelway.grpc.calls import Call, parsed
from modelway.inference.catalogue import Entry
from modelway.inference.dataplane import DataPlane
from modelway.inference.statistics import Statistics

_STATES = {"ready": "READY", "loading": "LOADING"}


class Repository:
    """Reads what a data plane knows; nothing is loaded or unloaded through this door."""

    def __init__(self, plane: DataPlane, statistics: Statistics) -> None:
        self._plane = plane
        self._statistics = statistics

    async def index(self, _: Call, message: bytes) -> Message:
        """Every version of every model, or only those that are open."""
        asked = parsed(messages.RepositoryIndexRequest, message)
        answer = messages.RepositoryIndexResponse()
        router = self._plane.router
        for name in router.endpoints():
            for entry in router.versions(name):
                if entry.state == "ready" or not asked.ready:
                    answer.models.add(
                        name=name,
                        version=entry.version,
                        state=_STATES.get(entry.state, "UNAVAILABLE"),
                        reason=_reason(entry),
                    )
        return answer

    async def statistics(self, _: Call, message: bytes) -> Message:
        """Those of a version, of a model's live one where none is named, or of every model."""
        asked = parsed(messages.ModelStatisticsRequest, message)
        router = self._plane.router
        names = [asked.name] if asked.name else router.endpoints()
        version = (asked.version or None) if asked.name else None
        entries = [(name, router.live(name, version).version) for name in names]
        return messages.ModelStatisticsResponse(
            model_stats=[self._of(name, found) for name, found in entries]
        )

    def _of(self, name: str, version: str) -> messages.ModelStatistics:
        answers = self._statistics.answers(name, version)
        answered = _duration(answers.requests, answers.seconds)
        statistics = messages.InferStatistics(success=answered, compute_infer=answered)
        if version == self._plane.router.live(name).version:
            failures = self._statistics.failures(name)
            statistics.fail.CopyFrom(_duration(failures.requests, failures.seconds))
        return messages.ModelStatistics(
            name=name,
            version=version,
            last_inference=int(answers.last * 1000),
            inference_count=answers.rows,
            execution_count=answers.requests,
            inference_stats=statistics,
        )


def _duration(count: int, seconds: float) -> messages.StatisticDuration:
    return messages.StatisticDuration(count=count, ns=round(seconds * 1e9))


def _reason(entry: Entry) -> str:
    """Why an entry is not open, as far as strangers may know."""
    return {"failed": "it could not be opened", "unloaded": "unloaded"}.get(entry.state, "")
