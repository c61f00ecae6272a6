"""The tree of errors: every class has a code of its own and stands in the drawing."""

from __future__ import annotations

from collections.abc import Iterator

from modelway.domain import errors
from modelway.domain.errors import EndpointNotFound, ModelwayError, Problem, SignatureMismatch


def tree(root: type[ModelwayError] = ModelwayError) -> Iterator[type[ModelwayError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


def test_every_class_has_a_code_of_its_own() -> None:
    codes = [c.code for c in tree()]
    assert len(set(codes)) == len(codes)


def test_every_class_stands_in_the_drawing_under_its_parent() -> None:
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if "──" in line or line.strip() == "ModelwayError":
            depth = 0 if "──" not in line else line.index("──") // 4
            word = line.split("──")[-1].split()[0]
            path[depth:] = [word]
            drawn[word] = path[depth - 1] if depth else ""
    for error in tree():
        parent = error.__bases__[0].__name__ if error is not ModelwayError else ""
        assert drawn.get(error.__name__) == parent, error.__name__


def test_a_mismatch_says_the_first_problems_and_counts_the_rest() -> None:
    problems = [Problem(f"/{i}", f"c{i}", "type", "'x'", "a number") for i in range(5)]
    error = SignatureMismatch(problems)
    assert error.message == (
        "c0: expected a number, got 'x'; c1: expected a number, got 'x'; "
        "c2: expected a number, got 'x'; and 2 more"
    )


def test_a_problem_says_that_nothing_came() -> None:
    assert Problem("/a", "a", "missing", None, "a number").message == (
        "a: expected a number, nothing came"
    )


def test_an_endpoint_is_missed_by_its_name_or_as_the_default() -> None:
    assert EndpointNotFound("a", ["c", "b"]).message == "no endpoint is called 'a'; there is: b, c"
    assert EndpointNotFound(None, ["c", "b"]).message == (
        "no endpoint is the default: name one of b, c"
    )
    assert EndpointNotFound(None, []).message == "there is no endpoint yet"
