"""The training of the demo, as a user's own script would do it; run in a child process.

``python -m modelway.composition.demo_training FOLDER`` writes ``model.pickle`` and the rows it was
fitted on, ``training.csv``.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

COLUMNS = ("sepal_length", "sepal_width", "petal_length", "petal_width")
TARGET = "species"
LABELS = ("setosa", "versicolor", "virginica")


def train(folder: Path) -> None:
    """Fit a gradient boosting pipeline on iris; write it and the rows it was fitted on."""
    from sklearn.datasets import load_iris
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = load_iris(as_frame=True).frame.set_axis([*COLUMNS, TARGET], axis=1)
    model = make_pipeline(StandardScaler(), GradientBoostingClassifier(random_state=0))
    model.fit(rows[list(COLUMNS)], rows[TARGET])
    (folder / "model.pickle").write_bytes(pickle.dumps(model))
    rows.to_csv(folder / "training.csv", index=False)


if __name__ == "__main__":
    train(Path(sys.argv[1]))
