"""The models of the comparison: fitted once, the same file for every server.

Each has at least 10,000 distinct rows and the model's own answers to them. What is fitted is kept
in a folder and made anew only when ``fitted_models.py``, scikit-learn
or the loans change.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import fitted_models
import numpy as np
import pandas as pd
import sklearn
from fitted_models import N_ROWS, Answers, Fitted, Rows, data_folder

MANY = 100


class Input(StrEnum):
    """What the model's own ``predict`` takes."""

    ARRAY = "array"
    FRAME = "frame"
    TENSOR = "tensor"


@dataclass(frozen=True)
class ComparedModel:
    """A fitted model in a folder; ``largest_body_rows`` bounds what one request brings."""

    name: str
    takes: Input
    folder: Path
    largest_body_rows: int = N_ROWS
    compiles: bool = True

    @property
    def source(self) -> Path:
        """The model's file."""
        return self.folder / ("model.onnx" if self.takes is Input.TENSOR else "model.pickle")

    @property
    def training(self) -> Path:
        """The rows it was fitted on, without the target, as CSV."""
        return self.folder / "training.csv"

    @property
    def bundle(self) -> Path:
        """The model as our own server takes it."""
        return self.folder / "bundle"

    @cached_property
    def rows(self) -> Rows:
        """Distinct rows, (N_ROWS, columns)."""
        found: Rows = pd.read_pickle(self.folder / "rows.pickle")
        return found

    @cached_property
    def expected(self) -> Answers:
        """The model's own answers to the rows: labels or values (N_ROWS,), or (N_ROWS, 10)."""
        found: Answers = np.load(self.folder / "expected.npy", allow_pickle=True)
        return found


class IllFitted(Exception):
    """A model has too few distinct rows to be compared with."""


def compared_models(folder: Path) -> Mapping[str, ComparedModel]:
    """The five models, fitted where the folder lacks them."""
    fits: Mapping[str, tuple[Input, Callable[[], Fitted]]] = {
        "iris": (Input.ARRAY, fitted_models.iris),
        "linear": (Input.ARRAY, fitted_models.linear),
        "loan": (Input.FRAME, fitted_models.loan),
        "spline": (Input.ARRAY, fitted_models.spline),
        "network": (Input.TENSOR, fitted_models.network),
    }
    models = {}
    for name, (takes, fit) in fits.items():
        model = ComparedModel(name, takes, folder / name, compiles=name != "spline")
        if not _is_current(model):
            _write(model, fit())
        models[name] = model
    return models


def many_models(folder: Path) -> Mapping[str, ComparedModel]:
    """A hundred iris models, each fitted on another part of the flowers."""
    models = {}
    for number in range(MANY):
        name = f"iris-{number:03}"
        model = ComparedModel(name, Input.ARRAY, folder / "many" / name)
        if not _is_current(model):
            _write(model, fitted_models.iris(number + 1, n_rows=100, n_estimators=30))
        models[name] = model
    return models


def _stamp() -> str:
    text = (
        Path(fitted_models.__file__).read_bytes()
        + sklearn.__version__.encode()
        + data_folder().encode()
    )
    return hashlib.sha256(text).hexdigest()


def _is_current(model: ComparedModel) -> bool:
    stamp = model.folder / "stamp"
    return stamp.exists() and stamp.read_text() == _stamp()


def _write(model: ComparedModel, fitted: Fitted) -> None:
    if fitted.rows.duplicated().any():
        raise IllFitted(f"{model.name}: some rows are the same")
    shutil.rmtree(model.folder, ignore_errors=True)
    model.folder.mkdir(parents=True)
    model.source.write_bytes(fitted.content)
    fitted.training.to_csv(model.training, index=False)
    fitted.rows.to_pickle(model.folder / "rows.pickle")
    np.save(model.folder / "expected.npy", fitted.expected)
    (model.folder / "stamp").write_text(_stamp())
