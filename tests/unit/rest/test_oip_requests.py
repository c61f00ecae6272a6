"""Whole requests of the Open Inference Protocol, read for models of columns and of tensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway.domain.errors import (
    InvalidInput,
    MalformedPayload,
    ModelwayError,
    PayloadTooLarge,
    SignatureMismatch,
)
from modelway.domain.signature import Column, Datatype, Signature
from modelway.inference.decoding import Limits
from modelway.inference.loading import LoadedModel
from modelway.rest.http import Request
from modelway.rest.oip_requests import Asked, WantedOutput, read_request
from support.served import (
    FLOWER,
    compiled_bundle,
    flower_graph,
    function_bundle,
    loaded,
    tensor_bundle,
)
from support.triton_models import identity_bundle, simple_bundle

LIMITS = Limits(max_json_depth=20, max_rows=100)
TEXT = Signature(columns=(Column("text", "text", Datatype.STRING),))
MIXED = Signature(columns=(*TEXT.columns, Column("n", "n", Datatype.INT64)))
RULES = "def one(text): return text\ndef two(text, n): return n\n"
X = np.arange(6.0).reshape(2, 3)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    folder: Path = tmp_path_factory.mktemp("models")
    flower = compiled_bundle(folder / "flower", flower_graph(), FLOWER, classes=(0, 1, 2))
    return {
        "flower": loaded(flower, "flower"),
        "tensor": loaded(tensor_bundle(folder / "tensor"), "tensor"),
        "simple": loaded(simple_bundle(folder / "simple"), "simple"),
        "identity": loaded(identity_bundle(folder / "identity"), "identity"),
        "text": loaded(function_bundle(folder / "one", RULES, "one", TEXT), "text"),
        "mixed": loaded(function_bundle(folder / "two", RULES, "two", MIXED), "mixed"),
    }


def tensor(name: str, datatype: str, shape: list[int], **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, **more}


def binary(name: str, datatype: str, shape: list[int], size: int) -> dict[str, Any]:
    return tensor(name, datatype, shape, parameters={"binary_data_size": size})


def request(body: bytes, length: int | None = None) -> Request:
    headers = {} if length is None else {b"inference-header-content-length": str(length).encode()}
    return Request("id", "POST", "/", headers=headers, body=body)


def read(model: LoadedModel, content: Mapping[str, Any], tail: bytes | None = None) -> Asked:
    head = json.dumps(content).encode()
    length = None if tail is None else len(head)
    return read_request(request(head + (tail or b""), length), model, LIMITS)


def refused(kind: type[ModelwayError], model: LoadedModel, *inputs: Any, **more: Any) -> str:
    tail = more.pop("tail", None)
    with pytest.raises(kind) as found:
        read(model, {"inputs": list(inputs), **more}, tail)
    assert type(found.value) is kind
    return found.value.message


@pytest.mark.parametrize("model", ["flower", "tensor"])
def test_a_request_in_json(models: dict[str, LoadedModel], model: str) -> None:
    data = [[5.0, 1.5, 1.0][: 2 + (model == "tensor")]]
    asked = read(models[model], {"inputs": [tensor("X", "FP64", [1, len(data[0])], data=data)]})
    assert np.stack(asked.checked.table.arrays).ravel().tolist() == data[0]
    assert (asked.id, asked.wanted, asked.binary) == (None, None, False)
    assert (dict(asked.parameters), asked.patience_s) == ({}, None)


def test_tensors_in_json_and_in_bytes_may_be_mixed(models: dict[str, LoadedModel]) -> None:
    first = np.arange(16, dtype="<i4")
    rows = tensor("INPUT1", "INT32", [1, 16], data=[1] * 16)
    for inputs in (
        [binary("INPUT0", "INT32", [1, 16], 64), rows],
        [rows, binary("INPUT0", "INT32", [1, 16], 64)],
    ):
        asked = read(models["simple"], {"inputs": inputs}, first.tobytes())
        assert [one.ravel().tolist() for one in asked.checked.table.arrays] == [
            first.tolist(),
            [1] * 16,
        ]


def test_every_datatype_comes_in_bytes(models: dict[str, LoadedModel]) -> None:
    for datatype, dtype in (("FP16", "<f2"), ("FP32", "<f4"), ("INT8", "i1"), ("UINT32", "<u4")):
        raw = X.astype(dtype).tobytes()
        asked = read(models["tensor"], {"inputs": [binary("X", datatype, [2, 3], len(raw))]}, raw)
        assert asked.checked.table.arrays[0].tolist() == X.tolist()
    raw = b"\x01\x00\x00\x00a\x00\x00\x00\x00"
    texts = read(models["identity"], {"inputs": [binary("INPUT0", "BYTES", [1, 2], 9)]}, raw)
    assert texts.checked.table.arrays[0].tolist() == [["a", ""]]


def test_large_tensors_stay_where_they_came(models: dict[str, LoadedModel]) -> None:
    head = json.dumps({"inputs": [binary("X", "FP64", [2, 3], 48)]}).encode()
    head += b" " * (-len(head) % 8)
    body = head + X.tobytes()
    asked = read_request(request(body, len(head)), models["tensor"], LIMITS)
    start = np.frombuffer(body, np.uint8).__array_interface__["data"][0]
    place = asked.checked.table.arrays[0].__array_interface__["data"][0]
    assert place == start + len(head)


def test_a_body_of_nothing_but_bytes_is_the_one_input(models: dict[str, LoadedModel]) -> None:
    asked = read_request(request(X.tobytes(), 0), models["tensor"], LIMITS)
    assert asked.checked.table.arrays[0].tolist() == X.tolist()
    assert (asked.binary, asked.wanted, asked.id) == (True, None, None)
    flower = np.array([[5.0, 1.5], [6.0, 0.3]])
    asked = read_request(request(flower.tobytes(), 0), models["flower"], LIMITS)
    assert asked.checked.table.matrix.tolist() == flower.tolist()
    asked = read_request(request("é".encode(), 0), models["text"], LIMITS)
    assert asked.checked.table.arrays[0].tolist() == ["é"]
    for model, body, kind in (
        ("tensor", X.tobytes()[:-8], SignatureMismatch),
        ("tensor", X.tobytes()[:-1], SignatureMismatch),
        ("tensor", np.zeros((101, 3)).tobytes(), PayloadTooLarge),
        ("simple", b"", InvalidInput),
        ("identity", b"a", InvalidInput),
        ("mixed", b"a", InvalidInput),
    ):
        with pytest.raises(ModelwayError) as refusal:
            read_request(request(body, 0), models[model], LIMITS)
        assert type(refusal.value) is kind, model


def test_outputs_are_asked_for_in_json_or_in_bytes(models: dict[str, LoadedModel]) -> None:
    rows = tensor("X", "FP64", [1, 2], data=[5.0, 2.2])
    for default in (None, True, False):
        asked = read(
            models["flower"],
            {
                "inputs": [rows],
                "parameters": {} if default is None else {"binary_data_output": default},
                "outputs": [
                    {"name": "label"},
                    {"name": "prediction", "parameters": {"binary_data": True}},
                    {
                        "name": "probabilities",
                        "parameters": {"binary_data": False, "classification": 3},
                    },
                ],
            },
        )
        assert asked.binary is bool(default)
        assert asked.wanted == [
            WantedOutput("label", bool(default)),
            WantedOutput("prediction", True),
            WantedOutput("probabilities", False, 3),
        ]
    assert read(models["flower"], {"inputs": [rows], "outputs": []}).wanted is None
    with pytest.raises(InvalidInput, match="has no output 'nothing'"):
        read(models["flower"], {"inputs": [rows], "outputs": [{"name": "nothing"}]})


def test_parameters_are_the_models_but_for_those_that_are_not(
    models: dict[str, LoadedModel],
) -> None:
    parameters = {
        **{"threshold": 0.5, "word": "x", "none": None},
        **{"sequence_id": 1, "priority": 2, "triton_x": 1, "binary_data_output": True},
        "timeout": 250_000,
    }
    rows = tensor("X", "FP64", [1, 3], data=[1, 2, 3])
    asked = read(models["tensor"], {"id": "", "inputs": [rows], "parameters": parameters})
    assert asked.parameters == {"threshold": 0.5, "word": "x"}
    assert (asked.patience_s, asked.id) == (0.25, "")
    for useless in (0, -1, "soon", True, 0.5):
        asked = read(models["tensor"], {"inputs": [rows], "parameters": {"timeout": useless}})
        assert asked.patience_s is None


def test_every_tensor_that_is_wrong_is_named(models: dict[str, LoadedModel]) -> None:
    with pytest.raises(SignatureMismatch) as found:
        read(
            models["simple"],
            {
                "inputs": [
                    tensor("a", "FLOAT", [1], data=[1]),
                    tensor("b", "FP16", [1], data=[1]),
                    tensor("c", "INT8", [-1], data=[1]),
                    tensor("d", "INT8", [2], data=[1]),
                    tensor("e", "INT8", [1]),
                    tensor("f", "INT8", [1], data=["x"]),
                    binary("g", "INT8", [2], 1),
                    tensor("h", "INT8", [0, 2**60], data=[]),
                    tensor("i", "INT8", [1] * 33, data=[1]),
                ]
            },
            b"\0",
        )
    names = [one.column for one in found.value.problems]
    assert names == list("abcdefghi")
    assert found.value.problems[1].message.startswith("b: expected FP16 as binary data")


def test_what_does_not_go_together_is_refused(models: dict[str, LoadedModel]) -> None:
    model = models["tensor"]
    both = tensor("X", "FP64", [1, 3], data=[1, 2, 3], parameters={"binary_data_size": 24})
    assert "both" in refused(MalformedPayload, model, both, tail=bytes(24))
    assert "left" in refused(MalformedPayload, model, tail=b"1")
    rows = tensor("X", "FP64", [1, 3], data=[1, 2, 3])
    assert "left" in refused(MalformedPayload, model, rows, tail=b"1")
    there = binary("X", "FP64", [1, 3], 24)
    assert "no Inference-Header" in refused(MalformedPayload, model, there)
    many = tensor("X", "FP64", [101, 3], data=[])
    assert "101 rows" in refused(PayloadTooLarge, model, many)
    shared = tensor("X", "FP64", [1, 3], parameters={"shared_memory_region": "r"})
    assert "shared memory" in refused(InvalidInput, model, shared)
    for outputs in (
        [{"name": "a", "parameters": {"shared_memory_region": "r"}}],
        [{"name": "a", "parameters": {"binary_data": 1}}],
        [{"name": "a", "parameters": {"classification": 0}}],
        [{"name": "a", "parameters": {"classification": True}}],
    ):
        refused(InvalidInput, model, rows, outputs=outputs)
    refused(InvalidInput, model, rows, parameters={"binary_data_output": "yes"})


def test_the_model_judges_what_it_is_sent(models: dict[str, LoadedModel]) -> None:
    said = refused(SignatureMismatch, models["flower"], tensor("x", "FP64", [1, 3], data=[1, 2, 3]))
    assert "[any, 2], the columns sepal length (cm), petal width" in said
    odd = tensor("x", "FP64", [2, 2], data=[None, 1.5, 6.0, 1.0])
    said = refused(SignatureMismatch, models["flower"], odd)
    assert said == "row 0, sepal length (cm): expected a number, got null"
