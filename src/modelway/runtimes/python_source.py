"""Functions and classes of a Python file."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

from modelway.domain.errors import LoadFailed


def imported(path: Path, name: str) -> Any:
    """What is called ``name`` in the file.

    Raises:
        LoadFailed: the file cannot be run, or has nothing of that name.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise LoadFailed(f"{path.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # Known under its own name while it runs: dataclasses and pickles look a module up there.
    sys.modules.setdefault(path.stem, module)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        raise LoadFailed(
            f"{path.name} needs Python code that is not here: {error}",
            hint="give the file or folder that defines it with --code",
        ) from error
    except Exception as error:  # the user's own code may raise anything at all
        raise LoadFailed(f"{path.name} cannot be run: {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        names = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise LoadFailed(
            f"{path.name} has no {name!r}",
            hint=f"there is: {', '.join(names) or 'nothing that can be called'}",
        )
    return getattr(module, name)


def predict_of(kind: type, path: Path) -> Any:
    """``predict`` of a new instance of the class, after its ``load``.

    Raises:
        LoadFailed: it has no ``predict``, or making or loading it failed.
    """
    if not callable(getattr(kind, "predict", None)):
        raise LoadFailed(f"the class {kind.__name__} of {path.name} has no predict")
    try:
        instance: Any = kind()
        load = getattr(instance, "load", None)
        if load is not None:
            load(path.parent) if inspect.signature(load).parameters else load()
    except Exception as error:  # the user's own code may raise anything at all
        raise LoadFailed(
            f"{kind.__name__} of {path.name} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    return instance.predict
