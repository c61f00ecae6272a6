"""From an empty folder to an answer that is explained: every step of a model's life, in turn."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris

from support.calling import Callers, assert_moved
from support.homes import Homes, Up
from support.patience import promised
from support.repositories import Repository
from support.trained import ROW

MIXED_S = promised(2.0)
"""How long two versions may both answer."""

TRAINING = """
import pickle, sys
import mlflow, pandas as pd
from sklearn.ensemble import GradientBoostingClassifier

url, n_trees, registered = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
mlflow.set_tracking_uri(url)
rows = pd.read_csv("training.csv")
X, y = rows.drop(columns="species"), rows["species"]
with mlflow.start_run() as run:
    model = GradientBoostingClassifier(n_estimators=n_trees, random_state=0).fit(X, y)
    mlflow.log_param("n_trees", n_trees)
    mlflow.log_metric("accuracy", model.score(X, y))
    for name in registered:
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=mlflow.models.infer_signature(X, y),
            registered_model_name=name,
            serialization_format="cloudpickle",
        )
with open("model.pickle", "wb") as file:
    pickle.dump(model, file)
print(run.info.run_id)
"""
"""Plain MLflow code: nothing in it is Modelway's."""

pytestmark = pytest.mark.services


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A team's repository: the data, the code that trains on it, and nothing of Modelway."""
    folder = tmp_path / "team"
    made = Repository(folder)
    flowers = load_iris(as_frame=True).frame.set_axis([*ROW, "species"], axis=1)
    flowers.to_csv(folder / "training.csv", index=False)
    (folder / "train.py").write_text(TRAINING)
    (folder / ".gitignore").write_text("*.log\n*.pickle\n.modelway/\n")
    made.commit("train on iris")
    return made


@pytest.fixture
def up(repository: Repository) -> Iterator[Up]:
    """Everything, started where no home was before."""
    with Homes() as homes:
        up = homes.up(repository.folder)
        up.wait_for_mlflow()
        yield up


def test_an_answer_leads_back_to_the_run_the_commit_and_the_data_it_came_from(
    repository: Repository, up: Up
) -> None:
    run = trained(up, "20")
    given = ("--run", run, "--data", "training.csv", "--target", "species")
    up.cli("model", "register", "model.pickle", "--name", "flower", *given)
    ann, bob = (up.person(name, "deploy") for name in ("ann", "bob"))
    trained(up, "40", "flower")  # registers itself, as MLflow's users do
    up.cli("model", "promote", "flower:1", "--why", "the first one", *ann)
    up.cli("endpoint", "create", "flower", "--live", "flower@champion")
    up.cli("model", "bundle", "flower:2")
    with Callers(up.url, ROW) as callers:
        callers.wait_for("1")
        up.cli("model", "promote", "flower:2", "--why", "more trees", *bob)
        callers.wait_for("2")
    mixed_s = assert_moved(callers, "1", "2")
    print(f"{callers.count()} answers, both versions for {mixed_s:.3f} s")
    assert mixed_s < MIXED_S
    with Callers(up.url, ROW) as back:
        back.wait_for("2")
        up.cli("model", "rollback", "flower", "--why", "worse on small flowers", *ann)
        back.wait_for("1")
    assert assert_moved(back, "2", "1") < MIXED_S

    commit = repository.git("rev-parse", "HEAD")
    told = up.cli_json("trace", answered_by(callers, "1"), "--replay")
    assert told["missing"] == []
    assert (told["endpoint"], told["version"], told["role"]) == ("flower", "1", "live")
    assert told["inputs"] == {name: [value] for name, value in ROW.items()}
    assert told["run"]["run_id"] == run
    assert told["run"]["parameters"] == {"n_trees": "20"}
    assert told["run"]["metrics"]["accuracy"] > 0.9
    assert (told["origin"]["code"]["commit"], told["origin"]["code"]["dirty"]) == (commit, False)
    sha256 = hashlib.sha256((repository.folder / "training.csv").read_bytes()).hexdigest()
    assert (told["origin"]["data"], told["origin"]["data_sha256"]) == ("training.csv", sha256)
    assert promotion(told) == ("promoted", "ann", "the first one")
    assert (told["replay"]["outcome"], told["replay"]["differing"]) == ("identical", 0)

    # What plain MLflow code has logged tells its run, and the commit that MLflow noted.
    told = up.cli_json("trace", answered_by(callers, "2"), "--replay")
    assert told["run"]["parameters"] == {"n_trees": "40"}
    assert told["origin"]["code"]["commit"] == commit
    assert promotion(told) == ("promoted", "bob", "more trees")
    assert told["replay"]["outcome"] == "identical"

    told = up.cli_json("trace", answered_by(back, "1", last=True))
    assert promotion(told) == ("rolled back", "ann", "worse on small flowers")


def trained(up: Up, *words: str) -> str:
    """Run the team's training against the registry of the home; gives the run's id."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    done = subprocess.run(
        [sys.executable, "train.py", up.registry, *words],
        cwd=up.folder,
        env=kept,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def answered_by(callers: Callers, version: str, *, last: bool = False) -> str:
    """The id of the first answer of a version, or of the last one."""
    answers = [one for connection in callers.connections for one in connection.answers]
    answers.sort(key=lambda one: one.at_s, reverse=last)
    found = next(one for one in answers if one.version == version)
    return str(json.loads(found.body)["prediction_id"])


def promotion(told: Any) -> tuple[str, str, str]:
    """How the version came to answer, whose key brought it there, and why."""
    moved = told["placement"]["promotion"]
    return moved["kind"], moved["actor"].partition(":")[0], moved["why"]
