"""Errors of what may not be done, or not so."""

from __future__ import annotations

from collections.abc import Sequence

from modelway.domain.errors.base import ModelwayError


class MethodNotAllowed(ModelwayError):
    """The path exists, but not with this method."""

    code = "method-not-allowed"

    def __init__(self, method: str, path: str, allowed: Sequence[str]) -> None:
        self.allowed = tuple(allowed)
        super().__init__(f"{method} is not allowed at {path[:200]}: use {' or '.join(allowed)}")


class NotPermitted(ModelwayError):
    """Who calls may not do this."""

    code = "not-permitted"


class Unauthenticated(NotPermitted):
    """No key came, or none that is known."""

    code = "unauthenticated"


class Forbidden(NotPermitted):
    """The key that came does not allow this."""

    code = "forbidden"


class Untrusted(ModelwayError):
    """Something that must not be opened as it is."""

    code = "untrusted"


class DigestMismatch(Untrusted):
    """A bundle whose contents are not those that its digest names."""

    code = "digest-mismatch"

    def __init__(self, where: str, expected: str, found: str) -> None:
        self.expected, self.found = expected, found
        super().__init__(
            f"the contents of {where} do not match its digest: expected {expected}, found {found}",
            hint="build the bundle again from its source; a changed bundle is never served",
        )


class UnsafeFormat(Untrusted):
    """A format that runs code when it is read, where that was not allowed."""

    code = "unsafe-format"


class UntrustedRegistry(Untrusted):
    """A pickle comes from a registry that is not listed as trusted."""

    code = "untrusted-registry"
