"""Errors of what contradicts something that is there already."""

from __future__ import annotations

from collections.abc import Sequence

from modelway.domain.errors.base import ModelwayError


class Conflict(ModelwayError):
    """The wish contradicts what is there."""

    code = "conflict"


class TargetExists(Conflict):
    """Something is already where a new thing should go."""

    code = "target-exists"


class ResumeMismatch(Conflict):
    """What was begun cannot be gone on with, as it was begun with something else."""

    code = "resume-mismatch"

    def __init__(self, output: str, changed: Sequence[str], errors: str) -> None:
        self.changed = tuple(changed)
        super().__init__(
            f"{output} cannot be gone on with: {'; '.join(changed[:10])}",
            hint=f"give what it was begun with, or remove {output}.parts, and {errors} where it is "
            "there, and begin anew",
        )


class PromotionConflict(Conflict):
    """Somebody else moved the alias first."""

    code = "promotion-conflict"


class EndpointChanged(Conflict):
    """Somebody else changed the endpoint first."""

    code = "endpoint-changed"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name} was changed by somebody else meanwhile",
            hint="look at it again: modelway endpoint show",
        )


class ProposalDecided(Conflict):
    """Somebody else approved or declined it already, or it has expired."""

    code = "proposal-decided"


class IdempotencyMismatch(Conflict):
    """An id of the caller's own came before, with other inputs."""

    code = "idempotency-mismatch"

    def __init__(self, endpoint: str, prediction_id: str) -> None:
        self.endpoint = endpoint
        self.prediction_id = prediction_id
        super().__init__(
            f"{endpoint} was asked under the id {prediction_id} before, with other inputs",
            hint="send each prediction under an id of its own, or without one",
        )


class IllegalTransition(Conflict):
    """A job is in a state that what was asked for cannot follow."""

    code = "illegal-transition"

    def __init__(self, job_id: str, state: str, to: str) -> None:
        self.job_id, self.state, self.to = job_id, state, to
        super().__init__(f"the job {job_id[:200]!r} is {state}, and cannot be {to} after that")


class NotReplayable(Conflict):
    """What was recorded of a prediction is not enough to make it again."""

    code = "not-replayable"
