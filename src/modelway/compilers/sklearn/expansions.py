"""Transformers that reshape numbers: bins, polynomials, power and quantile maps, functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from modelway.compilers.compilation import Compilation
from modelway.compilers.features import Features, joined, numbers
from modelway.compilers.graph import Graph
from modelway.compilers.sklearn.scalers import standard_scaler
from modelway.domain.errors import NotCompilable

Floats = npt.NDArray[np.float64]


def bins_discretizer(c: Compilation, estimator: Any, features: Features) -> Features:
    """``KBinsDiscretizer``: how many inner edges are at or below the value."""
    g = c.graph
    parts = []
    for i, edges in enumerate(estimator.bin_edges_):
        column = features.select(g, [i]).matrix(g)
        inner = np.asarray(edges[1:-1], dtype=np.float64).reshape(1, -1)
        if inner.size:
            place = g.sum_rows(g.cast(g.op("GreaterOrEqual", column, inner), "double"))
        else:
            place = g.op("Mul", column, 0.0)
        n_bins = int(estimator.n_bins_[i])
        if estimator.encode == "ordinal":
            parts.append(numbers(place, 1))
        else:
            codes = np.arange(n_bins, dtype=np.float64).reshape(1, -1)
            parts.append(numbers(g.cast(g.op("Equal", place, codes), "double"), n_bins))
    return joined(parts, sparse=estimator.encode == "onehot")


def polynomial_features(c: Compilation, estimator: Any, features: Features) -> Features:
    """``PolynomialFeatures``: products built as scikit-learn builds them.

    The product of columns (a, b, c) is ``(b*c) * a``: floating-point products depend on the order.
    """
    g = c.graph
    rows = features.matrix(g)
    powers = estimator.powers_
    terms = [tuple(np.repeat(np.arange(features.width), p).tolist()) for p in powers]
    by_degree: dict[int, list[tuple[int, ...]]] = {}
    for term in terms:
        by_degree.setdefault(len(term), []).append(term)
    previous: list[tuple[int, ...]] = [(i,) for i in range(features.width)]
    values = rows
    layers: dict[int, tuple[list[tuple[int, ...]], str]] = {1: (previous, rows)}
    for degree in range(2, max(by_degree, default=0) + 1):
        made = {t: i for i, t in enumerate(previous)}
        wanted = _needed(terms, degree)
        rest = g.columns(values, [made[t[1:]] for t in wanted])
        values = g.op("Mul", rest, g.columns(rows, [t[0] for t in wanted]))
        previous = wanted
        layers[degree] = (wanted, values)
    parts = []
    for degree, wanted in sorted(by_degree.items()):
        if degree == 0:
            first = g.columns(rows, [0])
            parts.append(numbers(g.op("Where", g.op("IsNaN", first), 1.0, 1.0), 1))
            continue
        there, value = layers[degree]
        place = {t: i for i, t in enumerate(there)}
        parts.append(numbers(g.columns(value, [place[t] for t in wanted]), len(wanted)))
    # scikit-learn lists its terms by degree, and so were they put together here.
    return joined(parts)


def _needed(terms: list[tuple[int, ...]], degree: int) -> list[tuple[int, ...]]:
    """The products of ``degree`` factors that some term is built from: its last factors."""
    found = {t[-degree:] for t in terms if len(t) >= degree}
    return sorted(found)


def power_transformer(c: Compilation, estimator: Any, features: Features) -> Features:
    """``PowerTransformer``: Yeo-Johnson or Box-Cox by column, then standardised."""
    g = c.graph
    curve = _yeo_johnson if estimator.method == "yeo-johnson" else _box_cox
    columns = [
        numbers(curve(g, features.select(g, [i]).matrix(g), float(power)), 1)
        for i, power in enumerate(estimator.lambdas_)
    ]
    value = joined(columns)
    return standard_scaler(c, estimator._scaler, value) if estimator.standardize else value


def _yeo_johnson(g: Graph, x: str, power: float) -> str:
    """Source: scipy.stats.yeojohnson."""
    nothing = np.spacing(1.0)
    # Each branch sees only values it is defined for: 0 stands in for the others.
    is_positive = g.op("GreaterOrEqual", x, 0.0)
    positive = g.op("Log", g.op("Add", g.op("Where", is_positive, x, 0.0), 1.0))
    if abs(power) >= nothing:
        grown = g.op("Sub", g.op("Exp", g.op("Mul", positive, power)), 1.0)
        positive = g.op("Div", grown, power)
    negative = g.op("Log", g.op("Sub", 1.0, g.op("Where", is_positive, 0.0, x)))
    if abs(power - 2) > nothing:
        grown = g.op("Sub", g.op("Exp", g.op("Mul", negative, 2.0 - power)), 1.0)
        negative = g.op("Div", grown, 2.0 - power)
    return g.op("Where", is_positive, positive, g.op("Neg", negative))


def _box_cox(g: Graph, x: str, power: float) -> str:
    """Source: scipy.special.boxcox."""
    logarithm = g.op("Log", x)
    if power == 0.0:
        return logarithm
    grown = g.op("Sub", g.op("Exp", g.op("Mul", logarithm, power)), 1.0)
    return g.op("Div", grown, power)


def interpolated(g: Graph, x: str, xs: Floats, ys: Floats) -> str:
    """``numpy.interp`` of an (n_rows, 1) value, by numpy's own arithmetic; NaN stays NaN.

    ``slope * (x - xs[j]) + ys[j]`` with j the last point at or below x.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.diff(ys) / np.diff(xs)
    slopes = np.append(np.nan_to_num(slopes, nan=0.0, posinf=0.0, neginf=0.0), 0.0)
    below = g.cast(g.op("GreaterOrEqual", x, xs.reshape(1, -1)), "int64")
    count = g.op("ReduceSum", below, np.array([1], dtype=np.int64), keepdims=1)
    place = g.op("Max", g.op("Sub", count, 1), 0)
    start, height = g.op("Gather", xs, place, axis=0), g.op("Gather", ys, place, axis=0)
    slope = g.op("Gather", slopes, place, axis=0)
    inside = g.op("Add", g.op("Mul", slope, g.op("Sub", x, start)), height)
    # On a point numpy gives the point itself; outside, the first or the last.
    at_point = g.op("Or", g.op("Equal", x, start), g.op("Less", x, float(xs[0])))
    at_point = g.op("Or", at_point, g.op("GreaterOrEqual", x, float(xs[-1])))
    return g.op("Where", at_point, height, inside)


