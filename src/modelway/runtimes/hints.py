"""Type hints of a function as columns.

``float``, ``int``, ``bool``, ``str``, ``datetime``, ``Literal[...]`` of texts or whole numbers;
``X | None`` may be missing, and so may a parameter with a default.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from modelway.domain.errors import InvalidSignature
from modelway.domain.signature import Column, Datatype

_DATATYPES = {
    float: Datatype.FP64,
    int: Datatype.INT64,
    bool: Datatype.BOOL,
    str: Datatype.STRING,
    datetime: Datatype.DATETIME,
}
_FRAMES = ("DataFrame", "pd.DataFrame", "pandas.DataFrame")


def takes_frame(function: Callable[..., Any]) -> bool:
    """Whether the function's only parameter is annotated as a DataFrame."""
    parameters = list(inspect.signature(function).parameters.values())
    if len(parameters) != 1:
        return False
    hint = parameters[0].annotation
    return hint in _FRAMES or getattr(hint, "__name__", None) == "DataFrame"


def columns_of(function: Callable[..., Any]) -> tuple[Column, ...]:
    """One column a parameter; none where a hint is absent and the columns come from elsewhere.

    Raises:
        InvalidSignature: a hint is of a type that a request cannot hold, or the function takes
            positional-only or variable parameters.
    """
    parameters = inspect.signature(function).parameters.values()
    if takes_frame(function):
        return ()
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise InvalidSignature(
                f"parameter {parameter} of {function.__name__} has no name of its own",
                hint="a column is given to a function as a keyword argument",
            )
    hints = _hints(function)
    if any(parameter.name not in hints for parameter in parameters):
        return ()
    return tuple(
        _column(parameter, hints[parameter.name], function.__name__) for parameter in parameters
    )


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except NameError as error:
        raise InvalidSignature(f"a type hint of {function.__name__}: {error}") from error


def _column(parameter: inspect.Parameter, hint: Any, function: str) -> Column:
    nullable = optional = parameter.default is not inspect.Parameter.empty
    if get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint):
        nullable = True
        rest = [one for one in get_args(hint) if one is not type(None)]
        hint = rest[0] if len(rest) == 1 else hint
    name = parameter.name
    if get_origin(hint) is Literal:
        values = get_args(hint)
        if len({type(v) for v in values}) == 1 and type(values[0]) in (str, int):
            return Column(
                name,
                name,
                Datatype.CATEGORICAL,
                nullable,
                categories=values,
                closed=True,
                optional=optional,
            )
    datatype = _DATATYPES.get(hint)
    if datatype is None:
        known = ", ".join(kind.__name__ for kind in _DATATYPES)
        raise InvalidSignature(
            f"parameter {name!r} of {function} is annotated {hint}, which a request cannot hold",
            hint=f"use {known}, Literal[...] of texts or whole numbers, or one of them | None",
        )
    return Column(name, name, datatype, nullable, optional=optional)
