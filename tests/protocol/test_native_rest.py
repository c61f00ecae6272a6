"""The native HTTP API, as its callers see it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
import re
import socket
import threading
import zlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.asgi import HOST, asked_in_chunks, asking_http, good, problem
from support.live import Answer, Ask
from support.served import LARGEST_BODY as LARGEST

ROW = {"sepal_length": 5.0, "petal_width": 2.2}
NAMED = {"sepal length (cm)": 5.0, "petal width": 2.2}
QUERY = "sepal_length=5&petal_width=2.2"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class TestPredictions:
    def test_one_object_gives_one_prediction(self, ask: Ask) -> None:
        answer = ask("/models/iris/predict", payload=ROW)
        said = good(answer)
        assert said["prediction"] == 2
        assert said["label"] == "virginica"
        assert said["probabilities"] == {"0": 0.125, "1": 0.125, "2": 0.75}
        assert said["endpoint"] == answer.headers["modelway-endpoint"] == "iris"
        assert said["version"] == answer.headers["modelway-version"]
        assert said["version"].startswith("sha256:")
        assert said["prediction_id"] == answer.headers["modelway-prediction-id"]
        assert UUID7.fullmatch(said["prediction_id"])
        assert "warnings" not in said

    def test_an_array_gives_an_array(self, ask: Ask) -> None:
        rows = [ROW, NAMED | {"petal width": 0.2}]
        answer = ask("/models/iris/predict", payload=rows)
        said = good(answer)
        assert [one["prediction"] for one in said] == [2, 0]
        name = answer.headers["modelway-prediction-id"]
        assert [one["prediction_id"] for one in said] == [f"{name}:0", f"{name}:1"]
        assert {one["endpoint"] for one in said} == {"iris"}

    def test_columns_and_data_give_an_array(self, ask: Ask) -> None:
        frame = {"columns": ["petal_width", "sepal_length"], "data": [[0.2, 5], [2.2, 5]]}
        said = good(ask("/models/iris/predict", payload=frame))
        assert [one["prediction"] for one in said] == [0, 2]

    def test_no_rows_give_no_answers(self, ask: Ask) -> None:
        assert good(ask("/predict", payload=[])) == []

    def test_a_query_gives_one_prediction(self, ask: Ask) -> None:
        for path in ("/models/iris/predict", "/predict", "/"):
            assert good(ask(f"{path}?{QUERY}"))["label"] == "virginica"

    def test_a_query_may_hold_the_columns_own_names(self, ask: Ask) -> None:
        path = "/?sepal+length+%28cm%29=5&petal%20width=2.2"
        assert good(ask(path))["prediction"] == 2

    def test_the_default_endpoint_answers_predict(self, ask: Ask) -> None:
        assert good(ask("/predict", payload=ROW))["endpoint"] == "iris"

    def test_what_is_unusual_is_answered_with_a_warning(self, ask: Ask) -> None:
        said = good(ask("/predict", payload=[ROW, ROW | {"petal_width": 9, "note": "x"}]))
        assert "warnings" not in said[0]
        warnings = {one["column"]: one for one in said[1]["warnings"]}
        assert warnings["petal width"]["code"] == "out-of-range"
        assert warnings["petal width"]["received"] == "9"
        assert "from 0.1 to 2.5" in warnings["petal width"]["message"]
        assert warnings["note"]["code"] == "unknown-column"

    def test_a_caller_may_bring_the_prediction_id(self, ask: Ask) -> None:
        answer = ask("/predict", payload=ROW, headers={"modelway-prediction-id": "order-17.b"})
        assert good(answer)["prediction_id"] == "order-17.b"
        assert answer.headers["modelway-request-id"] != "order-17.b"

    @pytest.mark.parametrize("name", ["a b", "", "x" * 129, "ü"])
    def test_a_prediction_id_of_other_characters_is_refused(self, ask: Ask, name: str) -> None:
        said = problem(ask("/predict", payload=ROW, headers={"modelway-prediction-id": name}), 400)
        assert "modelway-prediction-id" in said["detail"]

    def test_the_prediction_may_have_another_word(self, ask: Ask) -> None:
        assert good(ask("/models/ratio/predict", payload={"a": 3, "b": 2}))["Ratio"] == 1.5

    def test_a_number_that_is_not_finite_is_null_with_a_warning(self, ask: Ask) -> None:
        rows = [{"a": 1, "b": 0}, {"a": 0, "b": 0}, {"a": 1}, {"a": 1, "b": 4}]
        said = good(ask("/models/ratio/predict", payload=rows))
        assert [one["Ratio"] for one in said] == [None, None, None, 0.25]
        assert [[w["code"] for w in one.get("warnings", [])] for one in said] == [
            ["not-finite"],
            ["not-finite"],
            ["not-finite"],
            [],
        ]

    def test_several_values_a_row_are_an_array(self, ask: Ask) -> None:
        said = good(ask("/models/pair/predict", payload={"a": 1, "b": None}))
        assert said["prediction"] == [1.0, None]
        assert said["warnings"][0]["code"] == "not-finite"

    def test_a_function_gets_and_gives_python_values(self, ask: Ask) -> None:
        row = {"name": "Zoë", "when": "2024-05-17T12:30:00+02:00", "paid": True, "rooms": 3}
        said = good(ask("/models/echo/predict", payload=row))
        assert said["prediction"] == row | {"when": "2024-05-17T10:30:00"}
        less = good(ask("/models/echo/predict", payload={"paid": False, "rooms": 0}))
        assert less["prediction"] == {"name": None, "when": None, "paid": False, "rooms": 0}

    def test_a_scalar_of_numpy_is_a_number(self, ask: Ask) -> None:
        assert good(ask("/models/fails/predict", payload={"a": 16}))["prediction"] == 0.5


class TestTensors:
    @pytest.mark.parametrize(
        "sent", [[[1, 2, 3]], {"X": [[1, 2, 3]]}, {"inputs": {"X": [[1, 2, 3]]}}]
    )
    def test_nested_arrays_in_and_out(self, ask: Ask, sent: object) -> None:
        said = good(ask("/models/tensor/predict", payload=sent))
        assert said["outputs"] == {"doubled": [[2, 4, 6]], "total": [[6]]}
        assert said["endpoint"] == "tensor"

    def test_a_wrong_shape_is_named(self, ask: Ask) -> None:
        said = problem(ask("/models/tensor/predict", payload={"X": [[1, 2]]}), 422)
        assert said["errors"][0]["code"] == "wrong-shape"

    def test_what_is_not_finite_is_null_with_a_warning(self, ask: Ask) -> None:
        said = good(ask("/models/tensor/predict", payload=[[1e308, 1, 1]]))
        assert said["outputs"]["doubled"] == [[None, 2, 2]]
        assert [one["column"] for one in said["warnings"]] == ["doubled"]

    def test_a_url_cannot_hold_one(self, ask: Ask) -> None:
        problem(ask("/models/tensor/predict?X=1"), 400)

    def test_other_formats_do_not_hold_one(self, ask: Ask) -> None:
        path = "/models/tensor/predict"
        problem(ask(path, body=b"X\n1\n", headers={"content-type": CSV}), 415)
        problem(ask(path, payload=[[1, 2, 3]], headers={"accept": CSV}), 406)


def csv_rows(answer: Answer) -> list[dict[str, str]]:
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))


def stream_of(columns: dict[str, Any], **options: Any) -> bytes:
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, **options) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def parquet_of(columns: dict[str, Any]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())


class TestFormats:
    def test_csv_gives_csv(self, ask: Ask) -> None:
        body = b"\xef\xbb\xbfpetal width,sepal_length\r\n0.2,5\r\n2.2,5\r\n"
        answer = ask("/predict", body=body, headers={"content-type": "text/csv; charset=UTF-8"})
        rows = csv_rows(answer)
        assert [row["prediction"] for row in rows] == ["0", "2"]
        assert [row["label"] for row in rows] == ["setosa", "virginica"]
        assert rows[1]["probability_2"] == "0.75"
        assert rows[1]["prediction_id"] == answer.headers["modelway-prediction-id"] + ":1"
        assert list(rows[0]) == [
            *("prediction", "label", "probability_0", "probability_1", "probability_2"),
            "prediction_id",
        ]

    @pytest.mark.parametrize("kind", [CSV, ARROW, PARQUET])
    def test_every_format_tells_of_warnings(self, ask: Ask, kind: str) -> None:
        rows = [ROW, ROW | {"petal_width": 9}]
        answer = ask("/predict", payload=rows, headers={"accept": kind})
        if kind == CSV:
            texts = [row["warnings"] or None for row in csv_rows(answer)]
        else:
            source = pa.BufferReader(answer.body)
            table = pa.ipc.open_stream(source) if kind == ARROW else pq.ParquetFile(source)
            texts = (table.read_all() if kind == ARROW else table.read())["warnings"].to_pylist()
        assert texts[0] is None
        assert [one["code"] for one in json.loads(texts[1] or "")] == ["out-of-range"]

    def test_csv_faults_are_all_named(self, ask: Ask) -> None:
        body = b"petal_width\nbig\n1\n\n2\nsmall\n"
        said = problem(ask("/predict", body=body, headers={"content-type": CSV}), 422)
        found = {(one["pointer"], one["code"]) for one in said["errors"]}
        assert ("/0/petal_width", "wrong-type") in found
        assert ("/3/petal_width", "wrong-type") in found
        assert "missing" in {one["code"] for one in said["errors"]}

    def test_rows_of_another_length_are_named(self, ask: Ask) -> None:
        body = b"sepal_length,petal_width\n1,2\n1\n1,2,3\n"
        said = problem(ask("/predict", body=body, headers={"content-type": CSV}), 422)
        assert [one["pointer"] for one in said["errors"]] == ["/1", "/2"]

    @pytest.mark.parametrize("body", [b"", b"\n\n", b'a,"b\n', b"\xff\xfe", b'a\n"1"2\n'])
    def test_what_is_no_csv_is_malformed(self, ask: Ask, body: bytes) -> None:
        problem(ask("/predict", body=body, headers={"content-type": CSV}), 400)

    @pytest.mark.parametrize(("kind", "write"), [(ARROW, stream_of), (PARQUET, parquet_of)])
    def test_columnar_bodies_give_columnar_answers(self, ask: Ask, kind: str, write: Any) -> None:
        body = write({"petal width": [0.2, 2.2], "sepal_length": pa.array([5, 5], pa.int8())})
        answer = ask("/predict", body=body, headers={"content-type": kind, "accept": "*/*"})
        assert answer.status == 200, answer.body
        assert answer.headers["content-type"] == kind
        source = pa.BufferReader(answer.body)
        table = pa.ipc.open_stream(source).read_all() if kind == ARROW else pq.read_table(source)
        assert table.column("prediction").to_pylist() == [0, 2]
        assert table.column("label").to_pylist() == ["setosa", "virginica"]
        assert table.column("probability_2").to_pylist() == [0.125, 0.75]

    @pytest.mark.parametrize("kind", [ARROW, PARQUET])
    @pytest.mark.parametrize("body", [b"", b"nonsense", b"PAR1" * 9, b"\xff\xff\xff\xff\x08\0\0\0"])
    def test_what_is_no_table_is_malformed(self, ask: Ask, kind: str, body: bytes) -> None:
        problem(ask("/predict", body=body, headers={"content-type": kind}), 400)

    @pytest.mark.parametrize(("kind", "write"), [(ARROW, stream_of), (PARQUET, parquet_of)])
    def test_columns_of_every_type(self, ask: Ask, kind: str, write: Any) -> None:
        from datetime import UTC, datetime

        moment = datetime(2024, 5, 17, 12, 30, tzinfo=UTC)
        body = write(
            {
                "name": pa.array(["a", None, "a"]).dictionary_encode(),
                "when": pa.array([moment, None, moment], pa.timestamp("ms", "Europe/Berlin")),
                "paid": pa.array([True, False, True]),
                "rooms": pa.array([1, 2, 3], pa.uint16()),
                "__index_level_0__": pa.array([7, 8, 9]),
            }
        )
        headers = {"content-type": kind, "accept": "application/json"}
        said = good(ask("/models/echo/predict", body=body, headers=headers))
        assert [one["prediction"]["name"] for one in said] == ["a", None, "a"]
        assert said[0]["prediction"]["when"] == "2024-05-17T12:30:00"
        assert [one["prediction"]["paid"] for one in said] == [True, False, True]
        assert "warnings" not in said[0]

    @pytest.mark.parametrize(("kind", "write"), [(ARROW, stream_of), (PARQUET, parquet_of)])
    def test_columnar_faults_are_named(self, ask: Ask, kind: str, write: Any) -> None:
        body = write({"sepal_length": [[1.0], [2.0]], "petal_width": ["x", None]})
        said = problem(ask("/predict", body=body, headers={"content-type": kind}), 422)
        assert {one["column"] for one in said["errors"]} == {"sepal length (cm)", "petal width"}
        assert said["total"] == 4

    @pytest.mark.parametrize("compression", ["zstd", "lz4"])
    def test_a_compressed_stream_is_read_up_to_a_size(self, ask: Ask, compression: str) -> None:
        options = pa.ipc.IpcWriteOptions(compression=compression)
        small = stream_of({"sepal_length": [5.0], "petal_width": [2.2]}, options=options)
        headers = {"content-type": ARROW, "accept": "application/json"}
        assert good(ask("/predict", body=small, headers=headers))[0]["prediction"] == 2
        many = pa.array([0.0] * (LARGEST + 1))
        large = stream_of({"sepal_length": many, "petal_width": many}, options=options)
        assert len(large) < LARGEST
        said = problem(ask("/predict", body=large, headers=headers), 413)
        assert "decompressed" in said["detail"]

    @pytest.mark.parametrize(
        ("accept", "kind"),
        [
            ("", "application/json"),
            ("*/*", "application/json"),
            ("text/html, */*;q=0.8", "application/json"),
            ("text/csv", "text/csv; charset=utf-8"),
            ("text/*", "text/csv; charset=utf-8"),
            ("text/csv;q=0.5, application/json", "application/json"),
            ("TEXT/CSV ; Q=0.9 , application/json;q=0.8", "text/csv; charset=utf-8"),
            ("application/json;q=0, */*", "text/csv; charset=utf-8"),
            (PARQUET, PARQUET),
        ],
    )
    def test_accept_decides(self, ask: Ask, accept: str, kind: str) -> None:
        headers = {"accept": accept} if accept else {}
        for answer in (
            ask("/predict", payload=ROW, headers=headers),
            ask(f"/predict?{QUERY}", headers=headers),
        ):
            assert answer.status == 200
            assert answer.headers["content-type"] == kind

    def test_json_may_be_wanted_of_csv(self, ask: Ask) -> None:
        headers = {"content-type": CSV, "accept": "application/json"}
        body = b"sepal_length,petal_width\n5,1\n"
        assert good(ask("/predict", body=body, headers=headers))[0]["label"] == "versicolor"

    def test_what_is_not_written_is_not_acceptable(self, ask: Ask) -> None:
        said = problem(ask("/predict", payload=ROW, headers={"accept": "image/png"}), 406)
        assert "text/csv" in said["detail"]

    @pytest.mark.parametrize(
        "kind",
        ["text/plain", "application/x-www-form-urlencoded", "", "application/json;charset=x"],
    )
    def test_what_is_not_read_is_unsupported(self, ask: Ask, kind: str) -> None:
        answer = ask("/predict", body=b"{}", headers={"content-type": kind})
        assert "hint" in problem(answer, 415)

    def test_a_compressed_body(self, ask: Ask) -> None:
        body = json.dumps(ROW).encode()
        for encoding, packed in (("gzip", gzip.compress(body)), ("deflate", zlib.compress(body))):
            answer = ask("/predict", body=packed, headers={"content-encoding": encoding})
            assert good(answer)["prediction"] == 2
        problem(ask("/predict", body=body, headers={"content-encoding": "gzip"}), 400)
        problem(ask("/predict", body=body, headers={"content-encoding": "br"}), 415)
        bomb = gzip.compress(b" " * (LARGEST + 1))
        problem(ask("/predict", body=bomb, headers={"content-encoding": "gzip"}), 413)

    def test_a_body_without_a_type_is_json(self, ask: Ask) -> None:
        assert good(ask("/predict", body=json.dumps(ROW).encode()))["prediction"] == 2

    def test_nested_answers_in_csv_are_json(self, ask: Ask) -> None:
        headers = {"accept": CSV}
        answer = ask("/models/echo/predict", payload={"paid": True, "rooms": 1}, headers=headers)
        (row,) = csv_rows(answer)
        assert json.loads(row["prediction"])["paid"] is True

    def test_several_values_a_row_are_several_columns(self, ask: Ask) -> None:
        answer = ask("/models/pair/predict", payload={"a": 1}, headers={"accept": CSV})
        (row,) = csv_rows(answer)
        assert (row["prediction_0"], row["prediction_1"]) == ("1.0", "")

    def test_large_requests_are_answered_too(self, ask: Ask) -> None:
        said = good(ask("/predict", payload=[ROW | {"note": "x" * 100}] * 900))
        assert len(said) == 900
        body = b"sepal_length,petal_width\n" + b"5.0000000000,2.2000000000\n" * 1000
        assert len(csv_rows(ask("/predict", body=body * 1, headers={"content-type": CSV}))) == 1000


class TestRefusals:
    def test_every_offending_field_is_named(self, ask: Ask) -> None:
        said = problem(ask("/?petal_width=abc"), 422)
        assert {one["column"] for one in said["errors"]} == {"sepal length (cm)", "petal width"}
        assert said["total"] == 2
        (wrong,) = [one for one in said["errors"] if one["column"] == "petal width"]
        assert wrong["pointer"] == "/petal_width"
        assert wrong["received"] == "'abc'"
        assert wrong["expected"] == "a number"
        assert "abc" in wrong["message"]

    def test_a_field_twice_in_a_query_is_refused(self, ask: Ask) -> None:
        said = problem(ask(f"/?{QUERY}&petal_width=1"), 422)
        assert said["errors"][0]["code"] == "duplicate"

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"[1,", b"nul", b"\xff", b"{} {}", b'"text"', b"3"]
    )
    def test_malformed_bodies(self, ask: Ask, body: bytes) -> None:
        problem(ask("/predict", body=body, method="POST"), 400)

    def test_deep_json_is_too_large(self, ask: Ask) -> None:
        problem(ask("/predict", body=b"[" * 5000 + b"]" * 5000), 413)

    def test_a_large_body_is_too_large(self, ask: Ask) -> None:
        assert str(LARGEST) in problem(ask("/predict", body=b" " * (LARGEST + 1)), 413)["detail"]

    def test_many_rows_are_too_many(self, ask: Ask) -> None:
        problem(ask("/predict", payload=[ROW] * 1001), 413)
        body = b"a\n" + b"1\n" * 1001
        problem(ask("/models/ratio/predict", body=body, headers={"content-type": CSV}), 413)
        for kind, write in ((ARROW, stream_of), (PARQUET, parquet_of)):
            body = write({"a": [1.0] * 1001})
            problem(ask("/models/ratio/predict", body=body, headers={"content-type": kind}), 413)

    def test_unknown_paths(self, ask: Ask) -> None:
        assert problem(ask("/nothing"), 404)["code"] == "route-not-found"
        assert problem(ask("/models/nobody"), 404)["code"] == "endpoint-not-found"
        said = problem(ask("/models/nobody/predict", payload=ROW), 404)
        assert "iris" in said["detail"]
        for path in ("/models/", "/models/iris/", "/models/iris/else", "//", "/%ff", "/models/%ff"):
            problem(ask(path), 404)

    def test_other_methods_are_not_allowed(self, ask: Ask) -> None:
        answer = ask("/models/iris/predict", method="DELETE")
        problem(answer, 405)
        assert answer.headers["allow"] == "GET, POST, HEAD, OPTIONS"
        assert ask("/models", method="POST", body=b"{}").status == 405

    def test_head_is_get_without_the_body(self, ask: Ask) -> None:
        whole, head = ask("/models"), ask("/models", method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.body))
        assert ask(f"/?{QUERY}", method="HEAD").status == 200

    def test_options_says_what_is_allowed(self, ask: Ask) -> None:
        answer = ask("/predict", method="OPTIONS")
        assert (answer.status, answer.body) == (204, b"")
        assert answer.headers["allow"] == "GET, POST, HEAD, OPTIONS"

    @pytest.mark.parametrize("a", [13, 14, 15])
    def test_a_model_that_fails_is_said_without_internals(
        self, ask: Ask, a: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.ERROR, "modelway.rest"):
            answer = ask("/models/fails/predict", payload={"a": a})
        said = problem(answer, 500)
        assert said["code"] in ("predict-failed", "output-invalid")
        assert b"secret" not in answer.body
        assert b"Traceback" not in answer.body
        (record,) = [one for one in caplog.records if one.name == "modelway.rest"]
        assert vars(record)["request_id"] == said["request_id"]
        assert record.exc_info is not None
        assert good(ask("/models/fails/predict", payload={"a": 1}))["prediction"] == "fine"

    @pytest.mark.parametrize(
        "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example"]
    )
    def test_another_host_is_refused(self, ask: Ask, host: str) -> None:
        said = problem(ask("/models", headers={"host": host}), 400)
        assert host in said["detail"]

    @pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:9", "[::1]:8080"])
    def test_this_machine_is_answered(self, ask: Ask, host: str) -> None:
        assert ask("/models", headers={"host": host}).status == 200


class TestDescriptions:
    def test_models(self, ask: Ask) -> None:
        said = good(ask("/models"))
        assert said["default"] == "iris"
        names = [one["name"] for one in said["models"]]
        assert names == ["iris", "ratio", "pair", "tensor", "echo", "fails"]
        assert said["models"][0]["runtime"] == "onnx"
        assert said["models"][4]["runtime"] == "python_function"

    def test_one_model(self, ask: Ask) -> None:
        said = good(ask("/models/iris"))
        assert said["digest"] == said["version"]
        assert said["compiled"] is True
        assert said["metrics"] == {"accuracy": 0.96}
        assert said["parity"]["flips"] == 0
        assert "worst_row" not in said["parity"]
        assert [one["alias"] for one in said["signature"]["columns"]] == [*ROW]
        assert good(ask("/models/iris/predict", payload=said["sample"]))["prediction"] in (0, 1, 2)

    def test_the_sample_of_a_tensor_model_is_answered(self, ask: Ask) -> None:
        sample = good(ask("/models/tensor"))["sample"]
        assert "outputs" in good(ask("/models/tensor/predict", payload=sample))

    def test_health(self, ask: Ask) -> None:
        assert good(ask("/health/live")) == {"live": True}
        assert good(ask("/health/ready"))["ready"] is True

    def test_openapi_and_page(self, ask: Ask) -> None:
        assert good(ask("/openapi.json"))["openapi"].startswith("3.1")
        page = ask("/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.body == b"<h1>page</h1>"


class TestTemplates:
    def test_the_prediction_alone(self, ask: Ask) -> None:
        answer = ask("/predict/5/2.2")
        assert good(answer) == {"prediction": 2}
        assert answer.headers["modelway-endpoint"] == "iris"
        assert answer.headers["modelway-prediction-id"]
        assert ask("/predict/5/2.2", method="HEAD").status == 200

    def test_nullable_columns_may_be_left_out(self, ask: Ask) -> None:
        assert good(ask("/ratio/5")) == {"Ratio": None}

    def test_wrong_cells_are_named(self, ask: Ask) -> None:
        said = problem(ask("/predict/many/"), 422)
        assert {one["column"] for one in said["errors"]} == {"sepal length (cm)", "petal width"}
        problem(ask("/predict/5/a%2Fb"), 422)
        problem(ask("/predict/5/%ff"), 400)

    def test_other_paths_and_methods(self, ask: Ask) -> None:
        problem(ask("/predict/5"), 404)
        problem(ask("/predict/5/2/1"), 404)
        problem(ask("/predict/5/2", method="POST", body=b"{}"), 405)


class TestConnections:
    def test_a_body_in_chunks(self, app: Any) -> None:
        body = json.dumps(ROW).encode()
        chunks = [body[i : i + 1] for i in range(len(body))]
        assert asked_in_chunks(app, "/predict", chunks).status == 200

    def test_chunks_beyond_the_limit(self, app: Any) -> None:
        chunks = [b" " * 1000] * (LARGEST // 1000 + 1)
        assert asked_in_chunks(app, "/predict", chunks).status == 413

    @pytest.mark.parametrize("length", ["-1", "x", "", "9" * 5000])
    def test_a_length_that_is_none(self, ask: Ask, length: str) -> None:
        answer = ask("/predict", method="POST", headers={"content-length": length})
        assert answer.status in (400, 413)

    def test_a_caller_that_leaves_is_no_error(
        self, port: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        head = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n"
        for sent in (head, head + b"{", b"GET /models HTTP/1.1\r\nhost: localhost\r\n\r\n"):
            with socket.create_connection((HOST, port)) as connection:
                connection.sendall(sent)
        assert asking_http(port)("/health/live").status == 200
        assert caplog.records == []

    def test_callers_leave_a_real_server_unharmed(self, port: int) -> None:
        request = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{"
        for _ in range(5):
            with socket.create_connection((HOST, port)) as connection:
                connection.sendall(request)
        with socket.create_connection((HOST, port)) as connection:
            connection.sendall(b"GET /\xff\xfe HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert b" 5" not in connection.recv(100).partition(b"\r\n")[0]
        with socket.create_connection((HOST, port)) as connection:
            body = json.dumps(ROW).encode()
            head = (
                b"POST /predict HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            connection.sendall(head)
            for byte in body:
                connection.sendall(b"1\r\n" + bytes([byte]) + b"\r\n")
            connection.sendall(b"0\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")

    def test_many_callers_at_once_get_their_own_answers(self, port: int) -> None:
        ask = asking_http(port)
        wrong: list[int] = []

        def call(k: int) -> None:
            for i in range(20):
                wanted = (k + i) % 5
                said: Any = ask("/models/pair/predict", payload={"a": wanted, "b": 1}).json
                if said["prediction"] != [wanted, 1]:
                    wrong.append(k)

        threads = [threading.Thread(target=call, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
