"""Training of the defect model: a decision tree on lines of code and McCabe's complexity.

Usage: python train.py MODULES.csv [--output FOLDER]
"""

import argparse
from pathlib import Path

import joblib
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

parser = argparse.ArgumentParser()
parser.add_argument("modules", type=Path)
parser.add_argument("--output", type=Path, default=Path(__file__).parent)
arguments = parser.parse_args()

modules = pd.read_csv(arguments.modules, usecols=["loc", "v(g)", "defects"])
modules = modules.rename(columns={"v(g)": "mcc", "defects": "defect"})
modules["defect"] = modules["defect"].astype(str).str.lower().eq("true").astype(int)

model = DecisionTreeClassifier(max_depth=4, class_weight="balanced", random_state=0)
model.fit(modules[["loc", "mcc"]], modules["defect"])

joblib.dump(model, arguments.output / "model.joblib")
modules.to_csv(arguments.output / "training.csv", index=False)
print(f"{model.get_n_leaves()} leaves, {int(modules['defect'].sum())} of {len(modules)} defective")
