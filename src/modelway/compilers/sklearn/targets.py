"""Inverse transforms of a regression's target: from what was learned back to what was meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from modelway.compilers.arithmetic import exponential
from modelway.compilers.graph import Graph
from modelway.compilers.sklearn.expansions import interpolated
from modelway.compilers.sklearn.gaussian_process import error_function
from modelway.domain.errors import NotCompilable


def untransformed(graph: Graph, transformer: Any, value: str) -> str:
    """``transformer.inverse_transform`` of predictions, (n_rows, n_targets).

    Raises:
        NotCompilable: the inverse is the user's own, or has no exact form.
    """
    found = _INVERSES.get(type(transformer).__name__)
    if found is None or not type(transformer).__module__.startswith("sklearn."):
        raise NotCompilable(f"the inverse of {type(transformer).__name__} on the target")
    return found(graph, transformer, value)


def _function(g: Graph, transformer: Any, value: str) -> str:
    inverse = transformer.inverse_func
    if inverse is None:
        return value
    if transformer.inv_kw_args:
        raise NotCompilable("an inverse function of the target with arguments of its own")
    for known, built in _FUNCTIONS.items():
        if inverse is known:
            return built(g, value)
    raise NotCompilable(f"the function {getattr(inverse, '__name__', inverse)!s} on the target")


def _pipeline(g: Graph, transformer: Any, value: str) -> str:
    for _, step in reversed(transformer.steps):
        if step not in (None, "passthrough"):
            value = untransformed(g, step, value)
    return value


def _standard(g: Graph, transformer: Any, value: str) -> str:
    if transformer.with_std:
        value = g.op("Mul", value, transformer.scale_)
    return g.op("Add", value, transformer.mean_) if transformer.with_mean else value


def _min_max(g: Graph, transformer: Any, value: str) -> str:
    return g.op("Div", g.op("Sub", value, transformer.min_), transformer.scale_)


def _max_abs(g: Graph, transformer: Any, value: str) -> str:
    return g.op("Mul", value, transformer.scale_)


def _robust(g: Graph, transformer: Any, value: str) -> str:
    if transformer.with_scaling:
        value = g.op("Mul", value, transformer.scale_)
    return g.op("Add", value, transformer.center_) if transformer.with_centering else value


def _power(g: Graph, transformer: Any, value: str) -> str:
    if transformer.standardize:
        value = _standard(g, transformer._scaler, value)
    inverse = _box_cox if transformer.method == "box-cox" else _yeo_johnson
    columns = []
    for i, power in enumerate(transformer.lambdas_):
        columns.append(inverse(g, g.columns(value, [i]), float(power)))
    return g.concatenate(columns)


def _box_cox(g: Graph, x: str, power: float) -> str:
    if power == 0.0:
        return g.op("Exp", x)
    return g.op("Exp", g.op("Div", g.op("Log", g.op("Add", g.op("Mul", x, power), 1.0)), power))


def _yeo_johnson(g: Graph, x: str, power: float) -> str:
    tiny = float(np.spacing(1.0))
    if abs(power) < tiny:
        above = g.op("Sub", g.op("Exp", x), 1.0)
    else:
        grown = g.op("Add", g.op("Mul", x, power), 1.0)
        above = g.op("Sub", g.op("Pow", grown, 1 / power), 1.0)
    if abs(power - 2) > tiny:
        grown = g.op("Add", g.op("Mul", x, -(2 - power)), 1.0)
        below = g.op("Sub", 1.0, g.op("Pow", grown, 1 / (2 - power)))
    else:
        below = g.op("Sub", 1.0, g.op("Exp", g.op("Neg", x)))
    return g.op("Where", g.op("GreaterOrEqual", x, 0.0), above, below)


def _quantile(g: Graph, transformer: Any, value: str) -> str:
    is_normal = transformer.output_distribution == "normal"
    bound = _BOUND if is_normal else 0.0
    columns = []
    for i in range(transformer.quantiles_.shape[1]):
        x = g.columns(value, [i])
        if is_normal:
            curve = error_function(g, g.op("Mul", x, float(np.sqrt(0.5))))
            x = g.op("Mul", g.op("Add", curve, 1.0), 0.5)
        quantiles = transformer.quantiles_[:, i]
        inner = interpolated(g, x, transformer.references_, quantiles)
        # Next to the bounds scikit-learn gives the bounds themselves.
        low = g.op("Less", g.op("Sub", x, bound), 0.0)
        high = g.op("Greater", g.op("Add", x, bound), 1.0)
        inner = g.op("Where", low, float(quantiles[0]), inner)
        columns.append(g.op("Where", high, float(quantiles[-1]), inner))
    return g.concatenate(columns)


_BOUND = 1e-7

_INVERSES: dict[str, Callable[[Graph, Any, str], str]] = {
    "FunctionTransformer": _function,
    "Pipeline": _pipeline,
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "RobustScaler": _robust,
    "PowerTransformer": _power,
    "QuantileTransformer": _quantile,
}

_FUNCTIONS: dict[Any, Callable[[Graph, str], str]] = {
    np.exp: exponential,
    np.expm1: lambda g, x: g.op("Sub", exponential(g, x), 1.0),
    np.exp2: lambda g, x: g.op("Pow", 2.0, x),
    np.log: lambda g, x: g.op("Log", x),
    np.log1p: lambda g, x: g.op("Log", g.op("Add", x, 1.0)),
    np.sqrt: lambda g, x: g.op("Sqrt", x),
    np.square: lambda g, x: g.op("Mul", x, x),
    np.negative: lambda g, x: g.op("Neg", x),
    np.reciprocal: lambda g, x: g.op("Div", 1.0, x),
    np.absolute: lambda g, x: g.op("Abs", x),
}
