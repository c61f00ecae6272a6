"""Loading and unloading by Triton's own client library, on the administration's port:
``python rest_triton_repository.py ADDRESS ADMINISTRATION KEY``. The service has simple alone.
"""

import sys
import time

import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

ADDRESS, ADMINISTRATION, KEY = sys.argv[1:]
ALLOWED = {"authorization": f"Bearer {KEY}"}


def refused(call, *words):
    try:
        call()
    except InferenceServerException as error:
        assert all(word in str(error) for word in words), error
        return
    raise AssertionError("it was done")


def until(client, *, ready):
    """Wait until the model is ready, or is not, wherever it is asked."""
    deadline = time.monotonic() + 10
    while client.is_model_ready("simple") is not ready:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def answer(client):
    rows = np.ones((1, 16), dtype=np.int32)
    inputs = [http.InferInput(f"INPUT{k}", rows.shape, "INT32") for k in range(2)]
    for one in inputs:
        one.set_data_from_numpy(rows)
    return client.infer("simple", inputs).as_numpy("OUTPUT0").tolist()


def main():
    with (
        http.InferenceServerClient(ADDRESS) as public,
        http.InferenceServerClient(ADMINISTRATION) as administration,
    ):
        refused(lambda: administration.unload_model("simple"), "401")
        (before,) = administration.get_model_repository_index(headers=ALLOWED)
        assert (before["name"], before["state"]) == ("simple", "READY")
        administration.load_model("simple", headers=ALLOWED)
        assert answer(public) == [[2] * 16]
        refused(lambda: administration.load_model("nope", headers=ALLOWED), "nope")
        refused(lambda: administration.load_model("simple", headers=ALLOWED, config="{}"), "config")
        administration.unload_model("simple", headers=ALLOWED)
        until(public, ready=False)
        refused(lambda: answer(public), "simple")
        assert not public.get_model_repository_index()
        administration.load_model("simple", headers=ALLOWED)
        until(public, ready=True)
        assert answer(public) == [[2] * 16]


main()
