"""The runtime of scikit-learn's models takes one thread, whichever thread calls it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from sklearn.linear_model import LinearRegression
from threadpoolctl import (  # type: ignore[import-untyped]  # it has no stubs
    threadpool_info,
    threadpool_limits,
)

from modelway.bundles.manifest import FORMAT_VERSION, Manifest, OriginalModel, Task
from modelway.domain.signature import Signature, columns_named
from modelway.domain.tables import Table
from modelway.runtimes.sklearn import SklearnRuntime


class Counting(LinearRegression):  # type: ignore[misc]  # it has no stubs
    """Predicts how many threads each library would take at most."""

    def predict(self, X: Any) -> Any:
        return np.full(len(X), max(one["num_threads"] for one in threadpool_info()))


def test_every_thread_that_predicts_takes_one() -> None:
    signature = Signature(columns_named(["a"]))
    original = OriginalModel("sklearn", "model.pickle", "pickle")
    manifest = Manifest(FORMAT_VERSION, Task.REGRESSION, "sklearn", original, "matrix")
    table = Table(signature, 1, matrix=np.zeros((1, 1)))
    with ThreadPoolExecutor(1) as here, ThreadPoolExecutor(1) as there:
        for pool in (here, there):
            pool.submit(threadpool_limits, 2).result()
        runtime = here.submit(SklearnRuntime, Counting(), signature, manifest).result()
        for pool in (here, there, here):
            assert pool.submit(runtime.predict, table).result()["prediction"].tolist() == [1]
