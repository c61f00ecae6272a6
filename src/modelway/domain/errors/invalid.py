"""Errors of what was sent or given."""

from __future__ import annotations

from collections.abc import Sequence

from modelway.domain.addresses import without_secrets
from modelway.domain.errors.base import ModelwayError, Problem


class InvalidInput(ModelwayError):
    """What was sent or given is wrong; sending it again will not help."""

    code = "invalid-input"


class SignatureMismatch(InvalidInput):
    """Values that do not fit the signature; carries every problem at once."""

    code = "signature-mismatch"

    def __init__(self, problems: Sequence[Problem], *, total: int | None = None) -> None:
        self.problems = tuple(problems)
        self.total = len(self.problems) if total is None else total
        first = "; ".join(p.message for p in self.problems[:3])
        more = f"; and {self.total - 3} more" if self.total > 3 else ""
        super().__init__(f"{first}{more}")


class InputRefused(InvalidInput):
    """The model itself refused values that fit its signature, a number too large for it say."""

    code = "input-refused"


class TooManyErrors(InvalidInput):
    """More rows of a file could not be answered than are allowed."""

    code = "too-many-errors"


class MalformedPayload(InvalidInput):
    """A body, row or file that cannot be read at all."""

    code = "malformed-payload"


class PayloadTooLarge(InvalidInput):
    """More bytes, rows or nesting than the settings allow."""

    code = "payload-too-large"


class HeadTooLarge(InvalidInput):
    """A request line and headers of more bytes than are taken."""

    code = "head-too-large"


class RequestIncomplete(InvalidInput):
    """A request of which too little came in the time it is given."""

    code = "request-incomplete"


class UnsupportedMedia(InvalidInput):
    """A content type that is not read here."""

    code = "unsupported-media"


class NotAcceptable(InvalidInput):
    """No content type that the caller accepts is written here."""

    code = "not-acceptable"


class IdempotencyKeyReused(InvalidInput):
    """A caller's idempotency key came before, with another job."""

    code = "idempotency-key-reused"

    def __init__(self, key: str, job_id: str) -> None:
        self.key = key
        self.job_id = job_id
        super().__init__(
            f"the idempotency key {key[:80]!r} came before, with another job",
            hint=f"send each job under a key of its own; that one is the job {job_id}",
        )


class CallbackRefused(InvalidInput):
    """A URL that this service does not call when a job has ended."""

    code = "callback-refused"

    def __init__(self, url: str, why: str) -> None:
        self.url = url
        super().__init__(
            f"{without_secrets(url)[:200]!r} is not called: {why}",
            hint="jobs.callbacks of the settings lists what may be",
        )


class InvalidName(InvalidInput):
    """A name that does not match the pattern for names."""

    code = "invalid-name"

    def __init__(self, name: str, expected: str) -> None:
        self.name = name
        super().__init__(f"{name!r} is not a usable name: expected {expected}")


class InvalidSource(InvalidInput):
    """A model source that cannot be understood."""

    code = "invalid-source"


class InvalidSignature(InvalidInput):
    """A signature that contradicts itself or the model."""

    code = "invalid-signature"
