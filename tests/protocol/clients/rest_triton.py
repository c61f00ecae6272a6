"""What Triton's own client library sees of a service over HTTP: ``python rest_triton.py ADDRESS``.

It serves iris (three classes by petal width), simple (sum and difference of INT32 [n, 16]),
simple_string (the same in text) and identity (BYTES). What NVIDIA's examples of the library do is
done: JSON and binary tensors mixed, compressed requests, asynchronous calls, asyncio, statistics.
"""

import asyncio
import sys

import numpy as np
import tritonclient.http as blocking
import tritonclient.http.aio as aio
from tritonclient.utils import InferenceServerException

ADDRESS = sys.argv[1]
FIRST = np.arange(16, dtype=np.int32).reshape(1, 16)
SECOND = np.full((1, 16), -1, dtype=np.int32)
ROWS = np.array([[5.0, 0.3], [6.0, 1.5], [6.5, 2.3]])
CHANCES = np.full((3, 3), 0.125) + np.eye(3) * 0.625


def inputs_of(library, *binary, kind="INT32", arrays=(FIRST, SECOND)):
    found = []
    for k, array in enumerate(arrays):
        one = library.InferInput(f"INPUT{k}", array.shape, kind)
        one.set_data_from_numpy(array, binary_data=binary[k] if k < len(binary) else True)
        found.append(one)
    return found


def outputs_of(library, *binary, **more):
    return [
        library.InferRequestedOutput(f"OUTPUT{k}", binary_data=one, **more)
        for k, one in enumerate(binary)
    ]


def iris_input(library, rows=ROWS, kind="FP64", **how):
    found = library.InferInput("rows", rows.shape, kind)
    found.set_data_from_numpy(rows, **how)
    return [found]


def check_simple(result, sum_name="OUTPUT0", difference_name="OUTPUT1"):
    assert np.array_equal(result.as_numpy(sum_name), FIRST + SECOND)
    assert np.array_equal(result.as_numpy(difference_name), FIRST - SECOND)


def refused(call, status, *words):
    """The error that a call ends with has this status and says these words."""
    try:
        call()
    except InferenceServerException as error:
        assert error.status() in (None, str(status)), error
        for word in words:
            assert word in error.message(), error
        return
    raise AssertionError("it was answered")


