"""The remote runtime against a real service, and against servers that answer anything at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway.bundles.store import open_bundle
from modelway.domain.errors import DeadlineExceeded, OutputInvalid, PredictFailed
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Table
from modelway.inference.validation import Validator
from modelway.runtimes import remote
from modelway.runtimes.remote import RemoteRuntime
from support.certificates import certificate_pair
from support.live import Serve
from support.loans import COLUMNS, loan_rows
from support.remote_servers import Scripted, scripted
from support.served import TENSORS, loaded, tensor_bundle

ONE = Signature(columns=(Column("a", "a", Datatype.FP64),))
TWO = Signature(
    columns=(Column("a", "a", Datatype.FP64), Column("b", "b", Datatype.INT64, nullable=True))
)
MIXED = Signature(
    columns=(
        Column("name", "name", Datatype.STRING, nullable=True),
        Column("age", "age", Datatype.INT64, nullable=True),
        Column("new", "new", Datatype.BOOL),
        Column("since", "since", Datatype.DATETIME, nullable=True),
    )
)
ROW = Table(ONE, 1, matrix=np.ones((1, 1)))
PAIR = Table(TWO, 2, matrix=np.array([[1.5, 2.0], [2.5, np.nan]]))


Open = Callable[[str], RemoteRuntime]


@pytest.fixture
def remote_at() -> Iterator[Open]:
    """Open remotes, and end their connections."""
    opened: list[RemoteRuntime] = []

    def remote_at(url: str) -> RemoteRuntime:
        opened.append(RemoteRuntime(url))
        return opened[-1]

    yield remote_at
    for one in opened:
        one.close()


@pytest.fixture
def other() -> Iterator[Scripted]:
    with scripted(Scripted()) as script:
        yield script


def sent(script: Scripted) -> Any:
    """The last request."""
    return json.loads(script.seen[-1][2])


def answering(*outputs: tuple[str, str, list[int], list[Any]]) -> bytes:
    return json.dumps(
        {
            "outputs": [
                {"name": name, "datatype": datatype, "shape": shape, "data": values}
                for name, datatype, shape, values in outputs
            ]
        }
    ).encode()


def test_another_modelway_answers_as_the_model_itself(
    serve: Serve, loan_bundle: Path, remote_at: Open, tmp_path: Path
) -> None:
    tensors = tensor_bundle(tmp_path / "tensors")
    service = serve(f"loan={loan_bundle}", f"tensors={tensors}")
    rows = [
        {key: None if value != value else value for key, value in row.items()}
        for row in loan_rows()[COLUMNS].to_dict("records")
    ]
    table = Validator(open_bundle(loan_bundle).signature, strict=False).rows(rows).table
    runtime = remote_at(f"{service.url}/v2/models/loan")
    model = loaded(loan_bundle, "loan")
    wanted, found = model.execution.predict(table), runtime.predict(table)
    classes = np.array(model.manifest.classes, dtype=object)
    assert list(found) == ["prediction", "probabilities", "label"]
    assert found["prediction"].tolist() == classes[wanted["class_index"]].tolist()
    np.testing.assert_array_equal(found["probabilities"], wanted["probabilities"])

    runtime = remote_at(f"{service.url}/v2/models/tensors")
    x = np.arange(6.0).reshape(2, 3)
    found = runtime.predict(Table(TENSORS, 2, arrays=(x,)))
    np.testing.assert_array_equal(found["doubled"], 2 * x)
    np.testing.assert_array_equal(found["total"], x.sum(axis=1))


def test_columns_are_tensors_of_their_own(other: Scripted, remote_at: Open) -> None:
    other.metadata = json.dumps(
        {"inputs": [{"name": n, "datatype": "FP64", "shape": [-1]} for n in "ab"]}
    ).encode()
    other.content = answering(("y", "FP64", [2, 1], [1.5, None]))
    found = remote_at(other.url).predict(PAIR)
    assert [place for *place, _ in other.seen] == [
        ["GET", "/v2/models/loan"],
        ["POST", "/v2/models/loan/infer"],
    ]
    assert sent(other) == {
        "inputs": [
            {"name": "a", "datatype": "FP64", "shape": [2], "data": [1.5, 2.5]},
            {"name": "b", "datatype": "INT64", "shape": [2], "data": [2, None]},
        ]
    }
    np.testing.assert_array_equal(found["y"], [1.5, np.nan])


def test_text_times_and_gaps_are_written_as_the_protocol_has_them(
    other: Scripted, remote_at: Open
) -> None:
    texts = np.array(["ann", None], object)
    moments = np.array(["2020-02-29T12:00", "NaT"], "datetime64[us]")
    flags, ages = np.array([1.0, 0.0]), np.array([40.0, np.nan])
    other.content = answering(("y", "BYTES", [2], ["yes", "no"]))
    table = Table(MIXED, 2, arrays=(texts, ages, flags, moments))
    assert remote_at(other.url).predict(table)["y"].tolist() == ["yes", "no"]
    assert {one["name"]: (one["datatype"], one["data"]) for one in sent(other)["inputs"]} == {
        "name": ("BYTES", ["ann", None]),
        "age": ("INT64", [40, None]),
        "new": ("BOOL", [True, False]),
        "since": ("BYTES", ["2020-02-29T12:00:00.000000Z", None]),
    }
    assert sent(other)["parameters"] == {"content_type": "pd"}


def test_who_says_so_is_given_one_matrix(other: Scripted, remote_at: Open) -> None:
    other.metadata = b'{"inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 2]}]}'
    other.content = answering(("y", "INT64", [2], [1, 2]), ("p", "FP32", [2, 2], [0, 1, 1, 0]))
    runtime = remote_at(other.url + "/")
    found = runtime.predict(PAIR)
    data = [1.5, 2.0, 2.5, None]
    assert sent(other) == {
        "inputs": [{"name": "X", "datatype": "FP32", "shape": [2, 2], "data": data}]
    }
    assert [str(found[name].dtype) for name in "yp"] == ["int64", "float32"]
    assert found["p"].shape == (2, 2)
    runtime.predict(PAIR)
    assert [method for method, *_ in other.seen] == ["GET", "POST", "POST"]
    assert other.connections == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"error": "no"}',
        b'{"outputs": []}',
        b"\xff\xfe",
        b"[" * 100_000,
        answering(("y", "FP64", [2], [1.0, 2.0])),
        answering(("y", "FP64", [-1], [1.0])),
        answering(("y", "FP64", [], [1.0])),
        answering(("y", "FP64", [1, 2], [1.0])),
        answering(("y", "FP64", [1], ["one"])),
        answering(("y", "INT64", [1], [1.5])),
        answering(("y", "INT64", [1], [None])),
        answering(("y", "UINT8", [1], [300])),
        answering(("y", "INT64", [1], [10**30])),
        answering(("y", "BYTES", [1], [{"a": 1}])),
        answering(("y", "BF16", [1], [1.0])),
        answering(("y", "FP64", [1], [1.0]), ("y", "FP64", [1], [2.0])),
    ],
)
def test_rubbish_is_no_answer(other: Scripted, remote_at: Open, content: bytes) -> None:
    other.content = content
    runtime = remote_at(other.url)
    with pytest.raises(OutputInvalid):
        runtime.predict(ROW)
    other.content = Scripted().content
    assert runtime.predict(ROW)["y"].tolist() == [1.5]


@pytest.mark.parametrize("metadata", [b"<html>", b'{"inputs": 3}', b'{"inputs": [{"name": 1}]}'])
def test_metadata_that_says_nothing_is_passed_over(
    other: Scripted, remote_at: Open, metadata: bytes
) -> None:
    other.metadata = metadata
    assert remote_at(other.url).predict(ROW)["y"].tolist() == [1.5]
    assert sent(other)["inputs"][0]["name"] == "a"


def test_a_refusal_is_a_failure_and_a_redirect_is_not_followed(
    other: Scripted, remote_at: Open
) -> None:
    runtime = remote_at(other.url)
    for status in (500, 404, 204):
        other.status, other.content = status, b""
        with pytest.raises(PredictFailed, match=f"answered {status} instead of 200"):
            runtime.predict(ROW)
    with scripted(Scripted()) as target:
        other.status, other.location = 307, f"{target.url}/infer"
        with pytest.raises(PredictFailed, match="307"):
            runtime.predict(ROW)
        assert not target.seen


def test_an_answer_is_bounded(
    other: Scripted, remote_at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "LARGEST_ANSWER_BYTES", 1000)
    other.content = b" " * 1001
    runtime = remote_at(other.url)
    with pytest.raises(OutputInvalid, match="more than 1000 bytes"):
        runtime.predict(ROW)
    other.content = Scripted().content
    assert runtime.predict(ROW)["y"].tolist() == [1.5]


def test_who_is_slow_is_waited_for_a_while(
    other: Scripted, remote_at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "TIMEOUT_S", 0.2)
    other.wait_s = 1.0
    runtime = remote_at(other.url)
    with pytest.raises(DeadlineExceeded, match=r"within 0\.2 s"):
        runtime.predict(ROW)
    other.wait_s, other.drips = 0.0, True
    with pytest.raises(DeadlineExceeded):
        runtime.predict(ROW)
    other.drips = False
    assert runtime.predict(ROW)["y"].tolist() == [1.5]


def test_a_connection_that_was_closed_meanwhile_is_made_anew(
    other: Scripted, remote_at: Open
) -> None:
    other.closes = True
    runtime = remote_at(other.url)
    for _ in range(3):
        assert runtime.predict(ROW)["y"].tolist() == [1.5]
    assert other.connections == 4  # the metadata had one of its own


def test_who_is_away_is_a_failure(free_port: int, remote_at: Open) -> None:
    runtime = remote_at(f"http://127.0.0.1:{free_port}/v2/models/loan")
    with pytest.raises(PredictFailed, match="refused"):
        runtime.predict(ROW)
    runtime.close()


def test_infinity_is_not_sent_as_something_else(other: Scripted, remote_at: Open) -> None:
    with pytest.raises(PredictFailed, match="infinity"):
        remote_at(other.url).predict(Table(ONE, 1, matrix=np.full((1, 1), np.inf)))
    assert [method for method, *_ in other.seen] == ["GET"]


def test_a_certificate_that_nobody_vouches_for_is_refused(
    other: Scripted, remote_at: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate_pair().write(tmp_path)
    url = other.secured(cert, key)
    with pytest.raises(PredictFailed, match="CERTIFICATE_VERIFY_FAILED"):
        remote_at(url).predict(ROW)
    assert not other.seen
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    runtime = remote_at(url)
    for _ in range(2):
        assert runtime.predict(ROW)["y"].tolist() == [1.5]
