"""A compared model saved as an MLflow model with its signature: ``save.py MODEL_FOLDER OUTPUT``."""

from __future__ import annotations

import pickle
import shutil
import sys
from pathlib import Path

import mlflow
import numpy as np
import onnx
import pandas as pd
from mlflow.models import infer_signature

source, output = Path(sys.argv[1]), Path(sys.argv[2])
shutil.rmtree(output, ignore_errors=True)
rows = pd.read_pickle(source / "rows.pickle").head(100)

if (source / "model.onnx").exists():
    signature = infer_signature(rows.to_numpy(), {"probabilities": np.zeros((1, 10), np.float32)})
    mlflow.onnx.save_model(onnx.load(source / "model.onnx"), output, signature=signature)
else:
    model = pickle.loads((source / "model.pickle").read_bytes())
    given = rows if hasattr(model, "feature_names_in_") else rows.to_numpy()
    signature = infer_signature(given, model.predict(given))
    mlflow.sklearn.save_model(
        model, output, signature=signature, serialization_format="cloudpickle"
    )
