"""What an application is made of: templates, words and prefixes, taken or refused at start."""

from __future__ import annotations

from typing import Any

import pytest

from modelway.domain.errors import BadValue
from modelway.rest.app import create_app
from modelway.settings import RestSettings
from support.asgi import asking, good, problem
from support.served import FLOWER, compiled_bundle, flower_graph, loaded, plane_of

ROW = {"sepal_length": 5.0, "petal_width": 2.2}
QUERY = "sepal_length=5&petal_width=2.2"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("start") / "iris"
    return loaded(compiled_bundle(folder, flower_graph(), FLOWER, classes=(0, 1, 2)), "iris")


def started(model: Any, **options: Any) -> Any:
    prefix = options.pop("prefix", "")
    given = {"pages": {"/": ("text/html", b"page")}, "templates": {}, "output_names": {}}
    return create_app(plane_of([model]), RestSettings(prefix=prefix), **{**given, **options})


@pytest.mark.parametrize(
    "path",
    [
        *("/models/{sepal_length}/{petal_width}", "/health/{sepal_length}/{petal_width}"),
        *("/{sepal_length}/{petal_width}", "/", "/predict", "predict/{sepal_length}"),
        *("/v2/{sepal_length}/{petal_width}", "/invocations/{sepal_length}/{petal_width}"),
        *("/p/{sepal_length}", "/p/{sepal_length}/{petal_width}/{other}", "/p"),
        *("/p/{petal width}/{petal_width}/{sepal_length}", "/p//{sepal_length}/{petal_width}"),
        *("/p/{sepal_length}-{petal_width}", "/p/a b/{sepal_length}/{petal_width}"),
        "/p/{sepal_length}/{petal_width}?x",
    ],
)
def test_a_route_that_cannot_be_is_refused(model: Any, path: str) -> None:
    with pytest.raises(BadValue, match="--route"):
        started(model, templates={path: "iris"})


def test_two_routes_for_one_path_are_refused(model: Any) -> None:
    paths = ("/p/{sepal_length}/{petal_width}", "/p/{petal_width}/{sepal_length}")
    with pytest.raises(BadValue, match="would answer there too"):
        started(model, templates=dict.fromkeys(paths, "iris"))


@pytest.mark.parametrize("word", ["", "label", "prediction_id", "probability_0"])
def test_a_word_that_answers_use_is_refused(model: Any, word: str) -> None:
    with pytest.raises(BadValue, match="cannot be called"):
        started(model, output_names={"iris": word})


@pytest.mark.parametrize("prefix", ["a", "/a/", "/", "/a b", "//a"])
def test_a_prefix_that_is_no_path_is_refused(model: Any, prefix: str) -> None:
    with pytest.raises(BadValue, match="prefix"):
        started(model, prefix=prefix)


def test_everything_lives_under_the_prefix(model: Any) -> None:
    route = {"/p/{sepal_length}/{petal width}": "iris"}
    ask = asking(started(model, prefix="/a/b", templates=route))
    assert good(ask("/a/b/predict", payload=ROW))["prediction"] == 2
    assert good(ask(f"/a/b/?{QUERY}"))["prediction"] == 2
    assert good(ask("/a/b/p/5/2.2")) == {"prediction": 2}
    assert ask("/a/b/").body == b"page"
    assert problem(ask("/a/b/models/x"), 404)["code"] == "endpoint-not-found"
    moved = ask(f"/a/b?{QUERY}")
    assert (moved.status, moved.headers["location"]) == (308, f"/a/b/?{QUERY}")
    for path in ("/", "/predict", "/health/live", "/p/5/2.2"):
        assert problem(ask(path), 404)["hint"] == "GET /a/b/openapi.json lists all"


def test_a_forwarded_prefix_is_not_trusted(model: Any) -> None:
    ask = asking(started(model))
    headers = {"x-forwarded-prefix": "/evil", "x-forwarded-host": "evil"}
    plain, forwarded = ask("/openapi.json"), ask("/openapi.json", headers=headers)
    assert plain.body == forwarded.body


def test_any_host_is_answered_where_others_may_call(model: Any) -> None:
    ask = asking(started(model))
    assert ask("/models", headers={"host": "models.example"}).status == 200


def test_without_a_page_the_root_predicts(model: Any) -> None:
    ask = asking(started(model, pages={}))
    problem(ask("/"), 422)
