"""The Open Inference Protocol over REST, as foreign clients and as plain HTTP use it."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway.domain.signature import Column, Datatype, Signature
from modelway.inference.counting import Counting
from modelway.inference.statistics import Statistics
from modelway.rest import oip
from modelway.rest.app import App
from modelway.rest.error_texts import error_text
from modelway.rest.http import Request
from modelway.settings import RestSettings
from support.asgi import asked_in_chunks, asking_http, good, served
from support.clients import run_client
from support.doors import answers_to, door_app
from support.live import Answer, Ask, Serve
from support.served import (
    FLOWER,
    compiled_bundle,
    flower_graph,
    function_bundle,
    loaded,
    plane_of,
    tensor_bundle,
)
from support.simple_string import write_simple_string
from support.triton_models import identity_bundle, simple_bundle

LENGTH = "Inference-Header-Content-Length"
ADMINISTERED = "Administration and metrics at http://"
LARGEST_BODY = 1_000_000
MAX_ROWS = 20_000
N_REQUESTS = 1000
RULE = """
def fails(a):
    if a == 13:
        raise ValueError("secret")
    return a
"""
IRIS = "/v2/models/iris/infer"
SIMPLE = "/v2/models/simple/infer"
ROW = {"name": "rows", "shape": [1, 2], "datatype": "FP64", "data": [6.0, 1.5]}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    folder: Path = tmp_path_factory.mktemp("models")
    numbers = Signature(columns=(Column("a", "a", Datatype.FP64),))
    models = [
        loaded(compiled_bundle(folder / "i", flower_graph(), FLOWER, classes=(0, 1, 2)), "iris"),
        loaded(simple_bundle(folder / "s"), "simple"),
        loaded(identity_bundle(folder / "identity"), "identity"),
        loaded(tensor_bundle(folder / "t"), "tensor"),
        loaded(function_bundle(folder / "fails", RULE, "fails", numbers), "fails"),
    ]
    statistics = Statistics()
    plane = plane_of(models, observers=[Counting(statistics)])
    rest = RestSettings(max_body_bytes=LARGEST_BODY, max_rows=MAX_ROWS)
    return door_app(plane, rest, oip.routes(plane, rest, statistics), {"/v2": error_text})


@pytest.fixture(scope="module")
def ask(app: App) -> Iterator[Ask]:
    with served(app) as port:
        yield asking_http(port)


def refused(answer: Answer, status: int) -> str:
    """The message of an answer that must be an error of this status, and nothing else."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    content = answer.json
    assert isinstance(content, dict)
    assert list(content) == ["error"]
    assert "Traceback" not in content["error"]
    assert "secret" not in content["error"]
    return str(content["error"])


def infer(ask: Ask, path: str, *inputs: Mapping[str, Any], **more: Any) -> Answer:
    return ask(path, payload={"inputs": list(inputs), **more})


def binary(
    ask: Ask,
    path: str,
    content: Mapping[str, Any],
    tail: bytes,
    length: str | None = None,
    **headers: str,
) -> Answer:
    head = json.dumps(content).encode()
    headers[LENGTH] = str(len(head)) if length is None else length
    return ask(path, body=head + tail, headers=headers)


def parts(answer: Answer) -> tuple[Any, bytes]:
    """The JSON of an answer in bytes, and what stands behind it."""
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers["inference-header-content-length"])
    return json.loads(answer.body[:length]), answer.body[length:]


@pytest.mark.parametrize(
    ("client", "script", "scheme"),
    [("tritonclient", "rest_triton.py", ""), ("kserve", "rest_kserve.py", "http://")],
    ids=["triton", "kserve"],
)
def test_a_client_of_another_make_is_served(
    serve: Serve, tmp_path: Path, client: str, script: str, scheme: str
) -> None:
    service = serve(
        compiled_bundle(tmp_path / "iris", flower_graph(), FLOWER, classes=(0, 1, 2)),
        simple_bundle(tmp_path / "simple"),
        identity_bundle(tmp_path / "identity"),
        f"simple_string={write_simple_string(tmp_path / 'simple_string.onnx')}",
    )
    run_client(client, script, scheme + service.url.removeprefix("http://"))
    assert "Traceback" not in service.log.read_text()


