"""Training of the loan model: numbers and text, both with missing values, into a forest.

Usage: python train.py LOANS.csv [--custom] [--output FOLDER]

With --custom a class of our own (features.py) is part of the pipeline; a model with Python of our
own in it cannot be compiled and is served as it is, with --code features.py.
"""

import argparse
from pathlib import Path

import joblib
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

MONEY = ["ApplicantIncome", "CoapplicantIncome", "LoanAmount"]
NUMBERS = ["Loan_Amount_Term", "Credit_History"]
TEXTS = ["Gender", "Married", "Dependents", "Education", "Self_Employed", "Property_Area"]
TARGET = "Loan_Status"

parser = argparse.ArgumentParser()
parser.add_argument("loans", type=Path)
parser.add_argument("--custom", action="store_true")
parser.add_argument("--output", type=Path, default=Path(__file__).parent)
arguments = parser.parse_args()

loans = pd.read_csv(arguments.loans, dtype=dict.fromkeys([*TEXTS, TARGET], object))
loans = loans[[*MONEY, *NUMBERS, *TEXTS, TARGET]]

money = [SimpleImputer(strategy="median"), StandardScaler()]
if arguments.custom:
    from features import IncomeFeatures

    money.insert(1, IncomeFeatures())
columns = ColumnTransformer(
    [
        ("money", make_pipeline(*money), MONEY),
        ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
        (
            "texts",
            make_pipeline(
                SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
            ),
            TEXTS,
        ),
    ]
)
forest = RandomForestClassifier(n_estimators=30, min_samples_leaf=3, random_state=0)
model = make_pipeline(columns, forest)
model.fit(loans.drop(columns=TARGET), loans[TARGET])

joblib.dump(model, arguments.output / "model.joblib")
loans.to_csv(arguments.output / "training.csv", index=False)
accuracy = model.score(loans.drop(columns=TARGET), loans[TARGET])
print(f"accuracy on the training data: {accuracy:.3f}")
