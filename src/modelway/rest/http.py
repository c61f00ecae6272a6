"""Requests and responses: what of HTTP a route sees, and nothing of the server.

Header names are lower-case bytes, as servers give them; of a header sent twice the last one counts,
but for those that are lists.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from modelway.domain.errors import MalformedPayload

if TYPE_CHECKING:
    from modelway.access.keys import Key
    from modelway.rest.calling import Call, Control
    from modelway.rest.routes import Route
    from modelway.rest.together import Together

Header = tuple[bytes, bytes]

JSON = b"application/json"
_MOST_FIELDS = 10_000
_NO_CAPTURES: Mapping[str, str] = {}


class Headers(Mapping[str, str]):
    """A view of raw headers as text by lower-case name."""

    __slots__ = ("_raw",)

    def __init__(self, raw: Mapping[bytes, bytes]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        """The value of one header."""
        return self._raw[name.encode("latin-1")].decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return (name.decode("latin-1") for name in self._raw)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._raw)


class Notes:
    """What was found out of a head, for every request that has the same head, byte for byte.

    ``answer`` is what answers its method and path, once that is known to depend on nothing else,
    and ``route`` where it stands; ``control`` what a caller says in its headers. ``together``
    answers several such requests at once, where something does.
    """

    __slots__ = ("answer", "control", "route", "together")

    def __init__(self) -> None:
        self.together: Together | None = None
        self.answer: Answer | None = None
        self.route: Route | None = None
        self.control: Control | None = None


class Principal(NamedTuple):
    """Who calls: as it is written down, and by which key; None is the home's own."""

    actor: str
    key: Key | None = None


class Request:
    """One request: ``path`` is decoded, ``raw_path`` and ``query`` are as they came.

    ``id`` names the request in answers and logs. ``body`` is whole by the time a route sees it, and
    no longer compressed; ``body_bytes`` is its size as it came. ``route`` is what its path was
    found to be, once it was, and ``captures`` are the parts of the path that stand where the route
    has braces. ``client`` is the address at the other end, empty at a Unix socket; ``came_s`` when
    it had come, by ``time.monotonic``; ``trace_id`` that of the caller's trace, where one is
    followed. ``notes`` are shared with other requests of the same head; None where it is not known.
    ``call`` is the call that it makes, once that is admitted, ``principal`` who administers.
    """

    __slots__ = (
        *("body", "body_bytes", "call", "came_s", "captures", "client", "headers", "id", "method"),
        *("notes", "path", "principal", "query", "raw_path", "route", "trace_id"),
    )

    def __init__(
        self,
        request_id: str,
        method: str,
        path: str,
        *,
        raw_path: bytes = b"",
        query: bytes = b"",
        headers: dict[bytes, bytes],
        body: bytes = b"",
    ) -> None:
        self.id = request_id
        self.method = method
        self.path = path
        self.raw_path = raw_path
        self.query = query
        self.headers = headers
        self.body = body
        self.body_bytes = len(body)
        self.client = ""
        self.came_s = 0.0
        self.captures = _NO_CAPTURES
        self.notes: Notes | None = None
        self.call: Call | None = None
        self.route: Route | None = None
        self.trace_id: str | None = None
        self.principal: Principal | None = None

    def cells(self) -> list[tuple[str, str]]:
        """The fields of the query, each a name and a value, in the order in which they stand.

        Raises:
            MalformedPayload: it is not UTF-8, or has very many fields.
        """
        try:
            return parse_qsl(
                self.query.decode(),
                keep_blank_values=True,
                max_num_fields=_MOST_FIELDS,
                errors="strict",
            )
        except ValueError as error:
            raise MalformedPayload(f"the query cannot be read: {error}") from None


class Response(msgspec.Struct, gc=False):
    """One response; the length and the request's id are added when it is sent.

    ``headers`` are lines as ``header_lines`` makes them.
    """

    body: bytes
    content_type: bytes = JSON
    status: int = 200
    headers: bytes = b""


Answer = Callable[[Request], Awaitable[Response]]
"""What stands behind a route and a method; raises ``ModelwayError`` for what it cannot answer."""

Refusal = Callable[[Exception, Request], Response]
"""How an error looks in one protocol."""


def header_lines(*headers: Header) -> bytes:
    """Headers as they are sent."""
    return b"".join([b"%s: %s\r\n" % header for header in headers])


def constant(body: bytes, content_type: bytes = JSON, *, headers: bytes = b"") -> Answer:
    """An answer that is always the same."""
    response = Response(body, content_type, headers=headers)

    async def answer(_: Request) -> Response:
        return response

    return answer
