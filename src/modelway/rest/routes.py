"""The route table: every path with what answers it, made once when the service starts.

A path is looked up whole; failing that it is matched with the patterns of paths that name
something, such as ``/models/{name}/predict``, and then with the templates of ``--route``, such as
``/predict/{loc}/{mcc}``, whose segments are columns.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote, unquote_to_bytes

from modelway.domain.errors import BadValue, MalformedPayload, RouteNotFound
from modelway.domain.signature import Signature
from modelway.rest.http import Answer, Refusal, Request, Response, header_lines
from modelway.rest.problems import problem_of

RESERVED = frozenset(
    (
        *("models", "health", "docs", "static", "openapi.json", "metrics", "admin"),
        *("jobs", "process", "uploads"),
        *("v1", "v2", "invocations", "ping", "version", "openscoring", "execution-parameters"),
    )
)
"""First segments that are Modelway's own, now or for the protocols that it will speak."""

_LITERAL = re.compile(r"[A-Za-z0-9._~-]+")
_COLUMN = re.compile(r"\{([^{}/]+)\}")
_CAPTURE = re.compile(r"\{([a-z_]+)\}")


class Route:
    """One path: what answers each method; ``path`` is its template, once it stands in a table."""

    __slots__ = ("_allow", "allowed", "answers", "path")

    def __init__(self, **answers: Answer) -> None:
        """``answers`` by method; HEAD is answered as GET is, OPTIONS by what is allowed."""
        if "GET" in answers:
            answers["HEAD"] = answers["GET"]
        self.path = ""
        self.answers = answers
        self.allowed = (*answers, "OPTIONS")
        self._allow = header_lines((b"allow", ", ".join(self.allowed).encode()))
        answers["OPTIONS"] = self._options

    async def _options(self, _: Request) -> Response:
        return Response(b"", status=204, headers=self._allow)


@dataclass(frozen=True, slots=True)
class Template:
    """A path with columns in it; ``segments`` are text, or None where a column stands."""

    path: str
    segments: tuple[str | None, ...]
    columns: tuple[str, ...]

    def match(self, segments: Sequence[bytes]) -> Mapping[str, str] | None:
        """The cells of a path's segments by column, empty ones not; None if it is another path.

        Raises:
            MalformedPayload: a cell is not UTF-8.
        """
        if len(segments) != len(self.segments):
            return None
        cells = []
        for sent, wanted in zip(segments, self.segments, strict=True):
            if wanted is None:
                cells.append(sent)
            elif sent != wanted.encode():
                return None
        try:
            texts = [unquote_to_bytes(cell).decode() for cell in cells]
        except UnicodeDecodeError:
            raise MalformedPayload("the path is not UTF-8") from None
        return {name: text for name, text in zip(self.columns, texts, strict=True) if text}

    def overlaps(self, other: Template) -> bool:
        """Whether some path fits both."""
        return len(self.segments) == len(other.segments) and all(
            mine is None or theirs is None or mine == theirs
            for mine, theirs in zip(self.segments, other.segments, strict=True)
        )


def template_of(path: str, signature: Signature, taken: Collection[str]) -> Template:
    """The template that ``path`` says, each column of the signature once in it.

    A column may stand by name or alias; one that rows may leave out may be left out. ``taken`` are
    paths that answer already.

    Raises:
        BadValue: it is not such a path, or one that is not to be had.
    """
    wrong = f"--route {path}"
    if not path.startswith("/") or path == "/":
        raise BadValue(f"{wrong}: a route is a path such as /predict/{{column}}")
    segments: list[str | None] = []
    names: list[str] = []
    for segment in path[1:].split("/"):
        column = _COLUMN.fullmatch(segment)
        if column is None and not _LITERAL.fullmatch(segment):
            raise BadValue(
                f"{wrong}: {segment!r} is neither plain text nor one column in braces",
                hint="a route is a path such as /predict/{column}",
            )
        segments.append(None if column else segment)
        names += [column[1]] if column else []
    if segments[0] is None or segments[0] in RESERVED or path in taken:
        raise BadValue(
            f"{wrong}: the path is reserved", hint="begin it with a word of your own, or /predict"
        )
    _check_columns(names, signature, wrong)
    return Template(path, tuple(segments), tuple(names))


