"""Which web pages of other origins may read the answers, as browsers ask it.

A browser sends a page's request with its ``Origin``, after a preflight where the request is no
plain one, and lets the page see the answer only if the answer names that origin. Where no origin is
allowed nothing of this is ever said.

Source: WHATWG Fetch, section 3.3 (CORS protocol); RFC 6454 (origins).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from modelway.domain.errors import BadValue
from modelway.rest.http import header_lines

ANY = "*"

_ORIGIN = re.compile(r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?")
_USUAL_PORTS = {"http": "80", "https": "443"}
_LARGEST_PORT = 65_535
_METHODS = b"GET, HEAD, POST, PUT, DELETE"
_KEPT_S = b"600"
_MOST_WANTED_BYTES = 1024

_TAKEN = frozenset(
    (
        *(b"accept", b"authorization", b"content-encoding", b"content-type", b"x-api-key"),
        *(b"inference-header-content-length", b"traceparent", b"tracestate", b"x-request-id"),
        *(b"idempotency-key", b"prefer"),
    )
)
_OURS = re.compile(rb"modelway-[a-z0-9-]{1,64}")
_SHOWN = b", ".join(
    (
        *(b"modelway-endpoint", b"modelway-version", b"modelway-prediction-id"),
        *(b"modelway-request-id", b"inference-header-content-length", b"retry-after"),
        *(b"location", b"preference-applied"),
    )
)


class Cors:
    """What is said to browsers, where pages of these origins may ask; nothing if there are none.

    An origin is ``https://app.example.com``, exactly as browsers write it. ``*`` alone is any, and
    goes only where no key is asked for.
    """

    def __init__(self, origins: Sequence[str], *, keyed: bool) -> None:
        """Raises BadValue for what is no origin, and for ``*`` where it does not go."""
        for origin in origins:
            _check(origin, origins, keyed=keyed)
        self._is_any = ANY in origins
        self._vary = b"" if self._is_any or not origins else header_lines((b"vary", b"Origin"))
        shown = (b"access-control-expose-headers", _SHOWN)
        allowed = b"access-control-allow-origin"
        self._lines = {
            origin.encode(): header_lines((allowed, origin.encode()), shown) + self._vary
            for origin in origins
        }

    def lines(self, origin: bytes | None) -> bytes:
        """The header lines of an answer to a request that came with this ``Origin``.

        They stand in every answer, also in a refusal, or pages could not tell why. A cache must
        not give one origin's answer to another, so even an answer to none says that it varies.
        """
        if origin is None:
            return self._vary
        return self._lines.get(ANY.encode() if self._is_any else origin, self._vary)

    def preflight(
        self, method: str, origin: bytes | None, wanted: bytes | None, headers: bytes | None
    ) -> bytes | None:
        """The header lines of the answer, 204, to a preflight; None for what is none.

        ``wanted`` is its ``Access-Control-Request-Method`` and ``headers`` its
        ``Access-Control-Request-Headers``. No key comes with a preflight, and none may be asked
        for. An origin that is not allowed is told nothing, which browsers take for a no.
        """
        if not self._lines or method != "OPTIONS" or origin is None or wanted is None:
            return None
        lines = self.lines(origin)
        if lines == self._vary:
            return lines
        said = [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-max-age", _KEPT_S),
            (b"vary", b"Access-Control-Request-Method, Access-Control-Request-Headers"),
        ]
        taken = _taken(headers or b"")
        if taken:
            said.append((b"access-control-allow-headers", taken))
        return lines + header_lines(*said)


def _taken(headers: bytes) -> bytes:
    """Those of the headers that a page asks to send which anything here reads."""
    if len(headers) > _MOST_WANTED_BYTES:
        return b""
    names = (name.strip().lower() for name in headers.split(b","))
    found = (name for name in names if name in _TAKEN or _OURS.fullmatch(name))
    return b", ".join(dict.fromkeys(found))


def _check(origin: str, origins: Sequence[str], *, keyed: bool) -> None:
    wrong = f"cors.origins: {origin[:200]!r}"
    if origin == ANY:
        if keyed:
            raise BadValue(
                f"{wrong} would let every web page ask, and keys are asked for here",
                hint="name the origins, such as https://app.example.com",
            )
        if len(origins) > 1:
            raise BadValue(f"{wrong} is every origin: give it alone, or name the others only")
        return
    parts = _ORIGIN.fullmatch(origin)
    if parts is None or (parts[3] and int(parts[3]) > _LARGEST_PORT):
        raise BadValue(
            f"{wrong} is no origin",
            hint="expected http or https, a host in lower case, and a port where it is not the "
            "usual one, with no path: https://app.example.com",
        )
    if parts[3] == _USUAL_PORTS[parts[1]]:
        raise BadValue(
            f"{wrong}: browsers leave the usual port out",
            hint=f"write {origin.rpartition(':')[0]}",
        )
