"""The Python client against a real service: the same kind of thing out as went in."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import modelway
from modelway.client import Client
from modelway.domain.errors import (
    EndpointNotFound,
    InvalidInput,
    InvalidName,
    PayloadTooLarge,
    SignatureMismatch,
    Unavailable,
)
from support.ending import joined
from support.live import Serve, Service

VIRGINICA = {"sepal_length": 7.7, "sepal_width": 3.0, "petal_length": 6.1, "petal_width": 2.3}
SETOSA = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
ECHO = """
from datetime import datetime
from typing import Literal

def echo(
    kind: Literal["cat", "dog"], name: str | None, legs: int | None, size: float | None,
    tame: bool | None, born: datetime | None,
) -> str:
    return f"{kind} {name} {legs} {size} {tame} {born}"
"""


@pytest.fixture(scope="module")
def service(serve_all: Serve, iris_bundle: Path) -> Service:
    return serve_all(iris_bundle)


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with modelway.Client(service.url) as found:
        yield found


def test_a_row_rows_and_a_frame_each_give_their_kind(client: Client) -> None:
    one = client.predict(VIRGINICA)
    assert (one["prediction"], one["label"], one["endpoint"]) == (2, "virginica", "iris")
    several = client.predict([VIRGINICA, SETOSA])
    assert [answer["prediction"] for answer in several] == [2, 0]
    frame = client.predict(pd.DataFrame([VIRGINICA, SETOSA], index=["b", "a"]))
    assert list(frame.index) == ["b", "a"]
    assert list(frame.columns) == [
        *("prediction", "label", "probability_0", "probability_1", "probability_2")
    ]
    assert frame["prediction"].tolist() == [2, 0]
    assert frame["label"].tolist() == ["virginica", "setosa"]
    assert frame["probability_2"].tolist() == [a["probabilities"]["2"] for a in several]
    assert client.predict([]) == []
    empty = client.predict(pd.DataFrame(columns=list(VIRGINICA), dtype=float))
    assert (len(empty), "prediction" in empty) == (0, True)


def test_models_are_listed(client: Client, service: Service) -> None:
    (listed,) = client.models()
    assert (listed["name"], listed["task"], listed["runtime"]) == ("iris", "classification", "onnx")
    with Client(service.url + "/", endpoint="iris") as named:
        assert named.predict(SETOSA)["prediction"] == 0


def test_missing_values_and_types_arrive_as_they_are(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "pets.py").write_text(ECHO)
    born = datetime(2024, 5, 17, 12, 30)
    frame = pd.DataFrame(
        {
            "kind": pd.Categorical(["cat", "dog"]),
            "name": pd.Series(["Tom", None], dtype="object"),
            "legs": pd.Series([4, None], dtype="Int64"),
            "size": np.array([0.5, np.nan], dtype=np.float32),
            "tame": pd.Series([True, pd.NA], dtype="boolean"),
            "born": pd.Series([born, None], dtype="datetime64[us]"),
        }
    )
    with Client(serve("pets.py:echo").url) as client:
        found = client.predict(frame)["prediction"].tolist()
        assert found == ["cat Tom 4 0.5 True 2024-05-17 12:30:00", "dog None None None None None"]
        rows = [dict(frame.iloc[k]) for k in range(2)]
        assert [one["prediction"] for one in client.predict(rows)] == found


def test_many_rows_travel_in_chunks_and_keep_their_order(serve: Serve, iris_bundle: Path) -> None:
    service = serve(iris_bundle, environment={"MODELWAY__REST__MAX_BODY_BYTES": "4096"})
    kinds = np.random.default_rng(7).random(2000) < 0.5
    rows = [VIRGINICA if kind else SETOSA for kind in kinds]
    with Client(service.url) as client:
        found = client.predict(pd.DataFrame(rows))["prediction"].to_numpy()
        assert np.array_equal(found, np.where(kinds, 2, 0))
        assert [one["prediction"] for one in client.predict(rows)] == found.tolist()
        with pytest.raises(PayloadTooLarge):
            client.predict([{**SETOSA, "note": "x" * 5000}])


def test_every_problem_is_named_and_rows_are_counted_from_the_first(client: Client) -> None:
    frame = pd.DataFrame([SETOSA] * 300, dtype=object)
    frame.loc[250, "petal_length"] = "abc"
    frame.loc[251, "petal_width"] = np.inf
    with pytest.raises(SignatureMismatch) as caught:
        client.predict(frame)
    assert [one.pointer for one in caught.value.problems] == ["/data/250/2", "/data/251/3"]
    assert [one.column for one in caught.value.problems] == ["petal_length", "petal_width"]
    with pytest.raises(SignatureMismatch) as caught:
        client.predict([SETOSA] * 150 + [{"sepal_length": 1.0}])
    assert {one.pointer for one in caught.value.problems} == {
        *("/150/sepal_width", "/150/petal_length", "/150/petal_width")
    }


def test_an_endpoint_that_is_not_there_is_named(service: Service) -> None:
    with Client(service.url, endpoint="loan") as client, pytest.raises(EndpointNotFound) as caught:
        client.predict(SETOSA)
    assert "'loan'" in caught.value.message
    with pytest.raises(InvalidName):
        Client(service.url, endpoint="../admin")


def test_threads_share_a_client(client: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(client.predict, [VIRGINICA, SETOSA] * 50))
    assert [one["prediction"] for one in found] == [2, 0] * 50


def test_what_is_no_table_is_refused(client: Client) -> None:
    wrong: Any
    for wrong in ("text", 5, None):
        with pytest.raises(InvalidInput, match="DataFrame"):
            client.predict(wrong)


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://host", "http://", "http://host:port"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="not the address"):
        Client(url)


def test_nobody_there_is_said_with_the_address(free_port: int) -> None:
    url = f"http://127.0.0.1:{free_port}"
    with Client(url) as client, pytest.raises(Unavailable, match=f"nobody answers at {url}"):
        client.predict(SETOSA)


def _answering(answer: bytes, listener: socket.socket) -> None:
    """Give everybody one answer and then close, without having said so."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer))
            connection.sendall(answer)


@pytest.fixture
def impostor(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of something that answers everything alike and closes its connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        words = (request.param, listener)
        thread = threading.Thread(target=_answering, args=words, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    joined(thread)


@pytest.mark.parametrize("impostor", [b'{"prediction":1}'], indirect=True)
def test_a_connection_that_was_closed_meanwhile_is_opened_again(impostor: str) -> None:
    with Client(impostor) as client:
        for _ in range(3):
            assert client.predict({"a": 1})["prediction"] == 1


@pytest.mark.parametrize("impostor", [b"<html>hello</html>", b'{"hello":1}'], indirect=True)
def test_another_kind_of_service_is_recognised(impostor: str) -> None:
    with Client(impostor) as client:
        with pytest.raises(Unavailable, match="does not answer as a Modelway service does"):
            client.predict([{"a": 1}])
        with pytest.raises(Unavailable, match=impostor):
            client.models()


def test_too_slow_an_answer_is_said_with_the_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(url, timeout_s=0.2) as client, pytest.raises(Unavailable, match=r"0\.2 s"):
            client.predict(SETOSA)


def test_the_client_imports_nothing_heavy() -> None:
    heavy = ["pandas", "onnxruntime", "uvicorn", "modelway.inference", "modelway.settings"]
    code = f"import sys, modelway; modelway.Client; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
