"""Compiled kernel ridge regressions answer as the originals do."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.kernel_ridge import KernelRidge

from modelway.domain.errors import NotCompilable
from support.answering import assert_same, hard_rows, opened

DIABETES, PROGRESS = load_diabetes(return_X_y=True)
KERNELS = ["linear", "rbf", "poly", "sigmoid", "laplacian", "cosine"]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("gamma", [None, 0.7])
def test_kernels(kernel: str, gamma: float | None) -> None:
    for target in (PROGRESS, np.stack([PROGRESS, -PROGRESS], axis=1)):
        model = KernelRidge(kernel=kernel, gamma=gamma, degree=2, alpha=0.5)
        model.fit(DIABETES, target)
        assert_same(model, hard_rows(model, DIABETES, n=300), tolerance=1e-9)


def test_other_kernels_stay_native() -> None:
    for kernel in ("chi2", lambda a, b: float(a @ b)):
        model = KernelRidge(kernel=kernel, gamma=1.0).fit(np.abs(DIABETES), PROGRESS)
        with pytest.raises(NotCompilable, match="with the kernel"):
            opened(model, DIABETES)
