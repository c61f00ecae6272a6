"""The root of all errors, and what one of a request names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one value of a request.

    ``pointer`` is a JSON pointer into what was sent ("/3/age"), ``column`` the signature's name,
    ``received`` what came, as text of at most 80 characters, or None where nothing came.
    """

    pointer: str
    column: str
    code: str
    received: str | None
    expected: str

    @property
    def message(self) -> str:
        """The problem as one sentence."""
        came = "nothing came" if self.received is None else f"got {self.received}"
        return f"{self.column}: expected {self.expected}, {came}"


class ModelwayError(Exception):
    """Anything that Modelway raises on purpose.

    ``code`` is stable and meant for programs, ``retryable`` says whether the same call may succeed
    later, ``hint`` what to do next.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