def _check_columns(names: Sequence[str], signature: Signature, wrong: str) -> None:
    if not signature.is_tabular:
        raise BadValue(f"{wrong}: the model takes tensors, which a path cannot hold")
    known = ", ".join(column.alias for column in signature.columns[:20])
    unknown = [name for name in names if name not in signature.positions]
    if unknown:
        raise BadValue(f"{wrong}: the model has no column {unknown[0]!r}", hint=f"it has: {known}")
    given = [signature.positions[name] for name in names]
    twice = [name for name, place in zip(names, given, strict=True) if given.count(place) > 1]
    if twice:
        raise BadValue(f"{wrong}: the column {twice[0]!r} stands there twice")
    missing = [
        column.alias
        for place, column in enumerate(signature.columns)
        if place not in given and not column.optional
    ]
    if missing or not names:
        raise BadValue(
            f"{wrong}: without {', '.join(missing) or 'any column'}",
            hint=f"name each column once in braces: {known}",
        )


FromCells = Callable[[Request, Mapping[str, str]], Awaitable[Response]]
"""Answers a row whose cells stood in the path, by column."""


class RouteTable:
    """All routes of a service, under one prefix."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._patterns: list[tuple[re.Pattern[str], Route]] = []
        self._templates: list[tuple[Template, FromCells]] = []
        self._refusals: list[tuple[str, Refusal]] = []
        self.routes: dict[str, Route] = {}

    def add(self, path: str, route: Route) -> None:
        """Answer at ``path``, which is without the prefix.

        A part in braces, ``{name}``, stands for anything without a slash and is captured. Of two
        patterns that fit, the one added first answers.
        """
        route.path = self._prefix + path
        if "{" not in path:
            self.routes[self._prefix + path] = route
            return
        literal = re.escape(self._prefix + path).replace("\\{", "{").replace("\\}", "}")
        self._patterns.append((re.compile(_CAPTURE.sub(r"(?P<\1>[^/]+?)", literal)), route))

    def add_template(self, path: str, signature: Signature, answer: FromCells) -> None:
        """Answer at every path that fits the template.

        Raises:
            BadValue: it is no such path, reserved, or another template's too.
        """
        taken = [one.removeprefix(self._prefix) for one in self.routes]
        template = template_of(path, signature, taken)
        for other, _ in self._templates:
            if template.overlaps(other):
                raise BadValue(f"--route {path}: {other.path} would answer there too")
        self._templates.append((template, answer))

    def refuse_as(self, path: str, refusal: Refusal) -> None:
        """Have every error at ``path`` and below it look as another protocol wants it."""
        self._refusals.append((self._prefix + path, refusal))

    def refusal(self, path: str) -> Refusal:
        """How an error at ``path`` looks."""
        for start, refusal in self._refusals:
            if path.startswith(start) and path[len(start) : len(start) + 1] in ("", "/", ":"):
                return refusal
        return problem_of

    def find(self, request: Request) -> Route:
        """The route of a request's path; what its pattern captures is put into the request.

        Raises:
            RouteNotFound: nothing answers there.
        """
        route = self.routes.get(request.path)
        if route is not None:
            return route
        raw = (request.raw_path or quote(request.path).encode()).decode("latin-1")
        for pattern, found in self._patterns:
            matched = pattern.fullmatch(raw)
            if matched:
                request.captures = {k: unquote(v) for k, v in matched.groupdict().items()}
                return found
        prefix = self._prefix + "/"
        if raw.startswith(prefix):
            segments = raw.removeprefix(prefix).encode("latin-1").split(b"/")
            for template, answer in self._templates:
                cells = template.match(segments)
                if cells is not None:
                    return _templated(template.path, answer, cells)
        unknown = RouteNotFound(request.path)
        unknown.hint = f"GET {self._prefix}/openapi.json lists all"
        raise unknown


def _templated(path: str, answer: FromCells, cells: Mapping[str, str]) -> Route:
    async def with_cells(request: Request) -> Response:
        return await answer(request, cells)

    route = Route(GET=with_cells)
    route.path = path
    return route
