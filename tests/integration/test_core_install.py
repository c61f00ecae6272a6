"""A virtual environment with the core install only: it serves compiled bundles, and their answers
are those that the original gave where it was trained."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

from support.live import ROOT, Serve, absent
from support.loans import COLUMNS, loan_rows
from support.once import Once

BATCHES = (1, 2, 7, 64)
UV = (sys.executable, "-m", "uv")


@pytest.fixture(scope="module")
def core(once: Once) -> Path:
    """The python of an environment made from locks/core.txt and the wheel of this project."""

    def make(folder: Path) -> None:
        wheel = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        subprocess.run(wheel, check=True, cwd=ROOT, capture_output=True, timeout=120)
        python = folder / "venv" / "bin" / "python"
        environment = [*UV, "venv", "--quiet", "--python", sys.executable, str(folder / "venv")]
        subprocess.run(environment, check=True, timeout=120)
        install = [*UV, "pip", "install", "--quiet", "--python", str(python)]
        locked = [*install, "--require-hashes", "-r", str(ROOT / "locks" / "core.txt")]
        done = subprocess.run(locked, capture_output=True, text=True, timeout=280, check=False)
        if done.returncode:
            absent(f"the core lock cannot be installed: {done.stderr.strip()[-300:]}")
        (built,) = folder.glob("*.whl")
        subprocess.run([*install, "--no-deps", "--no-index", str(built)], check=True, timeout=120)

    return once("core", make) / "venv" / "bin" / "python"


@pytest.mark.services
def test_the_core_install_has_nothing_that_trains(core: Path) -> None:
    heavy = ["sklearn", "pandas", "onnx", "pyarrow", "mlflow", "scipy"]
    script = f"import importlib.util as u; print([n for n in {heavy} if u.find_spec(n)])"
    done = subprocess.run([core, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    doctor = subprocess.run(
        [core, "-m", "modelway", "doctor", "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(doctor.stdout)["ok"] is True


@pytest.mark.services
def test_iris_answers_as_scikit_learn_did(
    core: Path, iris_training: Path, iris_bundle: Path, serve: Serve
) -> None:
    training = pd.read_csv(iris_training / "training.csv").drop(columns="species")
    rng = np.random.default_rng(20)
    noise = pd.DataFrame(rng.uniform(0, 9, (100, 4)).round(1), columns=training.columns)
    rows = pd.concat([training, noise], ignore_index=True)
    model = joblib.load(iris_training / "model.pickle")
    service = serve(iris_bundle, command=(core, "-m", "modelway", "serve"))
    compare(service.ask, rows, model, column="/predict")


@pytest.mark.services
def test_loan_answers_as_scikit_learn_did_with_missing_text(
    core: Path, loan: Path, loan_bundle: Path, serve: Serve
) -> None:
    rows = loan_rows()[COLUMNS]
    assert rows["Gender"].isna().any()
    model = joblib.load(loan / "model.pickle")
    service = serve(loan_bundle, command=(core, "-m", "modelway", "serve"))
    compare(service.ask, rows, model, column="/predict")


@pytest.mark.services
def test_a_native_bundle_names_the_extra_that_it_needs(core: Path, tmp_path: Path) -> None:
    source = tmp_path / "model.pickle"
    source.write_bytes(b"\x80\x04N.")
    done = subprocess.run(
        [core, "-m", "modelway", "serve", str(source), "--port", "0"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'modelway[sklearn]'" in done.stderr


def compare(ask: Any, rows: pd.DataFrame, model: Any, *, column: str) -> None:
    """Each row alone and in batches: the label and the probabilities that the original gives it."""
    labels = [model.predict(rows[i : i + 1])[0] for i in range(len(rows))]
    chances = np.vstack([model.predict_proba(rows[i : i + 1]) for i in range(len(rows))])
    sent = json.loads(rows.to_json(orient="records", double_precision=15))
    for size in BATCHES:
        answers: list[Any] = []
        for start in range(0, len(sent), size):
            batch = sent[start : start + size]
            answer = ask(column, json=batch[0] if size == 1 else batch)
            assert answer.status == 200, answer.body
            answers += [answer.json] if size == 1 else answer.json
        assert [one["prediction"] for one in answers] == labels
        found = [list(one["probabilities"].values()) for one in answers]
        np.testing.assert_allclose(found, chances, rtol=0, atol=1e-5)
