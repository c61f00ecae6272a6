"""What KServe's own gRPC client sees of a service: ``python grpc_kserve.py ADDRESS``.

It serves iris, simple and identity, as ``grpc_triton.py`` says.
"""

import asyncio
import sys

import grpc
import numpy as np
from kserve import InferenceGRPCClient, InferInput, InferRequest
from kserve.protocol.infer_type import RequestedOutput

ADDRESS = sys.argv[1]
FIRST = np.arange(16, dtype=np.int32).reshape(1, 16)
SECOND = np.ones((1, 16), dtype=np.int32)


def simple_request(*, raw):
    inputs = []
    for k, array in enumerate((FIRST, SECOND)):
        one = InferInput(name=f"INPUT{k}", shape=[1, 16], datatype="INT32")
        one.set_data_from_numpy(array, binary_data=raw)
        inputs.append(one)
    return InferRequest(model_name="simple", request_id="7", infer_inputs=inputs)


def check_simple(response):
    found = {one.name: one.as_numpy() for one in response.outputs}
    assert np.array_equal(found["OUTPUT0"], FIRST + SECOND)
    assert np.array_equal(found["OUTPUT1"], FIRST - SECOND)
    assert response.id == "7"


async def main():
    client = InferenceGRPCClient(url=ADDRESS, timeout=20)
    assert await client.is_server_live()
    assert await client.is_server_ready()
    assert await client.is_model_ready("iris")
    assert not await client.is_model_ready("nope")
    for raw in (True, False):
        check_simple(await client.infer(simple_request(raw=raw)))
    rows = InferInput(name="rows", shape=[2, 2], datatype="FP64")
    rows.set_data_from_numpy(np.array([[5.0, 0.3], [6.5, 2.3]]), binary_data=False)
    request = InferRequest(
        model_name="iris",
        infer_inputs=[rows],
        request_outputs=[RequestedOutput("prediction")],
    )
    response = await client.infer(request)
    assert [one.name for one in response.outputs] == ["prediction"]
    assert response.outputs[0].as_numpy().tolist() == [0, 2]
    request.model_name = "nope"
    try:
        await client.infer(request)
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND
    else:
        raise AssertionError("it was answered")
    await client.close()


asyncio.run(main())
