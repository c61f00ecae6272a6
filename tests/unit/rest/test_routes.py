"""Templates and the route table."""

from __future__ import annotations

import pytest

from modelway.domain.errors import MalformedPayload, RouteNotFound
from modelway.domain.signature import Column, Datatype, Signature
from modelway.rest.http import Request, Response, constant
from modelway.rest.problems import problem_of
from modelway.rest.routes import Route, RouteTable, template_of

SIGNATURE = Signature(
    columns=(
        Column("LOC", "loc", Datatype.FP64),
        Column("v(g)", "mcc", Datatype.FP64),
        Column("note", "note", Datatype.STRING, nullable=True, optional=True),
    )
)


def segments(path: bytes) -> list[bytes]:
    return path[1:].split(b"/")


@pytest.mark.parametrize(
    ("path", "sent", "cells"),
    [
        ("/predict/{loc}/{mcc}", b"/predict/65/12", {"loc": "65", "mcc": "12"}),
        ("/predict/{mcc}/of/{LOC}", b"/predict/1/of/2", {"mcc": "1", "LOC": "2"}),
        ("/a.b/{loc}/{v(g)}", b"/a.b/%31/-1.5", {"loc": "1", "v(g)": "-1.5"}),
        ("/p/{loc}/{mcc}/{note}", b"/p/1//a%2Fb", {"loc": "1", "note": "a/b"}),
    ],
)
def test_a_path_that_fits(path: str, sent: bytes, cells: dict[str, str]) -> None:
    assert template_of(path, SIGNATURE, ()).match(segments(sent)) == cells


@pytest.mark.parametrize("sent", [b"/predict/65", b"/predict/65/12/", b"/other/65/12", b"/"])
def test_a_path_that_does_not_fit(sent: bytes) -> None:
    assert template_of("/predict/{loc}/{mcc}", SIGNATURE, ()).match(segments(sent)) is None


def test_a_cell_that_is_not_utf_8() -> None:
    with pytest.raises(MalformedPayload):
        template_of("/predict/{loc}/{mcc}", SIGNATURE, ()).match(segments(b"/predict/%ff/1"))


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("/a/{loc}/{mcc}", "/a/{mcc}/{loc}", True),
        ("/a/{loc}/{mcc}", "/b/{loc}/{mcc}", False),
        ("/a/{loc}/{mcc}", "/a/{loc}/{mcc}/{note}", False),
        ("/a/{loc}/x/{mcc}", "/a/x/{loc}/{mcc}", True),
        ("/a/{loc}/x/{mcc}", "/a/{loc}/y/{mcc}", False),
    ],
)
def test_templates_overlap_where_a_path_fits_both(one: str, other: str, overlap: bool) -> None:
    first, second = (template_of(path, SIGNATURE, ()) for path in (one, other))
    assert first.overlaps(second) is second.overlaps(first) is overlap


def test_a_route_allows_head_and_options() -> None:
    route = Route(GET=constant(b"{}"))
    assert route.allowed == ("GET", "HEAD", "OPTIONS")
    assert set(route.answers) == {"GET", "HEAD", "OPTIONS"}


def asked(path: str, raw_path: str = "") -> Request:
    return Request("id", "GET", path, raw_path=raw_path.encode(), headers={})


@pytest.mark.parametrize("path", ["/p/models/a/else", "/models/a", "/p", "*", "", "/p/ünknown"])
def test_a_path_that_nobody_has(path: str) -> None:
    table = RouteTable("/p")
    table.add("/models/{name}", Route(GET=constant(b"")))
    with pytest.raises(RouteNotFound):
        table.find(asked(path))


def test_what_stands_in_braces_is_captured_and_unquoted() -> None:
    table = RouteTable("/p")
    one, two = Route(GET=constant(b"1")), Route(GET=constant(b"2"))
    table.add("/m/{name}:predict", one)
    table.add("/m/{name}/versions/{version}", two)
    request = asked("/p/m/a:b:predict", "/p/m/a%3Ab:predict")
    assert table.find(request) is one
    assert request.captures == {"name": "a:b"}
    request = asked("/p/m/a/b/versions/1.0", "/p/m/a%2Fb/versions/1.0")
    assert table.find(request) is two
    assert request.captures == {"name": "a/b", "version": "1.0"}


def test_a_whole_path_is_found_before_a_pattern() -> None:
    table = RouteTable()
    one, two = Route(GET=constant(b"1")), Route(GET=constant(b"2"))
    table.add("/m/{name}", one)
    table.add("/m/a", two)
    assert table.find(asked("/m/a")) is two
    assert table.find(asked("/m/b")) is one


def test_errors_below_a_path_look_as_its_protocol_wants() -> None:
    def other(error: Exception, request: Request) -> Response:
        return Response(b"other")

    table = RouteTable("/p")
    table.refuse_as("/v2", other)
    for path in ("/p/v2", "/p/v2/models/x"):
        assert table.refusal(path) is other
    for path in ("/v2", "/p/v22", "/p/models"):
        assert table.refusal(path) is problem_of
