"""What Triton's own client library sees of a service: ``python grpc_triton.py ADDRESS``.

It serves iris (three classes by petal width), simple (sum and difference of INT32 [n, 16]) and
identity (BYTES). Asynchronous calls, streams and asyncio are asked as the library's examples do.
"""

import asyncio
import queue
import sys

import numpy as np
import tritonclient.grpc as blocking
import tritonclient.grpc.aio as aio
from tritonclient.utils import InferenceServerException

ADDRESS = sys.argv[1]
FIRST = np.arange(16, dtype=np.int32).reshape(1, 16)
SECOND = np.ones((1, 16), dtype=np.int32)
ROWS = np.array([[5.0, 0.3], [6.0, 1.5], [6.5, 2.3]])
CHANCES = np.full((3, 3), 0.125) + np.eye(3) * 0.625


def simple_inputs(library):
    inputs = [library.InferInput(f"INPUT{k}", [1, 16], "INT32") for k in range(2)]
    inputs[0].set_data_from_numpy(FIRST)
    inputs[1].set_data_from_numpy(SECOND)
    return inputs


def iris_input(library):
    found = library.InferInput("rows", ROWS.shape, "FP64")
    found.set_data_from_numpy(ROWS)
    return [found]


def check_simple(result):
    assert np.array_equal(result.as_numpy("OUTPUT0"), FIRST + SECOND)
    assert np.array_equal(result.as_numpy("OUTPUT1"), FIRST - SECOND)


def refused(call, *words):
    """The error that a call ends with, which says these words."""
    try:
        call()
    except InferenceServerException as error:
        for word in words:
            assert word in f"{error.status()} {error.message()}", error
        return error
    raise AssertionError("it was answered")


