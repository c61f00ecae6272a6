"""A feature of our own: a class that the pickle of ``train.py --custom`` needs to be read."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin


class IncomeFeatures(TransformerMixin, BaseEstimator):
    """Beside the numbers as they came: the household's income, and the loan as a share of it.

    Takes (n_rows, 3) columns: applicant's income, co-applicant's income, loan amount. Gives
    (n_rows, 5).
    """

    def fit(self, X: Any, y: Any = None) -> IncomeFeatures:
        """Learn the number of columns; nothing else is needed."""
        self.n_features_in_ = np.shape(X)[1]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The columns with the two features behind them."""
        numbers = np.asarray(X, dtype=float)
        income = numbers[:, 0] + numbers[:, 1]
        share = numbers[:, 2] / np.maximum(income, 1.0)
        return np.column_stack([numbers, income, share])