def quantile_transformer(c: Compilation, estimator: Any, features: Features) -> Features:
    """``QuantileTransformer`` to a uniform distribution: the mean of interpolating both ways."""
    if estimator.output_distribution != "uniform":
        raise NotCompilable("a QuantileTransformer to the normal distribution")
    g = c.graph
    references = np.asarray(estimator.references_, dtype=np.float64)
    columns = []
    for i in range(features.width):
        x = features.select(g, [i]).matrix(g)
        quantiles = np.asarray(estimator.quantiles_[:, i], dtype=np.float64)
        if len(np.unique(quantiles)) < len(quantiles) and g.is_inexact(x):
            raise NotCompilable(
                "a QuantileTransformer with equal quantiles behind a power, a logarithm or the "
                "like, whose last bit decides on which side of the jump a value is"
            )
        up = interpolated(g, x, quantiles, references)
        down = interpolated(g, g.op("Neg", x), -quantiles[::-1], -references[::-1])
        value = g.op("Mul", g.op("Sub", up, down), 0.5)
        value = g.op("Where", g.op("Equal", x, float(quantiles[-1])), 1.0, value)
        value = g.op("Where", g.op("Equal", x, float(quantiles[0])), 0.0, value)
        columns.append(numbers(value, 1))
    return joined(columns)


def function_transformer(c: Compilation, estimator: Any, features: Features) -> Features:
    """``FunctionTransformer`` of no function, or of a numpy function that has an operator."""
    if estimator.func is None:
        return features
    if estimator.kw_args:
        raise NotCompilable("a FunctionTransformer with arguments")
    g = c.graph
    x = features.matrix(g)
    match estimator.func:
        case np.log:
            value = g.op("Log", x)
        case np.log1p:
            value = g.op("Log", g.op("Add", x, 1.0))
        case np.exp:
            value = g.op("Exp", x)
        case np.expm1:
            value = g.op("Sub", g.op("Exp", x), 1.0)
        case np.sqrt:
            value = g.op("Sqrt", x)
        case np.abs:
            value = g.op("Abs", x)
        case np.square:
            value = g.op("Mul", x, x)
        case np.sign:
            value = g.op("Sign", x)
        case np.negative:
            value = g.op("Neg", x)
        case _:
            name = getattr(estimator.func, "__qualname__", repr(estimator.func))
            raise NotCompilable(f"a FunctionTransformer of the Python function {name}")
    return numbers(value, features.width)


TRANSFORMERS = {
    "sklearn.preprocessing._discretization.KBinsDiscretizer": bins_discretizer,
    "sklearn.preprocessing._polynomial.PolynomialFeatures": polynomial_features,
    "sklearn.preprocessing._data.PowerTransformer": power_transformer,
    "sklearn.preprocessing._data.QuantileTransformer": quantile_transformer,
    "sklearn.preprocessing._function_transformer.FunctionTransformer": function_transformer,
}