def test_models_are_loaded_and_unloaded_on_the_administrations_port(
    serve: Serve, tmp_path: Path
) -> None:
    service = serve(simple_bundle(tmp_path / "simple"))
    deadline = time.monotonic() + 20
    while ADMINISTERED not in service.log.read_text():
        assert time.monotonic() < deadline, service.log.read_text()
        time.sleep(0.02)
    (line,) = [one for one in service.log.read_text().splitlines() if one.startswith(ADMINISTERED)]
    run_client(
        "tritonclient",
        "rest_triton_repository.py",
        service.url.removeprefix("http://"),
        line.removeprefix(ADMINISTERED),
        (tmp_path / "home" / "admin.key").read_text().strip(),
    )


def test_the_server_says_what_it_is_and_that_it_answers(ask: Ask) -> None:
    assert good(ask("/v2/health/live")) == {"live": True}
    assert good(ask("/v2/health/ready")) == {"ready": True}
    server = good(ask("/v2"))
    assert (server["name"], server) == ("modelway", good(ask("/v2/")))
    assert "binary_tensor_data" in server["extensions"]
    names = ["iris", "simple", "identity", "tensor", "fails"]
    assert good(ask("/v2/models")) == {"models": names}


def test_a_model_says_what_it_takes_and_gives(ask: Ask) -> None:
    found = good(ask("/v2/models/tensor"))
    assert found == {
        "name": "tensor",
        "versions": found["versions"],
        "platform": "onnx",
        "inputs": [{"name": "X", "datatype": "FP64", "shape": [-1, 3]}],
        "outputs": [
            {"name": "doubled", "datatype": "FP64", "shape": [-1, 3]},
            {"name": "total", "datatype": "FP64", "shape": [-1, 1]},
        ],
    }
    (version,) = found["versions"]
    for path in ("/v2/models/tensor", f"/v2/models/tensor/versions/{version}"):
        assert good(ask(path)) == found
        assert good(ask(f"{path}/ready")) == {"name": "tensor", "ready": True}
    for path in ("/v2/models/nope", "/v2/models/nope/ready", "/v2/models/tensor/versions/7/ready"):
        refused(ask(path), 404)


def test_an_answer_has_the_id_that_was_given_and_says_who_gave_it(ask: Ask) -> None:
    answer = infer(ask, IRIS, ROW, id="an id")
    content = good(answer)
    assert content["id"] == "an id"
    assert content["model_name"] == answer.headers["modelway-endpoint"] == "iris"
    assert content["model_version"] == answer.headers["modelway-version"]
    assert "id" not in good(infer(ask, IRIS, ROW))
    brought = ask(IRIS, payload={"inputs": [ROW]}, headers={"modelway-prediction-id": "mine"})
    assert brought.headers["modelway-prediction-id"] == "mine"
    version = content["model_version"]
    assert good(infer(ask, f"/v2/models/iris/versions/{version}/infer", ROW))["outputs"]
    refused(infer(ask, "/v2/models/iris/versions/7/infer", ROW), 404)
    refused(infer(ask, "/v2/models/nope/infer", ROW), 404)
    refused(infer(ask, "/v2/models/nope/versions/7/infer", ROW), 404)


