"""Kernels of Gaussian processes between rows and learned points, and with themselves.

Source: scikit-learn, gaussian_process/kernels.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.compilers.arithmetic import added, exponential, product
from modelway.compilers.graph import Graph
from modelway.compilers.sklearn.distances import Floats, direct
from modelway.domain.errors import NotCompilable

_MODULE = "sklearn.gaussian_process.kernels"


def between(g: Graph, kernel: Any, rows: str, points: Floats) -> str:
    """``kernel(rows, points)``, double (n_rows, n_points).

    Raises:
        NotCompilable: the kernel is the user's own, or needs a Bessel function.
    """
    kind = _kind(kernel)
    if kind in ("Sum", "Product"):
        parts = [between(g, k, rows, points) for k in (kernel.k1, kernel.k2)]
        return g.op("Add" if kind == "Sum" else "Mul", *parts)
    if kind == "Exponentiation":
        return g.op("Pow", between(g, kernel.kernel, rows, points), float(kernel.exponent))
    if kind in ("ConstantKernel", "WhiteKernel"):
        # White noise is shared by a row with itself alone.
        value = float(kernel.constant_value) if kind == "ConstantKernel" else 0.0
        nothing = g.op("Mul", g.columns(rows, [0]), 0.0)
        return g.op("Add", nothing, np.full((1, len(points)), value))
    if kind == "DotProduct":
        return g.op("Add", product(g, rows, points), float(kernel.sigma_0**2))
    if kind == "RationalQuadratic":
        scaled = g.op("Div", direct(g, rows, points, 2), 2 * kernel.alpha * kernel.length_scale**2)
        return g.op("Pow", g.op("Add", scaled, 1.0), -float(kernel.alpha))
    if kind == "ExpSineSquared":
        distance = g.op("Sqrt", direct(g, rows, points, 2))
        sine = g.op("Sin", g.op("Mul", distance, float(np.pi / kernel.periodicity)))
        sine = g.op("Div", sine, float(kernel.length_scale))
        return exponential(g, g.op("Mul", g.op("Mul", sine, sine), -2.0))
    scale = np.atleast_1d(np.asarray(kernel.length_scale, dtype=np.float64))
    squared = direct(g, g.op("Div", rows, scale), points / scale, 2)
    if kind == "RBF":
        return exponential(g, g.op("Mul", squared, -0.5))
    return _matern(g, float(kernel.nu), squared)


def _matern(g: Graph, smoothness: float, squared: str) -> str:
    if smoothness == np.inf:
        return exponential(g, g.op("Div", squared, -2.0))
    distance = g.op("Sqrt", squared)
    if smoothness == 0.5:
        return exponential(g, g.op("Neg", distance))
    if smoothness not in (1.5, 2.5):
        raise NotCompilable(f"a Matern kernel of nu={smoothness:g}, which has no closed form")
    far = g.op("Mul", distance, float(np.sqrt(2 * smoothness)))
    near = g.op("Add", far, 1.0)
    if smoothness == 2.5:
        near = g.op("Add", near, g.op("Div", g.op("Mul", far, far), 3.0))
    return g.op("Mul", near, exponential(g, g.op("Neg", far)))


def with_itself(g: Graph, kernel: Any, rows: str, width: int) -> str | float:
    """``kernel.diag(rows)``, (n_rows, 1), or one number for every row."""
    kind = _kind(kernel)
    if kind in ("Sum", "Product"):
        first, second = (with_itself(g, k, rows, width) for k in (kernel.k1, kernel.k2))
        if isinstance(first, float) and isinstance(second, float):
            return first + second if kind == "Sum" else first * second
        return g.op("Add" if kind == "Sum" else "Mul", first, second)
    if kind == "Exponentiation":
        inner, exponent = with_itself(g, kernel.kernel, rows, width), float(kernel.exponent)
        return inner**exponent if isinstance(inner, float) else g.op("Pow", inner, exponent)
    if kind == "DotProduct":
        squares = added(g, g.op("Mul", rows, rows), width)
        return g.op("Add", squares, float(kernel.sigma_0**2))
    if kind == "ConstantKernel":
        return float(kernel.constant_value)
    return float(kernel.noise_level) if kind == "WhiteKernel" else 1.0


_KNOWN = (
    "ConstantKernel",
    "DotProduct",
    "ExpSineSquared",
    "Exponentiation",
    "Matern",
    "Product",
    "RBF",
    "RationalQuadratic",
    "Sum",
    "WhiteKernel",
)


def _kind(kernel: Any) -> str:
    kind = type(kernel)
    if kind.__module__ != _MODULE or kind.__name__ not in _KNOWN:
        raise NotCompilable(f"the kernel {kind.__name__}")
    return str(kind.__name__)
