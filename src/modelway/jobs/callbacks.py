"""Callbacks: who is told that a job has ended, kept in the store until they were.

    a job ends ── one transaction ──> a callback is owed
    Callbacks.take ──> it is posted ──> told, or later again, or given up

A callback is taken with a lease: whoever takes it and dies leaves it to the next. So it is posted
at least once, each time with the same id, by which who is called may tell.

The URL is one that the settings allow: of the scheme, host and port of a prefix, and of its path or
below. It is compared before a job is taken, and again before it is called.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from modelway.domain.errors import BadValue, CallbackRefused
from modelway.domain.jobs import JobState

_LONGEST = 2048
_WRITTEN = re.compile(r"https?://[!-~]+", re.IGNORECASE)
USUAL_PORTS = {"http": 80, "https": 443}
_NOT_UTF_8 = "\ufffd"


@dataclass(frozen=True, slots=True)
class Callback:
    """One end of a job that somebody is to be told of.

    ``tries`` counts the posts so far, the one under way too; ``next_at`` is when the next is due,
    None once it was ``told`` or given up. ``error`` is why the last one failed.
    """

    id: str
    job: str
    url: str
    state: JobState
    made_at: datetime
    tries: int
    next_at: datetime | None = None
    told: bool = False
    error: str | None = None


class Callbacks(Protocol):
    """Callbacks that are owed; every method raises StoreUnavailable.

    ``take`` gives some that are due, the oldest first, and leases each for ``lease_s``: nobody else
    takes it until then. Those of the origins in ``but`` are left, as ``origin_of`` says them.
    ``settle`` says what came of one that was taken: it was told where ``error`` is None, else it is
    due again at ``next_at``, or never. Where another has taken it since, nothing changes.
    """

    def take(
        self, n: int, at: datetime, lease_s: float, but: Sequence[str] = ()
    ) -> Sequence[Callback]:
        """Some that are due."""
        ...

    def settle(self, callback: Callback, error: str | None, next_at: datetime | None) -> None:
        """What came of one."""
        ...

    def callbacks(self, job_id: str) -> Sequence[Callback]:
        """Those of a job, the oldest first."""
        ...


def origin_of(url: str) -> str:
    """The scheme, host and port of a URL that is allowed, as it has them, in small letters."""
    found = urlsplit(url)
    return f"{found.scheme}://{found.netloc}".lower()


class AllowedUrls:
    """The URLs that may be called; ``prefixes`` are those of the settings.

    Raises:
        BadValue: one of them is no such prefix.
    """

    def __init__(self, prefixes: Sequence[str]) -> None:
        self._prefixes = []
        for prefix in prefixes:
            try:
                self._prefixes.append(_split(prefix))
            except ValueError as error:
                raise BadValue(
                    f"jobs.callbacks: {prefix!r} is no URL to begin with: {error}",
                    hint="write https://hooks.example.com/jobs",
                ) from None

    def check(self, url: str) -> None:
        """Do nothing if a URL may be called. Raises CallbackRefused."""
        if not self._prefixes:
            raise CallbackRefused(url, "no callbacks are allowed here")
        try:
            found = _split(url)
        except ValueError as error:
            raise CallbackRefused(url, str(error)) from None
        if not any(_is_below(found, one) for one in self._prefixes):
            raise CallbackRefused(url, "it is not among those that are allowed")


def _split(text: str) -> SplitResult:
    """A URL that nobody reads in two ways. Raises ValueError, which says what it has."""
    if len(text) > _LONGEST:
        raise ValueError(f"it is longer than {_LONGEST} characters")
    if not _WRITTEN.fullmatch(text) or "\\" in text:
        raise ValueError("expected http:// or https:// and visible ASCII characters")
    url = urlsplit(text)
    if not url.hostname or "@" in url.netloc or url.fragment or url.port == 0:
        raise ValueError("expected a host, and neither user nor fragment")
    path = _decoded(url.path)
    if not path.isprintable() or _NOT_UTF_8 in path:
        raise ValueError("expected a path of visible characters in UTF-8")
    # Some servers take what is behind a semicolon for parameters, and climb then.
    parts = [part.partition(";")[0].strip() for part in re.split(r"[/\\]", path)]
    if "." in parts or ".." in parts:
        raise ValueError("expected a path without . and ..")
    return url


def _decoded(path: str) -> str:
    """A path as whoever decodes it most often reads it."""
    while (once := unquote(path)) != path:
        path = once
    return path


def _origin(url: SplitResult) -> tuple[str, str | None, int]:
    return url.scheme, url.hostname, url.port or USUAL_PORTS[url.scheme]


def _is_below(url: SplitResult, prefix: SplitResult) -> bool:
    if _origin(url) != _origin(prefix) or prefix.query:
        return url == prefix
    start = prefix.path.rstrip("/")
    return url.path.rstrip("/") == start or url.path.startswith(f"{start}/")