def check_metadata(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("iris")
    assert not client.is_model_ready("nope")
    assert client.get_server_metadata().name == "modelway"
    model = client.get_model_metadata("simple")
    assert [(one.name, one.datatype) for one in model.inputs] == [
        ("INPUT0", "INT32"),
        ("INPUT1", "INT32"),
    ]
    version = model.versions[0]
    assert client.is_model_ready("simple", version)
    assert client.get_model_metadata("simple", version).versions[0] == version
    listed = {one.name for one in client.get_model_repository_index().models}
    assert listed == {"iris", "simple", "identity"}
    refused(lambda: client.get_model_metadata("nope"), "NOT_FOUND", "nope")


def check_inference(client):
    outputs = [blocking.InferRequestedOutput(f"OUTPUT{k}") for k in range(2)]
    for compression in (None, "gzip", "deflate"):
        result = client.infer(
            "simple",
            simple_inputs(blocking),
            outputs=outputs,
            request_id="7",
            compression_algorithm=compression,
        )
        check_simple(result)
        assert result.get_response().id == "7"
    alone = client.infer("simple", simple_inputs(blocking), outputs=outputs[:1])
    assert alone.as_numpy("OUTPUT1") is None
    inputs = simple_inputs(blocking)
    for _ in range(3):  # the same objects again and again
        check_simple(client.infer("simple", inputs, outputs=outputs))
    version = client.get_model_metadata("simple").versions[0]
    check_simple(client.infer("simple", inputs, model_version=version, client_timeout=20))
    refused(lambda: client.infer("simple", inputs, model_version="9"), "StatusCode.NOT_FOUND", "9")
    wrong = blocking.InferInput("INPUT0", [1, 15], "INT32")
    wrong.set_data_from_numpy(FIRST[:, :15])
    refused(
        lambda: client.infer("simple", [wrong]), "StatusCode.INVALID_ARGUMENT", "INPUT0", "INPUT1"
    )


def check_tabular(client):
    result = client.infer("iris", iris_input(blocking))
    assert result.as_numpy("prediction").tolist() == [0, 1, 2]
    assert result.as_numpy("label").tolist() == [b"setosa", b"versicolor", b"virginica"]
    assert np.allclose(result.as_numpy("probabilities"), CHANCES)
    columns = []
    for name, place in (("petal width", 1), ("sepal_length", 0)):
        column = blocking.InferInput(name, [3, 1], "FP32")
        column.set_data_from_numpy(ROWS[:, place : place + 1].astype(np.float32))
        columns.append(column)
    assert client.infer("iris", columns).as_numpy("prediction").tolist() == [0, 1, 2]


def check_statistics(client):
    statistics = client.get_inference_statistics("simple")
    assert len(statistics.model_stats) == 1
    counted = statistics.model_stats[0]
    assert counted.name == "simple"
    assert counted.inference_stats.success.ns > 0
    assert len(client.get_inference_statistics().model_stats) == 3


def check_classes(client):
    wanted = [blocking.InferRequestedOutput("probabilities", class_count=1)]
    result = client.infer("iris", iris_input(blocking), outputs=wanted)
    told = [text.decode().split(":")[1:] for text in result.as_numpy("probabilities").ravel()]
    assert told == [["0", "setosa"], ["1", "versicolor"], ["2", "virginica"]]


def check_text(client):
    texts = np.array([["grün".encode(), b"", b"x" * 300]], dtype=np.object_)
    sent = blocking.InferInput("INPUT0", [1, 3], "BYTES")
    sent.set_data_from_numpy(texts)
    assert client.infer("identity", [sent]).as_numpy("OUTPUT0").tolist() == texts.tolist()


def check_explicit_contents(client):
    """The message itself with typed contents, as the library's low-level examples send it."""
    from tritonclient.grpc import service_pb2

    request = service_pb2.ModelInferRequest(model_name="simple")
    for k, array in enumerate((FIRST, SECOND)):
        one = request.inputs.add(name=f"INPUT{k}", datatype="INT32", shape=[1, 16])
        one.contents.int_contents.extend(array.ravel().tolist())
    check_simple(blocking.InferResult(client._client_stub.ModelInfer(request)))
    request = service_pb2.ModelInferRequest(model_name="identity")
    one = request.inputs.add(name="INPUT0", datatype="BYTES", shape=[1, 2])
    one.contents.bytes_contents.extend([b"a", "grün".encode()])
    result = blocking.InferResult(client._client_stub.ModelInfer(request))
    assert result.as_numpy("OUTPUT0").tolist() == [[b"a", "grün".encode()]]


def check_asynchronous(client):
    came = queue.Queue()
    for _ in range(8):
        client.async_infer(
            "simple", simple_inputs(blocking), lambda result, error: came.put((result, error))
        )
    for _ in range(8):
        result, error = came.get(timeout=20)
        assert error is None, error
        check_simple(result)


def check_stream(client):
    came = queue.Queue()
    client.start_stream(lambda result, error: came.put((result, error)))
    for k in range(5):
        client.async_stream_infer("simple", simple_inputs(blocking), request_id=str(k))
    client.async_stream_infer("nope", simple_inputs(blocking), request_id="5")
    client.async_stream_infer(
        "simple", simple_inputs(blocking), request_id="6", enable_empty_final_response=True
    )
    answers = [came.get(timeout=20) for _ in range(7)]
    client.stop_stream()
    for k, (result, error) in enumerate(answers):
        if k == 5:
            assert "nope" in str(error)
            continue
        assert error is None, error
        check_simple(result)
        assert result.get_response().id == str(k)
    final = answers[6][0].get_response().parameters["triton_final_response"]
    assert final.bool_param


async def check_asyncio():
    async with aio.InferenceServerClient(ADDRESS) as client:
        assert await client.is_server_live()
        assert await client.is_model_ready("simple")
        results = await asyncio.gather(
            *(client.infer("simple", simple_inputs(aio)) for _ in range(16))
        )
        for result in results:
            check_simple(result)

        async def requests():
            for k in range(3):
                yield {
                    "model_name": "simple",
                    "inputs": simple_inputs(aio),
                    "request_id": str(k),
                }

        numbers = []
        async for result, error in client.stream_infer(requests()):
            assert error is None, error
            check_simple(result)
            numbers.append(result.get_response().id)
        assert numbers == ["0", "1", "2"]


def main():
    with blocking.InferenceServerClient(ADDRESS) as client:
        check_metadata(client)
        check_inference(client)
        check_tabular(client)
        check_text(client)
        check_classes(client)
        check_statistics(client)
        check_explicit_contents(client)
        check_asynchronous(client)
        check_stream(client)
    asyncio.run(check_asyncio())


main()
