"""What several files of this folder share: a model of loans and its bundle."""

from __future__ import annotations

from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

from support.live import modelway
from support.loans import TARGET, save_loans
from support.once import Once


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