def test_one_request_has_json_and_bytes_both_ways(ask: Ask) -> None:
    first, second = np.arange(16, dtype="<i4"), [2] * 16
    inputs = [
        {
            **{"name": "INPUT0", "shape": [1, 16], "datatype": "INT32"},
            "parameters": {"binary_data_size": 64},
        },
        {"name": "INPUT1", "shape": [1, 16], "datatype": "INT32", "data": [second]},
    ]
    outputs = [
        {"name": "OUTPUT1", "parameters": {"binary_data": True}},
        {"name": "OUTPUT0"},
    ]
    content, tail = parts(
        binary(ask, SIMPLE, {"inputs": inputs, "outputs": outputs}, first.tobytes())
    )
    difference, total = content["outputs"]
    assert difference["parameters"] == {"binary_data_size": 64}
    assert np.frombuffer(tail, "<i4").tolist() == (first - 2).tolist()
    assert (total["name"], total["data"]) == ("OUTPUT0", (first + 2).tolist())
    everything = {"inputs": inputs, "parameters": {"binary_data_output": True}}
    for encoding, packed in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        head = json.dumps(everything).encode()
        headers = {LENGTH: str(len(head)), "content-encoding": encoding}
        answer = ask(SIMPLE, body=packed(head + first.tobytes()), headers=headers)
        assert parts(answer)[1] == (first + 2).tobytes() + (first - 2).tobytes()


def test_a_body_of_nothing_but_bytes_is_answered_in_bytes(ask: Ask) -> None:
    rows = np.arange(6.0).reshape(2, 3)
    answer = ask("/v2/models/tensor/infer", body=rows.tobytes(), headers={LENGTH: "0"})
    content, tail = parts(answer)
    assert [one["parameters"] for one in content["outputs"]] == [
        {"binary_data_size": 48},
        {"binary_data_size": 16},
    ]
    assert tail == (rows * 2).tobytes() + rows.sum(axis=1).tobytes()


def test_numbers_that_are_not_finite_pass_in_bytes_and_are_null_in_json(ask: Ask) -> None:
    rows = np.array([[np.nan, np.inf, 1.0]])
    content = {
        "inputs": [
            {
                **{"name": "X", "shape": [1, 3], "datatype": "FP64"},
                "parameters": {"binary_data_size": 24},
            }
        ],
        "outputs": [{"name": "doubled", "parameters": {"binary_data": True}}],
    }
    _, tail = parts(binary(ask, "/v2/models/tensor/infer", content, rows.tobytes()))
    assert np.frombuffer(tail).tolist()[1:] == [np.inf, 2.0]
    del content["outputs"]
    answer = good(binary(ask, "/v2/models/tensor/infer", content, rows.tobytes()))
    assert answer["outputs"][0]["data"] == [None, None, 2.0]
    text = json.dumps(
        {"inputs": [{"name": "X", "shape": [1, 3], "datatype": "FP64", "data": [1.0, 2.0, np.nan]}]}
    )
    assert good(ask("/v2/models/tensor/infer", body=text.encode()))["outputs"][1]["data"] == [None]


def test_many_rows_are_answered_in_every_form(ask: Ask) -> None:
    rows = np.random.default_rng(5).uniform([4.5, 0.2], [7.5, 2.3], (10_000, 2))
    expected = np.searchsorted([1.0, 2.0], rows[:, 1], side="right").tolist()
    one = {"name": "rows", "shape": [10_000, 2], "datatype": "FP64"}
    wanted = {"outputs": [{"name": "prediction"}]}
    for data in (rows.tolist(), rows.ravel().tolist()):
        answer = good(infer(ask, IRIS, {**one, "data": data}, **wanted))
        assert answer["outputs"][0]["data"] == expected
    sized = {**one, "parameters": {"binary_data_size": rows.nbytes}}
    content = {"inputs": [sized], "outputs": [{"name": "prediction"}]}
    answer = good(binary(ask, IRIS, content, rows.tobytes()))
    assert answer["outputs"][0]["data"] == expected
    columns = [
        {"name": name, "shape": [10_000], "datatype": "FP64", "data": rows[:, k].tolist()}
        for k, name in enumerate(("sepal length (cm)", "petal_width"))
    ]
    assert good(infer(ask, IRIS, *columns, **wanted))["outputs"][0]["data"] == expected


@pytest.mark.parametrize("length", ["-1", "abc", "1.5", "99999999", "", "1" * 30])
def test_a_length_of_the_json_that_is_none_is_refused(ask: Ask, length: str) -> None:
    content = {"inputs": [{**ROW, "parameters": {"binary_data_size": 16}}]}
    assert "Inference-Header-Content-Length" in refused(
        binary(ask, IRIS, content, bytes(16), length), 400
    )


