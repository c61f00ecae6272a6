"""The synthetic twins of the real data sets: same columns, types, and share of missing values.

Run as a program it writes them anew; they are drawn with a fixed seed and hold no real row.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent

LOAN_COLUMNS = [
    "Loan_ID",
    "Gender",
    "Married",
    "Dependents",
    "Education",
    "Self_Employed",
    "ApplicantIncome",
    "CoapplicantIncome",
    "LoanAmount",
    "Loan_Amount_Term",
    "Credit_History",
    "Property_Area",
]


def loans(draw: random.Random, n_rows: int) -> list[list[object]]:
    """Loan applications; one cell in thirty of those that may be missing is."""
    rows: list[list[object]] = []
    for number in range(n_rows):
        income = int(draw.lognormvariate(8.4, 0.5))
        other = draw.choice([0, 0, int(draw.lognormvariate(7.5, 0.6))])
        amount = int(20 + (income + other) / 60 + draw.uniform(-20, 60))
        credit = int(draw.random() < 0.84)
        good = credit and draw.random() < (0.85 if amount < 200 else 0.6)
        row: list[object] = [
            f"LP{number:06}",
            draw.choice(["Male", "Male", "Male", "Female"]),
            draw.choice(["Yes", "Yes", "No"]),
            draw.choice(["0", "0", "1", "2", "3+"]),
            draw.choice(["Graduate", "Graduate", "Not Graduate"]),
            draw.choice(["No", "No", "No", "Yes"]),
            income,
            other,
            amount,
            draw.choice([360, 360, 360, 180, 480]),
            credit,
            draw.choice(["Urban", "Semiurban", "Rural"]),
            "Y" if good else "N",
        ]
        for column in (1, 2, 3, 5, 8, 9, 10):
            if draw.random() < 1 / 30:
                row[column] = ""
        rows.append(row)
    return rows


def modules(draw: random.Random, n_rows: int) -> list[list[object]]:
    """Source modules: lines of code, McCabe complexity, defective or not."""
    rows: list[list[object]] = []
    for _ in range(n_rows):
        loc = round(draw.lognormvariate(3.2, 0.9), 1)
        complexity = max(1, round(loc / 8 + draw.uniform(-3, 4)))
        defective = draw.random() < min(0.8, 0.08 + loc / 250 + complexity / 90)
        rows.append([loc, complexity, str(defective).lower()])
    return rows


def write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """One CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def make(folder: Path) -> None:
    """All twins, into the folder."""
    draw = random.Random(20240501)
    header = [*LOAN_COLUMNS, "Loan_Status"]
    write(folder / "loan" / "train.csv", header, loans(draw, 300))
    write(folder / "loan" / "test.csv", LOAN_COLUMNS, [row[:-1] for row in loans(draw, 60)])
    write(folder / "defects" / "jm1.csv", ["loc", "v(g)", "defects"], modules(draw, 400))


if __name__ == "__main__":
    make(HERE)
