"""A small model of loans, text and numbers in, as a user's own script would leave it behind."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from support.live import TWINS

COLUMNS = ["Property_Area", "Gender", "LoanAmount", "ApplicantIncome"]
TARGET = "Loan_Status"


def loan_rows() -> pd.DataFrame:
    """120 loans, in some of which the gender, a text, and the amount are missing."""
    return pd.read_csv(TWINS / "loan" / "train.csv", nrows=120)


def save_loans(estimator: Any, folder: Path) -> None:
    """Write ``model.pickle``, which ends in ``estimator``, and ``rows.csv``, all that is known.

    Of its two texts, the area is refused where it is none that training had.
    """
    rows = loan_rows()
    filled = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    columns = make_column_transformer(
        (StandardScaler(), ["ApplicantIncome"]),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["LoanAmount"]),
        (OrdinalEncoder(), ["Property_Area"]),
        (filled, ["Gender"]),
    )
    model = make_pipeline(columns, estimator).fit(rows[COLUMNS], rows[TARGET])
    (folder / "model.pickle").write_bytes(pickle.dumps(model))
    rows.to_csv(folder / "rows.csv", index=False)