@pytest.mark.parametrize(
    ("size", "tail", "length"),
    [
        *((15, 16, 0), (16, 15, 0), (17, 16, 0), (-1, 16, 0), (2**62, 16, 0), (16, 17, 0)),
        *((16, 16, -1), (16, 16, 1)),
    ],
)
def test_lengths_that_do_not_go_together_are_refused(
    ask: Ask, size: int, tail: int, length: int
) -> None:
    row = {**ROW, "parameters": {"binary_data_size": size}}
    del row["data"]
    content = {"inputs": [row]}
    head = len(json.dumps(content)) + length
    refused(binary(ask, IRIS, content, bytes(tail), str(head)), 400)


def test_every_problem_is_in_the_message(ask: Ask) -> None:
    odd = {**ROW, "shape": [3, 2], "data": [6.0, "x", None, 1.5, True, 1.5]}
    said = refused(infer(ask, IRIS, odd), 400)
    assert (
        said.count("expected a number") == 2
    )  # a null is a missing value until its column is known
    said = refused(infer(ask, IRIS, {**ROW, "shape": [2, 2], "data": [None, 1.5, 6, None]}), 400)
    assert said == (
        "row 0, sepal length (cm): expected a number, got null; "
        "row 1, petal width: expected a number, got null"
    )
    wrong = [{**ROW, "name": "INPUT0"}, {**ROW, "name": "other"}]
    said = refused(infer(ask, SIMPLE, *wrong), 400)
    assert all(name in said for name in ("INPUT0", "INPUT1", "other"))


def test_bounds_hold(app: App, ask: Ask) -> None:
    refused(ask(IRIS, body=b"[" * 200 + b"]" * 200), 413)
    refused(infer(ask, IRIS, {**ROW, "shape": [MAX_ROWS + 1, 2], "data": []}), 413)
    assert ask(IRIS, body=b" " * (LARGEST_BODY + 1)).status == 413
    packed = gzip.compress(bytes(LARGEST_BODY * 2))
    refused(ask(IRIS, body=packed, headers={"content-encoding": "gzip"}), 413)
    for shape in ([2**40, 2], [2**63, 2], [10**30, 2], [-1, 2], [1] * 40, [0, 2**62]):
        refused(infer(ask, IRIS, {**ROW, "shape": shape}), 400)
    whole = json.dumps({"inputs": [ROW]}).encode()
    assert asked_in_chunks(app, IRIS, [whole[:30], whole[30:]]).status == 200


def test_what_is_not_there_is_told_in_the_same_shape(ask: Ask) -> None:
    for path in ("/v2/nope", "/v2/models/iris/nope", "/v2/health", "/v2/models/iris/infer/more"):
        refused(ask(path), 404)
    refused(ask(IRIS), 405)
    refused(ask("/v2/health/live", body=b"{}"), 405)
    refused(ask("/v2/repository/models/iris/load", body=b"{}"), 404)
    refused(ask("/v2/repository/models/iris/unload", body=b"{}"), 404)
    failing = {"name": "a", "shape": [1], "datatype": "FP64", "data": [13]}
    assert "request id" in refused(infer(ask, "/v2/models/fails/infer", failing), 500)
    refused(ask(IRIS, payload={"inputs": [ROW]}, headers={"modelway-timeout-ms": "soon"}), 400)
    refused(ask(IRIS, body=b"{}", headers={"content-encoding": "br"}), 415)
    late = {"inputs": [{**failing, "data": [1]}], "parameters": {"timeout": 1}}
    refused(ask("/v2/models/fails/infer", payload=late), 504)


