"""What KServe's own REST client sees of a service: ``python rest_kserve.py URL``.

It serves iris, simple, simple_string and identity, as ``rest_triton.py`` says.
"""

import asyncio
import sys

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

URL = sys.argv[1]
FIRST = np.arange(16, dtype=np.int32).reshape(1, 16)
SECOND = np.full((1, 16), -1, dtype=np.int32)
ROWS = np.array([[5.0, 0.3], [6.0, 1.5], [6.5, 2.3]])


def input_of(name, array, kind, *, binary):
    one = InferInput(name=name, shape=list(array.shape), datatype=kind)
    one.set_data_from_numpy(array, binary_data=binary)
    return one


def simple_request(*, binary, outputs=None):
    inputs = [
        input_of(f"INPUT{k}", array, "INT32", binary=binary)
        for k, array in enumerate((FIRST, SECOND))
    ]
    parameters = {"binary_data_output": True} if binary else None
    return InferRequest(
        model_name="simple",
        request_id="7",
        infer_inputs=inputs,
        parameters=parameters,
        request_outputs=outputs,
    )


def check_simple(response):
    found = {one.name: one.as_numpy() for one in response.outputs}
    assert np.array_equal(found["OUTPUT0"], FIRST + SECOND)
    assert np.array_equal(found["OUTPUT1"], FIRST - SECOND)
    assert response.id == "7"
    assert response.model_name == "simple"


async def check_states(client):
    assert await client.is_server_live(URL) is True
    assert await client.is_server_ready(URL) is True
    assert await client.is_model_ready(URL, "iris")
    assert not await client.is_model_ready(URL, "nope")


async def check_answers(client):
    for binary in (True, False):
        check_simple(await client.infer(URL, simple_request(binary=binary), model_name="simple"))
    mixed = simple_request(
        binary=True,
        outputs=[
            RequestedOutput("OUTPUT0", parameters={"binary_data": True}),
            RequestedOutput("OUTPUT1", parameters={"binary_data": False}),
        ],
    )
    check_simple(await client.infer(URL, mixed, model_name="simple"))
    for binary in (True, False):
        rows = input_of("rows", ROWS, "FP64", binary=binary)
        request = InferRequest(model_name="iris", infer_inputs=[rows])
        response = await client.infer(URL, request, model_name="iris")
        found = {one.name: one.as_numpy() for one in response.outputs}
        assert found["prediction"].tolist() == [0, 1, 2]
        assert found["probabilities"].shape == (3, 3)
    plain = {"inputs": [{"name": "rows", "shape": [1, 2], "datatype": "FP32", "data": [[6, 1.5]]}]}
    answer = await client.infer(URL, plain, model_name="iris")
    assert answer.outputs[0].as_numpy().tolist() == [1]


async def check_refusals(client):
    rows = input_of("rows", ROWS, "FP64", binary=False)
    for model, request, status, word in (
        ("nope", InferRequest(model_name="nope", infer_inputs=[rows]), 404, "nope"),
        ("simple", InferRequest(model_name="simple", infer_inputs=[rows]), 400, "INPUT0"),
    ):
        try:
            await client.infer(URL, request, model_name=model)
        except httpx.HTTPStatusError as error:
            assert error.response.status_code == status
            assert word in error.response.json()["error"]
        else:
            raise AssertionError("it was answered")


async def main():
    client = InferenceRESTClient(RESTConfig(protocol="v2", timeout=20, retries=0))
    await check_states(client)
    await check_answers(client)
    await check_refusals(client)
    await client.close()


asyncio.run(main())
