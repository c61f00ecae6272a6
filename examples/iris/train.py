"""Training of the iris classifier: gradient boosting on scikit-learn's own data, pickled."""

import pickle
from pathlib import Path

from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

here = Path(__file__).parent

flowers = load_iris(as_frame=True).frame
flowers.columns = ["sepal_length", "sepal_width", "petal_length", "petal_width", "species"]
measures = flowers.drop(columns="species")

model = make_pipeline(StandardScaler(), GradientBoostingClassifier(random_state=0))
model.fit(measures, flowers["species"])

(here / "model.pickle").write_bytes(pickle.dumps(model))
flowers.to_csv(here / "training.csv", index=False)
print(f"accuracy on the training data: {model.score(measures, flowers['species']):.3f}")
