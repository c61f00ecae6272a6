"""What several files of this folder share: a model of loans and its bundle, an MLflow server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

from support.live import modelway
from support.loans import TARGET, save_loans
from support.mlflow_servers import MlflowServer, mlflow_server
from support.once import Once


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real MLflow server, the same for all tests."""
    with mlflow_server(tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="session")
def loan(once: Once) -> Path:
    """A folder with a classifier, ``model.pickle``, and ``rows.csv``; nobody may change it."""
    return once("loan", lambda folder: save_loans(LogisticRegression(), folder))


@pytest.fixture(scope="session")
def loan_bundle(loan: Path, once: Once) -> Path:
    """The compiled bundle of the classifier; nobody may change it."""

    def make(folder: Path) -> None:
        modelway(
            *("bundle", "build", loan / "model.pickle", "--data", loan / "rows.csv"),
            *("--target", TARGET, "--labels", "refused,granted", "--require-compiled"),
            *("-o", folder / "bundle"),
        )

    return once("loan-bundle", make) / "bundle"
