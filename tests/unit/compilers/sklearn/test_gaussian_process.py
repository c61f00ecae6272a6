"""Compiled Gaussian processes answer as the originals do, with every kernel that has a form."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from scipy.special import erf
from sklearn.datasets import load_diabetes, load_iris
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import (
    RBF,
    ConstantKernel,
    DotProduct,
    ExpSineSquared,
    Matern,
    PairwiseKernel,
    RationalQuadratic,
    WhiteKernel,
)

from modelway.compilers.graph import Graph
from modelway.compilers.sklearn.gaussian_process import error_function
from modelway.domain.errors import NotCompilable
from support.answering import assert_same, hard_rows, opened

IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
DIABETES, PROGRESS = load_diabetes(return_X_y=True)
DIABETES, PROGRESS = DIABETES[:150], PROGRESS[:150]

KERNELS: list[Any] = [
    None,
    2.0 * RBF([0.5] * 10) + WhiteKernel(0.1),
    ConstantKernel(3.0) * Matern(0.5, nu=0.5),
    Matern(0.5, nu=1.5) + 0.1,
    Matern(0.5, nu=2.5) * DotProduct(0.5) ** 2,
    Matern(0.5, nu=np.inf),
    RationalQuadratic(0.5, alpha=0.7),
    ExpSineSquared(0.8, periodicity=2.0) + WhiteKernel(),
]
OF_CLASSES: list[Any] = [
    None,
    2.0 * RBF([1.0] * 4),
    Matern(nu=1.5),
    DotProduct() + RBF(),
    RationalQuadratic() ** 2,
]


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("normalize_y", [True, False])
def test_regressors(kernel: Any, normalize_y: bool) -> None:
    model = GaussianProcessRegressor(kernel, alpha=0.1, optimizer=None, normalize_y=normalize_y)
    for target in (PROGRESS, np.stack([PROGRESS, -PROGRESS], axis=1)):
        model.fit(DIABETES, target)
        assert_same(model, hard_rows(model, DIABETES, n=300), tolerance=1e-9)


@pytest.mark.parametrize("kernel", OF_CLASSES, ids=str)
def test_classifiers(kernel: Any) -> None:
    model = GaussianProcessClassifier(kernel, optimizer=None)
    model.fit(IRIS, NAMES)
    assert_same(model, hard_rows(model, IRIS, n=300), tolerance=1e-9)
    model.fit(IRIS[50:], NAMES[50:])
    assert_same(model, hard_rows(model, IRIS[50:], n=300), tolerance=1e-9)


def test_the_error_function_is_that_of_scipy() -> None:
    g = Graph()
    g.output("y", error_function(g, g.input("X", "double", 1)), "double", ("n_rows", 1))
    rng = np.random.default_rng(0)
    far = [0.0, -0.0, 1.0, -1.0, 30.0, -30.0, 1e300, np.inf, -np.inf]
    x = np.concatenate([rng.normal(size=20_000) * 3, rng.normal(size=20_000) * 1e-3, far])[:, None]
    y = onnxruntime.InferenceSession(g.serialized()).run(None, {"X": x})[0]
    assert np.max(np.abs(y - erf(x))) <= 2.3e-16


def test_kernels_without_a_form_stay_native() -> None:
    for kernel, reason in ((PairwiseKernel(), "PairwiseKernel"), (Matern(nu=0.7), "closed form")):
        model = GaussianProcessRegressor(kernel, optimizer=None).fit(DIABETES, PROGRESS)
        with pytest.raises(NotCompilable, match=reason):
            opened(model, DIABETES)
    one = GaussianProcessClassifier(multi_class="one_vs_one", optimizer=None).fit(IRIS, NAMES)
    with pytest.raises(NotCompilable, match="against one"):
        opened(one, IRIS)