def check_states(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("iris")
    assert not client.is_model_ready("nope")
    assert not client.is_model_ready("iris", "nope")
    server = client.get_server_metadata()
    assert server["name"] == "modelway"
    assert {"binary_tensor_data", "statistics"} <= set(server["extensions"])
    model = client.get_model_metadata("simple")
    assert [(one["name"], one["datatype"], one["shape"]) for one in model["inputs"]] == [
        ("INPUT0", "INT32", [-1, 16]),
        ("INPUT1", "INT32", [-1, 16]),
    ]
    assert client.is_model_ready("simple", model["versions"][0])
    assert client.get_model_metadata("simple", model["versions"][0])["name"] == "simple"
    index = client.get_model_repository_index()
    assert {(one["name"], one["state"]) for one in index} >= {("iris", "READY")}
    refused(lambda: client.get_model_metadata("nope"), 404, "nope")
    refused(lambda: client.unload_model("iris"), 404)
    refused(lambda: client.load_model("iris"), 404)
    assert client.is_model_ready("iris")


def check_simple_calls(client):
    for first, second in ((True, True), (False, True), (True, False), (False, False)):
        inputs = inputs_of(blocking, first, second)
        check_simple(client.infer("simple", inputs))
        for wanted in ((True, True), (False, True), (False, False)):
            result = client.infer("simple", inputs, outputs=outputs_of(blocking, *wanted))
            check_simple(result)
    for how in ("gzip", "deflate"):
        for asked in ("gzip", "deflate", None):
            result = client.infer(
                "simple",
                inputs_of(blocking, False, True),
                outputs=outputs_of(blocking, True, False),
                request_compression_algorithm=how,
                response_compression_algorithm=asked,
                query_params={"test_1": 1},
                request_id="some id",
            )
            check_simple(result)
            assert result.get_response()["id"] == "some id"
    only = client.infer("simple", inputs_of(blocking), outputs=outputs_of(blocking, True)[:1])
    assert [one["name"] for one in only.get_response()["outputs"]] == ["OUTPUT0"]
    assert only.as_numpy("OUTPUT1") is None
    version = client.get_model_metadata("simple")["versions"][0]
    found = client.infer("simple", inputs_of(blocking), model_version=version)
    check_simple(found)
    assert found.get_response()["model_version"] == version
    under_way = [client.async_infer("simple", inputs_of(blocking)) for _ in range(5)]
    for one in under_way:
        check_simple(one.get_result())
    rows = np.vstack([FIRST, SECOND])
    many = client.infer("simple", inputs_of(blocking, arrays=(rows, rows)))
    assert np.array_equal(many.as_numpy("OUTPUT0"), rows + rows)


def check_texts(client):
    texts = [np.array([[str(v).encode() for v in a[0]]], dtype=np.object_) for a in (FIRST, SECOND)]
    for first, second in ((True, True), (False, True), (False, False)):
        for wanted in (True, False):
            result = client.infer(
                "simple_string",
                inputs_of(blocking, first, second, kind="BYTES", arrays=texts),
                outputs=outputs_of(blocking, wanted, not wanted),
            )
            for name, expected in (("OUTPUT0", FIRST + SECOND), ("OUTPUT1", FIRST - SECOND)):
                found = [int(text) for text in result.as_numpy(name)[0]]
                assert found == expected[0].tolist()
    odd = np.array([["", "a\0b", "é€", "x" * 5000, "\n", '"']], dtype=np.object_)
    for binary in (True, False):
        result = client.infer(
            "identity",
            inputs_of(blocking, binary, kind="BYTES", arrays=(odd,)),
            outputs=outputs_of(blocking, binary),
        )
        found = result.as_numpy("OUTPUT0")[0].tolist()
        assert [one.decode() if isinstance(one, bytes) else one for one in found] == odd[0].tolist()


def check_iris(client):
    for how in (True, False):
        result = client.infer("iris", iris_input(blocking, binary_data=how))
        assert result.as_numpy("prediction").tolist() == [0, 1, 2]
        assert np.array_equal(result.as_numpy("probabilities"), CHANCES)
        assert result.as_numpy("label").tolist() == [b"setosa", b"versicolor", b"virginica"]
    columns = []
    for name, values, kind in (
        ("petal_width", ROWS[:, 1], "FP64"),
        ("sepal length (cm)", ROWS[:, :1].astype(np.float32), "FP32"),
    ):
        one = blocking.InferInput(name, values.shape, kind)
        one.set_data_from_numpy(values)
        columns.append(one)
    assert client.infer("iris", columns).as_numpy("prediction").tolist() == [0, 1, 2]
    classes = [blocking.InferRequestedOutput("probabilities", class_count=2)]
    best = client.infer("iris", iris_input(blocking), outputs=classes).as_numpy("probabilities")
    assert best[2].tolist() == [b"0.750000:2:virginica", b"0.125000:0:setosa"]
    large = np.tile(ROWS, (4000, 1))
    found = client.infer("iris", iris_input(blocking, large)).as_numpy("prediction")
    assert np.array_equal(found, np.tile([0, 1, 2], 4000))
    assert client.infer("iris", iris_input(blocking, ROWS[:0])).as_numpy("prediction").size == 0


def check_refusals(client):
    refused(lambda: client.infer("nope", inputs_of(blocking)), 404, "nope")
    refused(lambda: client.infer("simple", inputs_of(blocking)[:1]), 400, "INPUT1", "nothing came")
    wrong = inputs_of(blocking, arrays=(FIRST.reshape(16, 1), SECOND))
    refused(lambda: client.infer("simple", wrong), 400, "INPUT0", "[16, 1]")
    kinds = inputs_of(blocking, kind="FP64", arrays=(FIRST.astype(float), SECOND.astype(float)))
    refused(lambda: client.infer("simple", kinds), 400, "INPUT0", "INPUT1", "FP64")
    unknown = [blocking.InferRequestedOutput("OUTPUT9")]
    refused(lambda: client.infer("simple", inputs_of(blocking), outputs=unknown), 400, "OUTPUT9")
    rows = np.array([[np.nan, 1.0], [np.inf, 1.0]])
    refused(lambda: client.infer("iris", iris_input(blocking, rows)), 400, "row 0", "row 1")
    headers = {"modelway-timeout-ms": "no"}
    refused(lambda: client.infer("iris", iris_input(blocking), headers=headers), 400, "timeout")


def check_statistics(client):
    told = client.get_inference_statistics(model_name="simple")["model_stats"]
    assert len(told) == 1
    (one,) = told
    assert one["inference_stats"]["success"]["count"] >= one["execution_count"] > 20
    assert one["inference_count"] > one["execution_count"]
    assert one["inference_stats"]["fail"]["count"] > 0
    version = one["version"]
    told = client.get_inference_statistics(model_name="simple", model_version=version)
    assert len(told["model_stats"]) == 1
    assert len(client.get_inference_statistics()["model_stats"]) == 4


async def check_asyncio():
    async with aio.InferenceServerClient(ADDRESS) as client:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("simple")
        assert (await client.get_model_metadata("simple"))["name"] == "simple"
        for binary in (True, False):
            inputs = inputs_of(aio, binary, True)
            outputs = outputs_of(aio, binary, False)
            results = await asyncio.gather(
                *(client.infer("simple", inputs, outputs=outputs) for _ in range(10))
            )
            for result in results:
                check_simple(result)
        result = await client.infer(
            "simple",
            inputs_of(aio),
            request_compression_algorithm="gzip",
            response_compression_algorithm="gzip",
        )
        check_simple(result)
        found = (await client.infer("iris", iris_input(aio))).as_numpy("prediction")
        assert found.tolist() == [0, 1, 2]
        try:
            await client.infer("nope", inputs_of(aio))
        except InferenceServerException as error:
            assert "nope" in error.message()
        else:
            raise AssertionError("it was answered")


def main():
    with blocking.InferenceServerClient(ADDRESS, concurrency=5) as client:
        check_states(client)
        check_simple_calls(client)
        check_texts(client)
        check_iris(client)
        check_refusals(client)
        check_statistics(client)
    asyncio.run(check_asyncio())


main()
