"""``POST /labels``: what turned out to be true of predictions, on the port that answers them.

Whoever got an answer may say here what was true, one or many at once. Who says so is the key that
came, where keys are asked for. This process has no store, so labels are handed on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from modelway.access.admitting import Keys
from modelway.access.routes import Door, rule_of
from modelway.domain.errors import InvalidInput
from modelway.records.labelling import Claim, read_claims
from modelway.rest.http import Answer, Headers, Request, Response
from modelway.rest.routes import Route

PATH = "/labels"

ANONYMOUS = "anonymous"
"""Who says so where nobody is asked and nobody says."""

_SMALL_BYTES = 8 * 1024
"""What is larger is not read on the event loop."""

_KEY_HEADERS = ("authorization", "x-api-key")


class LabelPort(Protocol):
    """Who takes labels.

    ``label`` stores what is said of predictions, and gives the labels with their revisions; ``key``
    are the headers by which the caller is known there, None where nobody is asked.
    """

    async def label(
        self, claims: Sequence[Claim], key: Mapping[str, str] | None
    ) -> Sequence[object]:
        """Store what is said of predictions. Raises InvalidInput, NotPermitted, Unavailable."""
        ...


def labelling(port: LabelPort | None, keys: Keys | None) -> Iterator[tuple[str, Route]]:
    """The route, where somebody takes labels; it asks ``keys`` itself, if there are any."""
    if port is not None:
        yield PATH, Route(POST=_answer(port, keys))


def _answer(port: LabelPort, keys: Keys | None) -> Answer:
    scopes = rule_of(Door.HTTP, "POST", PATH).scopes or frozenset()

    async def answer(request: Request) -> Response:
        key = None
        if keys is not None:
            headers = Headers(request.headers)
            keys.caller(headers, scopes)
            key = {name: headers[name] for name in _KEY_HEADERS if name in headers}
        if len(request.body) < _SMALL_BYTES:
            claims = read_claims(request.body)
        else:
            claims = await asyncio.to_thread(read_claims, request.body)
        stored = await port.label(_said(claims, keyed=keys is not None), key)
        return Response(msgspec.json.encode({"labels": stored}))

    return answer


def _said(claims: Sequence[Claim], *, keyed: bool) -> Sequence[Claim]:
    """The claims with who says so. Raises InvalidInput where that is said beside a key."""
    if not keyed:
        return [
            msgspec.structs.replace(claim, source=claim.source or ANONYMOUS) for claim in claims
        ]
    if any(claim.source for claim in claims):
        raise InvalidInput("source: your key says who says so", hint="leave source out")
    return claims