def test_statistics_count_what_was_answered(ask: Ask) -> None:
    def entry() -> Any:
        (found,) = good(ask("/v2/models/identity/stats"))["model_stats"]
        return found

    before = entry()
    texts = {"name": "INPUT0", "shape": [2, 1], "datatype": "BYTES", "data": ["a", "b"]}
    for _ in range(3):
        good(infer(ask, "/v2/models/identity/infer", texts))
    refused(infer(ask, "/v2/models/identity/infer", ROW), 400)
    after = entry()
    assert after["inference_count"] - before["inference_count"] == 6
    assert after["execution_count"] - before["execution_count"] == 3
    stats, old = after["inference_stats"], before["inference_stats"]
    assert stats["success"]["count"] - old["success"]["count"] == 3
    assert stats["success"]["ns"] > old["success"]["ns"]
    assert stats["fail"]["count"] - old["fail"]["count"] == 1
    assert after["last_inference"] > 1_600_000_000_000
    assert len(good(ask("/v2/models/stats"))["model_stats"]) == 5


def test_damaged_requests_are_refused_and_nothing_else(app: App) -> None:
    paths = [IRIS, SIMPLE, "/v2/models/identity/infer", "/v2/models/tensor/infer"]
    paths += ["/v2/repository/index", "/v2/models/iris/stats", "/v2/models/iris"]
    whole = {"name": "INPUT0", "shape": [1, 16], "datatype": "INT32", "data": list(range(16))}
    texts = {"name": "INPUT0", "shape": [1, 2], "datatype": "BYTES", "data": ["a", "é"]}
    bodies: list[object] = [
        {"inputs": [ROW]},
        {"inputs": [ROW], "id": "1", "outputs": [{"name": "label"}]},
        {"inputs": [{**ROW, "data": [[6.0, None]]}], "parameters": {"binary_data_output": True}},
        {"inputs": [whole, {**whole, "name": "INPUT1"}]},
        {"inputs": [texts], "outputs": [{"name": "OUTPUT0", "parameters": {"binary_data": True}}]},
        {"inputs": [{**ROW, "name": "X", "shape": [1, 3], "data": [[1, 2, 3]]}]},
        {"ready": True},
    ]
    statuses = set()
    for sent, response in answers_to(app, paths, bodies, N_REQUESTS):
        statuses.add(response.status)
        assert response.status < 500, (sent, response.body)
        if response.status >= 400:
            assert list(json.loads(response.body)) == ["error"], (sent, response.body)
    assert {200, 400} <= statuses


def test_damaged_bytes_are_refused_and_nothing_else(app: App) -> None:
    started = time.time_ns() % 2**32
    print(f"seed {started}")
    rng = random.Random(started)
    sized = {"name": "INPUT0", "datatype": "BYTES", "parameters": {"binary_data_size": 15}}
    texts = {"inputs": [{**sized, "shape": [1, 3]}], "parameters": {"binary_data_output": True}}
    rows = {"inputs": [{**ROW, "data": None, "parameters": {"binary_data_size": 16}}]}
    whole = [
        ("/v2/models/identity/infer", texts, b"\x03\0\0\0abc" + bytes(8)),
        (IRIS, rows, np.array([6.0, 1.5]).tobytes()),
        ("/v2/models/tensor/infer", None, np.arange(6.0).tobytes()),
    ]
    statuses: Counter[int] = Counter()
    with asyncio.Runner() as runner:
        for _ in range(N_REQUESTS):
            path, content, tail = rng.choice(whole)
            head = b"" if content is None else json.dumps(content).encode()
            body, length = bytearray(head + tail), len(head)
            for _ in range(rng.randrange(3)):
                at = rng.randrange(len(body))
                match rng.randrange(4):
                    case 0:
                        body[at] = rng.randrange(256)
                    case 1:
                        body[at:at] = rng.randbytes(rng.choice((1, 4, 8)))
                    case 2:
                        del body[at : at + rng.choice((1, 4, 8, 100))]
                        body += b"x" * (not body)
                    case 3:
                        length += rng.choice((-9, -1, 1, 9, 10**9))
            headers = {b"host": b"localhost", LENGTH.lower().encode(): str(length).encode()}
            request = Request("fuzzed", "POST", path, headers=headers, body=bytes(body))
            response = runner.run(app.answer(request))
            statuses[response.status] += 1
            assert response.status < 500, (path, headers, body, response.body)
    assert min(statuses[200], statuses[400]) > N_REQUESTS // 10, statuses
